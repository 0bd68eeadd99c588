#include "graphs/graph.h"

#include <c10/util/Exception.h>
#include <torch/csrc/inductor/aoti_package/model_package_loader.h>

#include <algorithm>
#include <thread>

#include "errors.h"
#include "graphs/graph_run_error.h"

namespace neml2_aoti_plugin
{

namespace
{

/// Concurrent calls beyond the number of runners queue inside the loader; more of them cost no load
/// time.
std::size_t runner_count() { return std::max<std::size_t>(4, std::thread::hardware_concurrency()); }

/// The first line says what happened; the rest is the foreign library's stack trace.
std::string first_line(const std::string & text) { return text.substr(0, text.find('\n')); }

std::string reason_of(const std::exception & error)
{
  if (const auto * torch_error = dynamic_cast<const c10::Error *>(&error))
    return first_line(torch_error->what_without_backtrace());
  return first_line(error.what());
}

} // namespace

Graph::Graph(std::string path, int device_index, std::optional<BatchAxes> axes)
    : path_(std::move(path)), device_index_(device_index), axes_(std::move(axes))
{
}

Graph::~Graph() = default;

void Graph::open()
{
  try
  {
    loader_ = std::make_unique<torch::inductor::AOTIModelPackageLoader>(
        path_, "model", /*run_single_threaded=*/false, runner_count(),
        static_cast<c10::DeviceIndex>(device_index_));
  }
  catch (const std::exception & error)
  {
    throw ArtifactError(path_ + ": the compiled graph cannot be loaded: " + reason_of(error) +
                        ". Recompile the model with neml2-compile on this machine.");
  }
}

Tensors Graph::run(const Tensors & arguments)
{
  std::call_once(opened_, [this] { open(); });
  try
  {
    return axes_ ? axes_->merged(loader_->run(axes_->split(arguments))) : loader_->run(arguments);
  }
  catch (const c10::OutOfMemoryError &)
  {
    throw;
  }
  catch (const std::exception & error)
  {
    throw GraphRunError(
        path_ + ": the compiled graph failed: " + reason_of(error) +
        ". If the file is not the one that neml2-compile wrote here, recompile the model.");
  }
}

Tensors Graph::run(const Tensors & arguments, std::size_t expected)
{
  auto results = run(arguments);
  if (results.size() != expected)
    throw ArtifactError(path_ + ": the compiled graph returned " + std::to_string(results.size()) +
                        " tensors, the metadata describes " + std::to_string(expected) +
                        ". The metadata and this graph are of different compilations: recompile.");
  return results;
}

} // namespace neml2_aoti_plugin
