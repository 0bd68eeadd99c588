#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <random>

#include "check.h"
#include "numerics/batched_lu.h"

namespace neml2_aoti_plugin {
namespace {

using Numbers = std::vector<double>;

struct Factors {
  Numbers lu;
  std::vector<std::int64_t> pivots;
  std::vector<bool> is_singular;
};

Factors factors_of(const Numbers& matrices, std::int64_t count, std::int64_t order) {
  Factors factors{matrices, std::vector<std::int64_t>(static_cast<std::size_t>(count * order)), {}};
  const std::unique_ptr<bool[]> is_singular(new bool[static_cast<std::size_t>(count)]);
  lu_factorise({count, order}, factors.lu.data(), factors.pivots.data(), is_singular.get());
  factors.is_singular.assign(is_singular.get(), is_singular.get() + count);
  return factors;
}

Numbers solved(const Numbers& matrices, const Numbers& b, std::int64_t count, std::int64_t order,
               std::int64_t columns) {
  const auto factors = factors_of(matrices, count, order);
  Numbers x(b.size());
  lu_solve({count, order}, factors.lu.data(), factors.pivots.data(), b.data(), x.data(), columns);
  return x;
}

Numbers random_numbers(std::int64_t count, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<double> normal;
  Numbers numbers(static_cast<std::size_t>(count));
  std::generate(numbers.begin(), numbers.end(), [&] { return normal(generator); });
  return numbers;
}

/// The largest |b - A x| over the largest sum of its terms: the backward error, componentwise.
double backward_error(const Numbers& a, const Numbers& b, const Numbers& x, std::int64_t count, std::int64_t n,
                      std::int64_t columns) {
  const auto at = [](const Numbers& numbers, std::int64_t i) { return numbers[static_cast<std::size_t>(i)]; };
  double worst = 0.0;
  for (std::int64_t m = 0; m < count; ++m)
    for (std::int64_t i = 0; i < n; ++i)
      for (std::int64_t k = 0; k < columns; ++k) {
        double rest = at(b, (m * n + i) * columns + k);
        double size = std::abs(rest);
        for (std::int64_t j = 0; j < n; ++j) {
          const auto term = at(a, (m * n + i) * n + j) * at(x, (m * n + j) * columns + k);
          rest -= term;
          size += std::abs(term);
        }
        worst = std::max(worst, std::abs(rest) / size);
      }
  return worst;
}

Numbers piece(const Numbers& all, std::int64_t number, std::int64_t size) {
  const auto begin = all.begin() + number * size;
  return {begin, begin + size};
}

const check::Tests tests{
{"lu_solves_a_system_by_hand", [] {
  // A^-1 = (5 -2 1; -2 4 -2; 1 -2 5) / 8.
  const Numbers a{2, 1, 0, 1, 3, 1, 0, 1, 2};
  const auto x = solved(a, {3, 5, 3}, 1, 3, 1);
  for (const auto entry : x)
    check::that(std::abs(entry - 1.0) < 1e-15);
}},
{"lu_swaps_rows_where_the_diagonal_is_zero", [] {
  check::equal(solved({0, 2, 4, 0}, {6, 8}, 1, 2, 1), {2.0, 3.0});
}},
{"lu_is_accurate_at_every_order_count_and_number_of_right_hand_sides", [] {
  for (const std::int64_t order : {1, 2, 3, 5, 8, 19, 33})
    for (const std::int64_t count : {1, 2, 3, 8, 9, 31})
      for (const std::int64_t columns : {1, 2, 8, 13}) {
        const auto a = random_numbers(count * order * order, 1);
        const auto b = random_numbers(count * order * columns, 2);
        const auto x = solved(a, b, count, order, columns);
        check::that(backward_error(a, b, x, count, order, columns) < 1e-13);
      }
}},
{"lu_of_a_matrix_is_the_same_among_any_others", [] {
  constexpr std::int64_t order = 7;
  constexpr std::int64_t count = 21;
  const auto a = random_numbers(count * order * order, 3);
  const auto b = random_numbers(count * order, 4);
  const auto together = solved(a, b, count, order, 1);
  for (std::int64_t m = 0; m < count; ++m)
    check::equal(piece(together, m, order),
                 solved(piece(a, m, order * order), piece(b, m, order), 1, order, 1));
}},
{"lu_finds_the_singular_matrix_and_solves_the_others", [] {
  const Numbers regular{2, 0, 0, 4};
  Numbers a;
  for (std::int64_t m = 0; m < 11; ++m) {
    const Numbers one = m == 5 ? Numbers{1, 2, 2, 4} : regular;
    a.insert(a.end(), one.begin(), one.end());
  }
  const auto factors = factors_of(a, 11, 2);
  for (std::size_t m = 0; m < 11; ++m)
    check::that(factors.is_singular[m] == (m == 5));
  const auto x = solved(a, Numbers(22, 8.0), 11, 2, 1);
  check::equal(piece(x, 4, 2), {4.0, 2.0});
  check::equal(piece(x, 6, 2), {4.0, 2.0});
}},
{"lu_keeps_matrices_apart_that_are_not_numbers", [] {
  Numbers a{2, 0, 0, 4, 2, 0, 0, 4, 2, 0, 0, 4};
  a[4] = std::numeric_limits<double>::quiet_NaN();
  const auto factors = factors_of(a, 3, 2);
  check::that(!factors.is_singular[0] && !factors.is_singular[1] && !factors.is_singular[2]);
  const auto x = solved(a, Numbers(6, 8.0), 3, 2, 1);
  check::equal(piece(x, 0, 2), {4.0, 2.0});
  check::that(std::isnan(x[2]));
  check::equal(piece(x, 2, 2), {4.0, 2.0});
}},
{"lu_in_one_go_is_bitwise_the_same", [] {
  for (const std::int64_t count : {1, 2, 5, 24}) {
    const auto a = random_numbers(count * 36, 5);
    const auto b = random_numbers(count * 6, 6);
    Numbers x(b.size());
    const std::unique_ptr<bool[]> is_singular(new bool[static_cast<std::size_t>(count)]);
    lu_solve_once({count, 6}, a.data(), b.data(), x.data(), is_singular.get());
    check::equal(x, solved(a, b, count, 6, 1));
  }
}},
};

}  // namespace
}  // namespace neml2_aoti_plugin
