#include "check.h"
#include "model/results.h"
#include "segments/tangents.h"
#include "solver/tensors.h"

namespace neml2_aoti_plugin {
namespace {

const check::Tests tests{
{"with_batch_splits_the_rows", [] {
  same(with_batch(counting({6, 2}), {3, 2}), counting({3, 2, 2}));
  same(with_batch(counting({1, 2}), {}), counting({2}));
}},
{"narrowed_to_the_whole_batch_changes_nothing", [] {
  same(narrowed_to(counting({2, 3, 4}), {2, 3}, {2, 3}), counting({2, 3, 4}));
}},
{"narrowed_to_drops_leading_axes", [] {
  same(narrowed_to(counting({2, 3, 4}), {2, 3}, {3}), counting({3, 4}));
}},
{"narrowed_to_no_batch_leaves_the_base", [] {
  same(narrowed_to(counting({2, 3, 4}), {2, 3}, {}), counting({4}));
}},
{"narrowed_to_keeps_axes_of_one", [] {
  same(narrowed_to(counting({2, 3, 4}), {2, 3}, {1, 3}), counting({1, 3, 4}));
  same(narrowed_to(counting({2, 3, 1}), {2, 3}, {2, 1}), tensor_of({0, 3}, {2, 1, 1}));
}},
{"narrowed_to_leaves_an_empty_batch_alone", [] {
  check::equal(narrowed_to(counting({0, 3, 4}), {0, 3}, {}).sizes().vec(), {0, 3, 4});
}},

{"foreign_storage_copies_what_shares_a_known_storage", [] {
  ForeignStorage foreign;
  const auto input = counting({2, 2});
  foreign.add(input);
  const auto owned = foreign.own(input.narrow(0, 0, 1));
  same(owned, counting({1, 2}));
  check::that(!owned.is_alias_of(input));
}},
{"foreign_storage_passes_what_is_fresh", [] {
  ForeignStorage foreign;
  const auto fresh = counting({2, 2});
  check::that(foreign.own(fresh).is_alias_of(fresh));
}},
{"foreign_storage_keeps_results_apart", [] {
  ForeignStorage foreign;
  const auto graph_result = counting({2, 2});
  const auto first = foreign.own(graph_result);
  const auto second = foreign.own(graph_result);
  check::that(!first.is_alias_of(second));
  same(first, second);
}},
{"foreign_storage_returns_contiguous_tensors", [] {
  ForeignStorage foreign;
  const auto transposed = counting({2, 3}).t();
  check::that(foreign.own(transposed).is_contiguous());
}},

{"accumulate_multiplies_the_block_with_the_tangent", [] {
  // (1 2; 3 4) (5; 6) = (17; 39) in both rows, the block being the same for all.
  SeedTangents total;
  accumulate(total, tensor_of({1, 2, 3, 4}, {1, 2, 2}), {{"d", tensor_of({5, 6, 50, 60}, {2, 2, 1})}});
  same(total.at("d"), tensor_of({17, 39, 170, 390}, {2, 2, 1}));
}},
{"accumulate_adds_to_what_is_there", [] {
  SeedTangents total{{"d", tensor_of({1}, {1, 1, 1})}};
  accumulate(total, tensor_of({2}, {1, 1, 1}), {{"d", tensor_of({3}, {1, 1, 1})}});
  same(total.at("d"), tensor_of({7}, {1, 1, 1}));
}},
{"accumulate_broadcasts_a_tangent_without_rows", [] {
  SeedTangents total{{"d", tensor_of({1, 2}, {2, 1, 1})}};
  accumulate(total, tensor_of({3, 4}, {2, 1, 1}), {{"d", tensor_of({10}, {1, 1, 1})}});
  same(total.at("d"), tensor_of({31, 42}, {2, 1, 1}));
}},
{"accumulate_keeps_seeds_apart", [] {
  SeedTangents total{{"x", tensor_of({1}, {1, 1, 1})}};
  accumulate(total, tensor_of({2}, {1, 1, 1}), {{"y", tensor_of({3, 4}, {1, 1, 2})}});
  same(total.at("x"), tensor_of({1}, {1, 1, 1}));
  same(total.at("y"), tensor_of({6, 8}, {1, 1, 2}));
}},
{"accumulate_does_not_write_to_its_arguments", [] {
  const auto shared = tensor_of({1}, {1, 1, 1});
  SeedTangents total{{"d", shared}};
  accumulate(total, tensor_of({2}, {1, 1, 1}), {{"d", tensor_of({3}, {1, 1, 1})}});
  same(shared, tensor_of({1}, {1, 1, 1}));
}},
{"tangents_are_absent_until_seeded", [] {
  Tangents tangents;
  check::that(!tangents.has("u"));
  check::that(tangents.of("u").empty());
  tangents.seed("u", "d", column({1}));
  check::that(tangents.has("u"));
}},
{"tangents_replaced_by_none_are_absent", [] {
  Tangents tangents;
  tangents.seed("u", "d", column({1}));
  tangents.replace("u", {});
  check::that(!tangents.has("u"));
}},
};

}  // namespace
}  // namespace neml2_aoti_plugin
