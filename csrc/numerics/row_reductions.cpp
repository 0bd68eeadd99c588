#include "numerics/row_reductions.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>

#include <cmath>

namespace neml2_aoti_plugin
{

std::vector<double> row_dot(const Groups & x, const Groups & y)
{
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
