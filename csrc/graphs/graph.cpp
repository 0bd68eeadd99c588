#include "graphs/graph.h"

#include <ATen/core/LegacyTypeDispatch.h>
#include <c10/util/Exception.h>
#include <torch/csrc/inductor/aoti_package/model_package_loader.h>
#include <torch/csrc/inductor/aoti_runner/model_container_runner_cpu.h>

#include <algorithm>
#include <thread>

#include "errors.h"
#include "execution/region_threads.h"
#include "graphs/exchanges.h"
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

/// Kernels of fewer rows are done before other threads are awake: with two threads of their own, a
/// Taylor polycrystal took a fifth longer at any size.
constexpr std::int64_t least_shared_rows = 4096;

bool has_few_rows(const Tensors & arguments)
{
  return std::all_of(arguments.begin(), arguments.end(), [](const at::Tensor & argument)
                     { return argument.dim() == 0 || argument.size(0) < least_shared_rows; });
}

std::string reason_of(const std::exception & error)
{
  if (const auto * torch_error = dynamic_cast<const c10::Error *>(&error))
    return first_line(torch_error->what_without_backtrace());
  return first_line(error.what());
}

} // namespace

Graph::Graph(std::string path, at::Device device, Unpack unpack, std::optional<BatchAxes> axes)
    : path_(std::move(path)), device_(device), unpack_(std::move(unpack)), axes_(std::move(axes))
{
}

Graph::~Graph() = default;

void Graph::open()
{
  try
  {
    if (device_.is_cpu() && unpack_)
    {
      const auto [library, kernels] = unpack_(path_);
      own_runner_ =
          std::make_unique<torch::inductor::AOTIModelContainerRunnerCpu>(library, runner_count());
      runner_ = own_runner_.get();
      exchange_functions(library);
      if (!kernels.empty())
        exchange_kernels(library, kernels);
      return;
    }
    const auto index = device_.has_index() && !device_.is_cpu() ? device_.index() : -1;
    loader_ = std::make_unique<torch::inductor::AOTIModelPackageLoader>(
        path_, "model", /*run_single_threaded=*/false, runner_count(),
        static_cast<c10::DeviceIndex>(index));
    runner_ = loader_->get_runner();
  }
  catch (const ArtifactError &)
  {
    throw;
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
  // An operator that a graph calls by name must not come to what Python registered for autograd:
  // that takes the interpreter lock, for which threads would queue.
  const at::AutoDispatchBelowADInplaceOrView without_autograd;
  std::optional<RegionThreads> serial;
  if (has_few_rows(arguments))
    serial.emplace(1);
  try
  {
    return axes_ ? axes_->merged(runner_->run(axes_->split(arguments))) : runner_->run(arguments);
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
