#include <random>

#include "check.h"
#include "graphs/small_products.h"

namespace neml2_aoti_plugin {
namespace {

using Numbers = std::vector<double>;
using Strides = std::array<std::int64_t, 3>;

Numbers random_numbers(std::int64_t count, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<double> normal;
  Numbers numbers(static_cast<std::size_t>(count));
  for (auto& number : numbers)
    number = normal(generator);
  return numbers;
}

std::size_t at(const Strides& strides, std::int64_t batch, std::int64_t i, std::int64_t j) {
  return static_cast<std::size_t>(batch * strides[0] + i * strides[1] + j * strides[2]);
}

/// Strides of matrices one after the other, by row or by column, or of one matrix for all.
Strides strides_of(char kind, std::int64_t rows, std::int64_t columns) {
  if (kind == 't')
    return {rows * columns, 1, rows};
  return {kind == 'e' ? 0 : rows * columns, columns, 1};
}

/// Of all products of a batch against sums taken one number after the other, to the bit.
void check_products(const ProductSizes& sizes, char kind_of_a, char kind_of_b, char kind_of_out) {
  constexpr std::int64_t batch = 7, begin = 2, end = 6;
  const auto a_strides = strides_of(kind_of_a, sizes.rows, sizes.inner);
  const auto b_strides = strides_of(kind_of_b, sizes.inner, sizes.columns);
  const auto out_strides = strides_of(kind_of_out, sizes.rows, sizes.columns);
  const auto a = random_numbers(batch * sizes.rows * sizes.inner, 1);
  const auto b = random_numbers(batch * sizes.inner * sizes.columns, 2);
  Numbers expected(static_cast<std::size_t>(batch * sizes.rows * sizes.columns), -1.0);
  auto found = expected;
  for (auto index = begin; index < end; ++index)
    for (std::int64_t i = 0; i < sizes.rows; ++i)
      for (std::int64_t j = 0; j < sizes.columns; ++j) {
        double sum = 0.0;
        for (std::int64_t k = 0; k < sizes.inner; ++k)
          sum += a[at(a_strides, index, i, k)] * b[at(b_strides, index, k, j)];
        expected[at(out_strides, index, i, j)] = sum;
      }
  multiply_small({found.data(), out_strides}, {a.data(), a_strides}, {b.data(), b_strides}, sizes, begin, end);
  check::equal(found, expected);
}

const check::Tests tests{
{"small_products_are_sums_in_order_whatever_the_strides", [] {
  for (const auto& sizes : {ProductSizes{3, 3, 3}, {6, 6, 6}, {1, 3, 9}, {9, 3, 1}, {6, 12, 1}, {2, 5, 4},
                            {1, 1, 1}, {1, 1, 399}, {399, 1, 1}, {1, 399, 1}, {7, 3, 19}})
    for (const char a : {'c', 't', 'e'})
      for (const char b : {'c', 't', 'e'})
        for (const char out : {'c', 't'})
          check_products(sizes, a, b, out);
}},
{"small_products_of_no_matrices_write_nothing", [] {
  Numbers out{5.0};
  const Numbers one{2.0};
  const Strides strides{1, 1, 1};
  multiply_small({out.data(), strides}, {one.data(), strides}, {one.data(), strides}, {1, 1, 1}, 0, 0);
  check::equal(out, {5.0});
}},
};

}  // namespace
}  // namespace neml2_aoti_plugin
