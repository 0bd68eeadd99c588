#include <limits>

#include "check.h"
#include "numerics/row_reductions.h"
#include "solver/tensors.h"

namespace neml2_aoti_plugin {
namespace {

const check::Tests tests{
{"row_dot_sums_over_all_groups_and_axes", [] {
  // Row 0: 1*2 + 2*3 + (1*1 + 1*1) + (2*1 + 0*1) = 12; row 1: 0*2 + 1*3 + (4 + 5) + (6 + 7) = 25.
  const Groups x{tensor_of({1, 2, 0, 1}, {2, 2}), tensor_of({1, 1, 2, 0, 4, 5, 6, 7}, {2, 2, 2})};
  const Groups y{tensor_of({2, 3, 2, 3}, {2, 2}), tensor_of({1, 1, 1, 1, 1, 1, 1, 1}, {2, 2, 2})};
  check::equal(row_dot(x, y), {12.0, 25.0});
}},
{"row_norm_is_euclidean_over_groups", [] {
  const Groups x{tensor_of({1, 2, 0, 3}, {2, 2}), tensor_of({2, 4, 0, 4}, {2, 2, 1})};
  check::equal(row_norm(x), {5.0, 5.0});
}},
{"row_norm_of_one_number_is_its_absolute_value", [] {
  check::equal(row_norm({tensor_of({-3, 0.1}, {2, 1})}), {3.0, 0.1});
}},
{"row_norm_keeps_rows_apart_that_are_not_numbers", [] {
  const auto norms = row_norm({tensor_of({std::numeric_limits<double>::quiet_NaN(), 1, 3, 4}, {2, 2})});
  check::that(std::isnan(norms.at(0)));
  check::equal(norms.at(1), 5.0);
}},
{"row_norm_accepts_views", [] {
  check::equal(row_norm({tensor_of({3, 5, 4, 12}, {2, 2}).t()}), {5.0, 13.0});
}},
{"row_norm_of_zero_rows_is_empty", [] { check::that(row_norm({counting({0, 3})}).empty()); }},
};

}  // namespace
}  // namespace neml2_aoti_plugin
