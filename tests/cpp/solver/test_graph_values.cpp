#include "check.h"
#include "errors.h"
#include "segments/graph_values.h"
#include "solver/tensors.h"

namespace neml2_aoti_plugin {
namespace {

const KnownShape vector_shape{{2}, Shape{}};

Value value(const at::Tensor& raw, const std::optional<KnownShape>& known, std::int64_t rows) {
  const Graph graph("value.pt2", at::kCPU, {});
  return value_from(raw, known, rows, {rows}, "stress", graph);
}

const check::Tests tests{
{"value_from_a_batched_result_is_the_result", [] {
  const auto found = value(counting({3, 2}), vector_shape, 3);
  same(found.data, counting({3, 2}));
  check::equal(found.batch, {3});
}},
{"value_from_a_result_without_batch_is_repeated_and_depends_on_none", [] {
  const auto found = value(counting({2}), vector_shape, 3);
  same(found.data, tensor_of({0, 1, 0, 1, 0, 1}, {3, 2}));
  check::equal(found.batch, {});
  check::that(found.data.is_contiguous());
}},
{"value_from_a_result_without_batch_is_a_copy", [] {
  const auto constant = counting({2});
  check::that(!value(constant, vector_shape, 1).data.is_alias_of(constant));
}},
{"value_from_one_row_is_repeated", [] {
  const auto found = value(counting({1, 2}), vector_shape, 3);
  same(found.data, tensor_of({0, 1, 0, 1, 0, 1}, {3, 2}));
  check::equal(found.batch, {3});
}},
{"value_from_a_result_whose_first_base_extent_equals_the_rows_is_not_taken_for_batched", [] {
  same(value(counting({2}), vector_shape, 2).data, tensor_of({0, 1, 0, 1}, {2, 2}));
}},
{"value_from_a_result_of_unknown_shape_is_judged_by_its_extent", [] {
  same(value(counting({3, 2}), std::nullopt, 3).data, counting({3, 2}));
  same(value(counting({2}), std::nullopt, 3).data, tensor_of({0, 1, 0, 1, 0, 1}, {3, 2}));
}},
{"value_from_a_result_with_another_base_is_refused", [] {
  check::throws<ArtifactError>([] { value(counting({3, 5}), vector_shape, 3); },
                               "value.pt2: returned 'stress' with shape (3, 5), expected one that ends with (2,). "
                               "Recompile the model.");
}},
{"value_from_a_result_with_other_rows_is_refused", [] {
  check::throws<ArtifactError>(
      [] { value(counting({4, 2}), vector_shape, 3); },
      "value.pt2: returned 'stress' with 4 rows for a batch of 3. If the artifact was compiled for a fixed batch "
      "size (--no-dynamic-batch), call it with that size; else recompile it.");
}},
{"value_of_an_unknown_variable_names_it_and_the_segment", [] {
  check::throws<ArtifactError>([] { value_of({}, "strain", "elastic"); },
                               "segment 'elastic' reads 'strain', which is neither a model input nor an output of "
                               "an earlier segment");
}},
{"batch_of_variables_is_their_broadcast", [] {
  const State state{{"a", {counting({6}), {2, 1}}}, {"b", {counting({6}), {3}}}, {"c", {counting({6}), {}}}};
  check::equal(batch_of(state, {"a", "b"}), {2, 3});
  check::equal(batch_of(state, {"b", "c"}), {3});
  check::equal(batch_of(state, {"c", "absent"}), {});
}},
};

}  // namespace
}  // namespace neml2_aoti_plugin
