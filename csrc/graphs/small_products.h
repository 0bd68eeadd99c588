// Products of many small matrices, as graphs of crystal models take them.
#pragma once

#include <array>
#include <cstdint>

namespace neml2_aoti_plugin
{

/// Matrices side by side, float64; strides in elements, of the batch, a row, a column.
template <typename Number>
struct MatrixBatch
{
  Number * data;
  std::array<std::int64_t, 3> strides;

  Number * matrix(std::int64_t index) const { return data + index * strides[0]; }
};

/// (rows, inner) by (inner, columns).
struct ProductSizes
{
  std::int64_t rows, inner, columns;

  std::int64_t multiplications() const { return rows * inner * columns; }
};

/// Products of more multiplications than this are left to a BLAS, here as in torch.
constexpr std::int64_t most_multiplications = 399;

/// out = a b for the matrices from `begin` up to `end`. Terms are summed one after the other, each
/// rounded by itself. `out` shares no memory with `a` and `b`.
void multiply_small(const MatrixBatch<double> & out, const MatrixBatch<const double> & a,
                    const MatrixBatch<const double> & b, const ProductSizes & sizes,
                    std::int64_t begin, std::int64_t end);

} // namespace neml2_aoti_plugin
