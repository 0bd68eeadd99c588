#include "numerics/row_matmul.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/matmul.h>

#include <algorithm>

namespace neml2_aoti_plugin
{

namespace
{

/// c = a b for one row.
void multiply(const double * a, const double * b, double * c, std::int64_t n, std::int64_t k,
              std::int64_t m)
{
  for (std::int64_t i = 0; i < n; ++i)
  {
    auto * row = c + i * m;
    std::fill_n(row, m, 0.0);
    for (std::int64_t j = 0; j < k; ++j)
    {
      const auto factor = a[i * k + j];
      const auto * other = b + j * m;
      for (std::int64_t l = 0; l < m; ++l)
        row[l] += factor * other[l];
    }
  }
}

} // namespace

at::Tensor row_matmul(const at::Tensor & a, const at::Tensor & b)
{
  if (!a.is_cpu())
    return at::matmul(a, b);
  const auto left = a.contiguous();
  const auto right = b.contiguous();
  const auto n = left.size(1);
  const auto k = left.size(2);
  const auto m = right.size(2);
  const auto rows = left.size(0) == 1 ? right.size(0) : left.size(0);
  auto product = at::empty({rows, n, m}, left.options());
  const auto * x = left.const_data_ptr<double>();
  const auto * y = right.const_data_ptr<double>();
  auto * z = product.mutable_data_ptr<double>();
  const auto x_step = left.size(0) == 1 ? 0 : n * k;
  const auto y_step = right.size(0) == 1 ? 0 : k * m;
  for (std::int64_t row = 0; row < rows; ++row)
    multiply(x + row * x_step, y + row * y_step, z + row * n * m, n, k, m);
  return product;
}

} // namespace neml2_aoti_plugin
