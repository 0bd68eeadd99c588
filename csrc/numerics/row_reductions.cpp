#include "numerics/row_reductions.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cmath>

namespace neml2_aoti_plugin
{

namespace
{

bool is_plain(const Groups & groups)
{
  return std::all_of(
      groups.begin(), groups.end(), [](const at::Tensor & group)
      { return group.is_cpu() && group.is_contiguous() && group.scalar_type() == at::kDouble; });
}

/// One row after another, each in the order of its entries.
std::vector<double> row_dot_of_plain(const Groups & x, const Groups & y)
{
  std::vector<double> dots(static_cast<std::size_t>(x.front().size(0)), 0.0);
  for (std::size_t k = 0; k < x.size(); ++k)
  {
    const auto * a = x[k].const_data_ptr<double>();
    const auto * b = y[k].const_data_ptr<double>();
    const auto width = x[k].numel() / std::max<std::int64_t>(x[k].size(0), 1);
    for (auto & dot : dots)
    {
      double sum = 0.0;
      for (std::int64_t i = 0; i < width; ++i)
        sum += a[i] * b[i];
      dot += sum;
      a += width;
      b += width;
    }
  }
  return dots;
}

} // namespace

std::vector<double> row_dot(const Groups & x, const Groups & y)
{
  if (is_plain(x) && is_plain(y))
    return row_dot_of_plain(x, y);
  at::Tensor total;
  for (std::size_t k = 0; k < x.size(); ++k)
  {
    const auto part = (x[k] * y[k]).flatten(1).sum(1);
    total = total.defined() ? total + part : part;
  }
  const auto host = total.to(at::kCPU, at::kDouble).contiguous();
  const auto * data = host.const_data_ptr<double>();
  return {data, data + host.numel()};
}

std::vector<double> row_norm(const Groups & x)
{
  auto norms = row_dot(x, x);
  for (auto & norm : norms)
    norm = std::sqrt(norm);
  return norms;
}

} // namespace neml2_aoti_plugin
