// The batch axes that a graph was traced with. Segments know one axis of rows; around each run of a
// graph that has another number of batch axes, the rows are split into them and merged again.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <vector>

namespace neml2_aoti_plugin
{

struct BatchAxes
{
  std::vector<std::optional<std::int64_t>> extents; // unset for the one that may vary
  std::vector<std::int64_t> argument_ranks; // of every argument of the graph, these axes included

  /// The arguments as the graph takes them. One that has the rank of the graph has no rows.
  std::vector<at::Tensor> split(const std::vector<at::Tensor> & arguments) const;

  /// The results with rows on axis 0, where they have these axes.
  std::vector<at::Tensor> merged(const std::vector<at::Tensor> & results) const;
};

} // namespace neml2_aoti_plugin
