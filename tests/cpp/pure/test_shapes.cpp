#include "check.h"
#include "layout/shapes.h"

namespace neml2_aoti_plugin {
namespace {

using Maybe = std::optional<Shape>;

// Slots of 6 sites with (2, 3) values, and of 6 sites with one number.
const Slot matrix_slot{"F", {2, 3}, {6}};
const Slot scalar_slot{"s", {}, {6}};
const Group dense{Structure::Dense, {}, {matrix_slot, scalar_slot}};
const Group block{Structure::Block, {6}, {matrix_slot, scalar_slot}};

const check::Tests tests{
{"element_count_is_the_product_of_extents", [] {
  check::equal(element_count({2, 3, 4}), 24);
  check::equal(element_count({7}), 7);
}},
{"element_count_of_no_axes_is_one", [] { check::equal(element_count({}), 1); }},
{"element_count_with_a_zero_extent_is_zero", [] { check::equal(element_count({5, 0, 3}), 0); }},
{"element_count_exceeds_32_bits", [] {
  check::equal(element_count({100000, 100000}), std::int64_t{10'000'000'000});
}},

{"concatenate_keeps_the_order", [] {
  check::equal(concatenate({1, 2}, {3}), {1, 2, 3});
  check::equal(concatenate({3}, {1, 2}), {3, 1, 2});
}},
{"concatenate_with_no_axes_changes_nothing", [] {
  check::equal(concatenate({}, {4, 5}), {4, 5});
  check::equal(concatenate({4, 5}, {}), {4, 5});
  check::equal(concatenate({}, {}), {});
}},

{"broadcast_of_equal_shapes_is_that_shape", [] {
  check::equal(broadcast({2, 3}, {2, 3}), Maybe(Shape{2, 3}));
}},
{"broadcast_widens_extents_of_one_on_both_sides", [] {
  check::equal(broadcast({2, 1, 4}, {1, 3, 1}), Maybe(Shape{2, 3, 4}));
}},
{"broadcast_aligns_at_the_right", [] {
  check::equal(broadcast({5, 2, 3}, {3}), Maybe(Shape{5, 2, 3}));
  check::equal(broadcast({3}, {5, 2, 1}), Maybe(Shape{5, 2, 3}));
}},
{"broadcast_with_no_axes_is_the_other_shape", [] {
  check::equal(broadcast({}, {4, 1}), Maybe(Shape{4, 1}));
  check::equal(broadcast({4, 1}, {}), Maybe(Shape{4, 1}));
  check::equal(broadcast({}, {}), Maybe(Shape{}));
}},
{"broadcast_of_one_and_zero_is_zero", [] {
  check::equal(broadcast({1}, {0}), Maybe(Shape{0}));
  check::equal(broadcast({0}, {1}), Maybe(Shape{0}));
  check::equal(broadcast({0, 3}, {3}), Maybe(Shape{0, 3}));
}},
{"broadcast_refuses_zero_beside_a_larger_extent", [] {
  check::equal(broadcast({0}, {2}), Maybe{});
  check::equal(broadcast({2}, {0}), Maybe{});
}},
{"broadcast_refuses_different_extents", [] {
  check::equal(broadcast({2, 3}, {2, 4}), Maybe{});
  check::equal(broadcast({2, 3}, {2}), Maybe{});
}},

{"ends_with_accepts_the_tail_and_the_whole", [] {
  check::that(ends_with({4, 2, 3}, {2, 3}));
  check::that(ends_with({2, 3}, {2, 3}));
}},
{"ends_with_accepts_no_axes", [] {
  check::that(ends_with({4}, {}));
  check::that(ends_with({}, {}));
}},
{"ends_with_refuses_other_extents_and_longer_tails", [] {
  check::that(!ends_with({2, 3}, {3, 2}));
  check::that(!ends_with({3}, {2, 3}));
  check::that(!ends_with({}, {1}));
}},
{"ends_with_does_not_broadcast", [] { check::that(!ends_with({4, 1}, {6})); }},

{"to_string_is_a_python_tuple", [] {
  check::equal(to_string({}), "()");
  check::equal(to_string({6}), "(6,)");
  check::equal(to_string({2, 0, 3}), "(2, 0, 3)");
}},

{"slot_width_in_a_dense_group_counts_all_sites", [] {
  check::equal(slot_width(dense, matrix_slot), 36);
  check::equal(slot_width(dense, scalar_slot), 6);
}},
{"slot_width_in_a_block_group_counts_one_site", [] {
  check::equal(slot_width(block, matrix_slot), 6);
  check::equal(slot_width(block, scalar_slot), 1);
}},
{"group_width_is_the_sum_over_slots", [] {
  check::equal(group_width(dense), 42);
  check::equal(group_width(block), 7);
}},
{"group_width_of_an_empty_group_is_zero", [] {
  check::equal(group_width({Structure::Dense, {}, {}}), 0);
}},
};

}  // namespace
}  // namespace neml2_aoti_plugin
