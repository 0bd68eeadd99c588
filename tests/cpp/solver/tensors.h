// Small tensors for tests, and checks of them.
#pragma once

#include <ATen/core/Formatting.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/tensor.h>

#include "check.h"
#include "description/variable.h"

namespace neml2_aoti_plugin {

inline at::Tensor tensor_of(const std::vector<double>& values, const Shape& shape) {
  return at::tensor(values, at::kDouble).reshape(shape);
}

/// One scalar per row: (rows, 1).
inline at::Tensor column(const std::vector<double>& values) {
  return tensor_of(values, {-1, 1});
}

inline at::Tensor index_of(const std::vector<std::int64_t>& rows) {
  return at::tensor(rows, at::kLong);
}

/// first, first + 1, first + 2, ... in row-major order.
inline at::Tensor counting(const Shape& shape, double first = 0.0) {
  std::int64_t count = 1;
  for (const auto extent : shape)
    count *= extent;
  std::vector<double> values;
  for (std::int64_t k = 0; k < count; ++k)
    values.push_back(first + static_cast<double>(k));
  return tensor_of(values, shape);
}

/// Same dtype, shape and numbers, bit by bit but for NaN.
inline void same(const at::Tensor& found, const at::Tensor& expected,
                 const check::Where& where = check::Where::current()) {
  if (found.scalar_type() != expected.scalar_type() || !at::equal(found, expected))
    throw check::Failure("found " + check::show(found) + "\n  expected " + check::show(expected),
                         where);
}

inline void near(const at::Tensor& found, const std::vector<double>& expected, double tolerance,
                 const check::Where& where = check::Where::current()) {
  const auto flat = found.reshape({-1}).contiguous();
  check::equal(static_cast<std::size_t>(flat.numel()), expected.size(), where);
  for (std::size_t k = 0; k < expected.size(); ++k)
    check::near(flat.const_data_ptr<double>()[k], expected[k], tolerance, where);
}

inline double number(const at::Tensor& values, std::int64_t position) {
  return values.reshape({-1}).contiguous().const_data_ptr<double>()[position];
}

}  // namespace neml2_aoti_plugin
