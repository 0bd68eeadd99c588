#include "graphs/small_products.h"

#include <algorithm>
#include <cstring>

namespace neml2_aoti_plugin
{

namespace
{

using Contiguous = std::array<double, most_multiplications>;

/// Row by row. A column count known to the compiler is a loop that it can unroll.
template <int fixed_columns>
void copy_matrix(const MatrixBatch<const double> & from, std::int64_t index,
                 const ProductSizes & sizes, Contiguous & to)
{
  const auto columns = fixed_columns > 0 ? fixed_columns : sizes.columns;
  const auto * source = from.matrix(index);
  for (std::int64_t k = 0; k < sizes.inner; ++k)
    for (std::int64_t j = 0; j < columns; ++j)
      to[static_cast<std::size_t>(k * columns + j)] =
          source[k * from.strides[1] + j * from.strides[2]];
}

template <int fixed_columns>
void multiply(const MatrixBatch<double> & out, const MatrixBatch<const double> & a,
              const MatrixBatch<const double> & b, const ProductSizes & sizes, std::int64_t begin,
              std::int64_t end)
{
  const auto columns = fixed_columns > 0 ? fixed_columns : sizes.columns;
  constexpr std::size_t widest = fixed_columns > 0 ? fixed_columns : most_multiplications;
  Contiguous right;
  std::array<double, widest> sums;
  for (auto index = begin; index < end; ++index)
  {
    if (index == begin || b.strides[0] != 0) // one matrix may be for all
      copy_matrix<fixed_columns>(b, index, sizes, right);
    const auto * left = a.matrix(index);
    auto * target = out.matrix(index);
    for (std::int64_t i = 0; i < sizes.rows; ++i)
    {
      std::fill_n(sums.begin(), columns, 0.0);
      for (std::int64_t k = 0; k < sizes.inner; ++k)
      {
        const auto factor = left[i * a.strides[1] + k * a.strides[2]];
        for (std::int64_t j = 0; j < columns; ++j)
          sums[static_cast<std::size_t>(j)] +=
              factor * right[static_cast<std::size_t>(k * columns + j)];
      }
      for (std::int64_t j = 0; j < columns; ++j)
        target[i * out.strides[1] + j * out.strides[2]] = sums[static_cast<std::size_t>(j)];
    }
  }
}

/// Second-order tensors in one piece, of which crystal models multiply most: two columns in a
/// vector and one beside it.
void multiply_tensors(double * out, const double * a, const double * b, std::int64_t count)
{
  using Pair = double __attribute__((vector_size(16)));
  for (; count > 0; --count, out += 9, a += 9, b += 9)
  {
    Pair pairs[3];
    for (int k = 0; k < 3; ++k)
      std::memcpy(&pairs[k], b + 3 * k, sizeof(Pair));
    const double last[3] = {b[2], b[5], b[8]};
    for (int i = 0; i < 3; ++i)
    {
      Pair pair{};
      double third = 0.0;
      for (int k = 0; k < 3; ++k)
      {
        pair += a[3 * i + k] * pairs[k];
        third += a[3 * i + k] * last[k];
      }
      std::memcpy(out + 3 * i, &pair, sizeof(Pair));
      out[3 * i + 2] = third;
    }
  }
}

template <typename Number>
bool are_tensors(const MatrixBatch<Number> & matrices)
{
  return matrices.strides == std::array<std::int64_t, 3>{9, 3, 1};
}

} // namespace

void multiply_small(const MatrixBatch<double> & out, const MatrixBatch<const double> & a,
                    const MatrixBatch<const double> & b, const ProductSizes & sizes,
                    std::int64_t begin, std::int64_t end)
{
  if (sizes.rows == 3 && sizes.inner == 3 && sizes.columns == 3 && are_tensors(out) &&
      are_tensors(a) && are_tensors(b))
    return multiply_tensors(out.matrix(begin), a.matrix(begin), b.matrix(begin), end - begin);
  switch (sizes.columns)
  {
  case 1:
    return multiply<1>(out, a, b, sizes, begin, end);
  case 3: // vectors and second-order tensors
    return multiply<3>(out, a, b, sizes, begin, end);
  case 6: // symmetric ones in Mandel notation
    return multiply<6>(out, a, b, sizes, begin, end);
  case 9:
    return multiply<9>(out, a, b, sizes, begin, end);
  default:
    return multiply<0>(out, a, b, sizes, begin, end);
  }
}

} // namespace neml2_aoti_plugin
