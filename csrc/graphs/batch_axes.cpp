#include "graphs/batch_axes.h"

namespace neml2_aoti_plugin
{

namespace
{

using Sizes = std::vector<std::int64_t>;

/// The shape of `tensor` with `leading` in place of its first `count` extents.
Sizes with_leading(const at::Tensor & tensor, std::size_t count, Sizes leading)
{
  const auto shape = tensor.sizes();
  leading.insert(leading.end(), shape.begin() + static_cast<std::ptrdiff_t>(count), shape.end());
  return leading;
}

/// What does not depend on the batch may come with extents of one, or without the axes.
bool has_axes(const at::Tensor & result, const std::vector<std::optional<std::int64_t>> & extents)
{
  if (result.dim() < static_cast<std::int64_t>(extents.size()))
    return false;
  bool are_as_traced = true;
  bool are_single = true;
  for (std::size_t axis = 0; axis < extents.size(); ++axis)
  {
    const auto extent = result.size(static_cast<std::int64_t>(axis));
    are_as_traced = are_as_traced && extent == extents[axis].value_or(extent);
    are_single = are_single && extent == 1;
  }
  return are_as_traced || are_single;
}

} // namespace

std::vector<at::Tensor> BatchAxes::split(const std::vector<at::Tensor> & arguments) const
{
  Sizes leading;
  for (const auto & extent : extents)
    leading.push_back(extent.value_or(-1));
  std::vector<at::Tensor> traced;
  for (std::size_t k = 0; k < arguments.size(); ++k)
  {
    const auto & argument = arguments[k];
    const bool has_rows = argument.dim() != argument_ranks.at(k);
    traced.push_back(has_rows ? argument.reshape(with_leading(argument, 1, leading)) : argument);
  }
  return traced;
}

std::vector<at::Tensor> BatchAxes::merged(const std::vector<at::Tensor> & results) const
{
  std::vector<at::Tensor> merged;
  for (const auto & result : results)
    merged.push_back(has_axes(result, extents)
                         ? result.reshape(with_leading(result, extents.size(), {-1}))
                         : result);
  return merged;
}

} // namespace neml2_aoti_plugin
