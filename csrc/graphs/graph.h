// One compiled graph: a .pt2 package, opened on first use. The only user of AOTInductor.
//
// A package is an archive around a shared library. Whoever keeps unpacked libraries says so by
// Unpack; without, or on other devices than the processor, torch unpacks it for this process.
//
// Graphs are float64 inside and check nothing: the caller hands over contiguous float64 tensors of
// the right shapes on the right device. Results may alias inputs or memory that the package owns:
// never write to them. Threads may share a graph.
#pragma once

#include <ATen/core/Tensor.h>

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "graphs/batch_axes.h"

namespace torch::inductor
{
class AOTIModelContainerRunner;
class AOTIModelPackageLoader;
} // namespace torch::inductor

namespace neml2_aoti_plugin
{

using Tensors = std::vector<at::Tensor>;

/// Where a package has been unpacked.
struct Unpacked
{
  std::string library; // with the files that belong to it beside it
  std::string kernels; // a library with tuned ones; empty: there is none
};

/// Path of a package to where it is unpacked.
using Unpack = std::function<Unpacked(const std::string & package)>;

class Graph
{
public:
  /// A device without index: the current one of its kind. `axes` unset: the graph was traced with
  /// rows on axis 0.
  Graph(std::string path, at::Device device, Unpack unpack, std::optional<BatchAxes> axes = {});
  ~Graph();

  const std::string & path() const { return path_; }

  /// Throws ArtifactError if the package cannot be opened, GraphRunError if the graph itself fails.
  Tensors run(const Tensors & arguments);

  /// Also throws ArtifactError if the graph does not return `expected` tensors.
  Tensors run(const Tensors & arguments, std::size_t expected);

  /// How the graph is best run, once that has been measured; see segments/chunk_size.h.
  struct Pace
  {
    std::int64_t chunk_rows; // to run on at once
    double seconds_per_row;  // then
  };
  std::optional<Pace> pace() const
  {
    const auto rows = chunk_rows_.load();
    return rows == 0 ? std::nullopt : std::optional(Pace{rows, seconds_per_row_.load()});
  }
  void set_pace(const Pace & pace)
  {
    seconds_per_row_ = pace.seconds_per_row;
    chunk_rows_ = pace.chunk_rows;
  }

private:
  void open();

  std::string path_;
  at::Device device_;
  Unpack unpack_;
  std::optional<BatchAxes> axes_;
  std::once_flag opened_;
  std::unique_ptr<torch::inductor::AOTIModelPackageLoader> loader_; // owns the runner, if there
  std::unique_ptr<torch::inductor::AOTIModelContainerRunner> own_runner_;
  torch::inductor::AOTIModelContainerRunner * runner_ = nullptr;
  std::atomic<std::int64_t> chunk_rows_{0}; // 0: not measured
  std::atomic<double> seconds_per_row_{0.0};
};

} // namespace neml2_aoti_plugin
