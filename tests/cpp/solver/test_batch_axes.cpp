#include "check.h"
#include "graphs/batch_axes.h"
#include "solver/tensors.h"

namespace neml2_aoti_plugin {
namespace {

const check::Tests tests{
{"batch_axes_split_rows_into_a_free_and_a_frozen_axis", [] {
  const BatchAxes axes{{std::nullopt, 3}, {3}};
  same(axes.split({counting({6, 2})}).at(0), counting({2, 3, 2}));
}},
{"batch_axes_leave_an_argument_without_rows", [] {
  const BatchAxes axes{{4, 3}, {3, 1}};
  const auto split = axes.split({counting({12, 2}), counting({12})});
  same(split.at(0), counting({4, 3, 2}));
  same(split.at(1), counting({12}));
}},
{"batch_axes_of_rank_zero_take_the_one_row_away", [] {
  const BatchAxes axes{{}, {1}};
  same(axes.split({counting({1, 2})}).at(0), counting({2}));
  same(axes.merged({counting({2})}).at(0), counting({1, 2}));
}},
{"batch_axes_merge_results_into_rows", [] {
  const BatchAxes axes{{std::nullopt, 3}, {}};
  same(axes.merged({counting({2, 3, 2})}).at(0), counting({6, 2}));
}},
{"batch_axes_leave_a_result_that_lacks_them", [] {
  const BatchAxes axes{{std::nullopt, 3}, {}};
  same(axes.merged({counting({6})}).at(0), counting({6}));
}},
{"batch_axes_merge_those_of_a_result_that_is_the_same_for_all_rows", [] {
  const BatchAxes axes{{std::nullopt, 3}, {}};
  same(axes.merged({counting({1, 1, 6})}).at(0), counting({1, 6}));
}},
};

}  // namespace
}  // namespace neml2_aoti_plugin
