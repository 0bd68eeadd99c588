// One compiled graph: a .pt2 package, opened on first use. The only user of AOTInductor.
//
// Graphs are float64 inside and check nothing: the caller hands over contiguous float64 tensors of
// the right shapes on the right device. Results may alias inputs or memory that the package owns:
// never write to them. Threads may share a graph.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "graphs/batch_axes.h"

namespace torch::inductor
{
class AOTIModelPackageLoader;
}

namespace neml2_aoti_plugin
{

using Tensors = std::vector<at::Tensor>;

class Graph
{
public:
  /// `device_index` -1: the current device of the artifact's kind. `axes` unset: the graph was
  /// traced with rows on axis 0.
  Graph(std::string path, int device_index, std::optional<BatchAxes> axes = {});
  ~Graph();

  const std::string & path() const { return path_; }

  /// Throws ArtifactError if the package cannot be opened, GraphRunError if the graph itself fails.
  Tensors run(const Tensors & arguments);

  /// Also throws ArtifactError if the graph does not return `expected` tensors.
  Tensors run(const Tensors & arguments, std::size_t expected);

private:
  void open();

  std::string path_;
  int device_index_;
  std::optional<BatchAxes> axes_;
  std::once_flag opened_;
  std::unique_ptr<torch::inductor::AOTIModelPackageLoader> loader_;
};

} // namespace neml2_aoti_plugin
