#include "check.h"
#include "layout/shape_table.h"

namespace neml2_aoti_plugin {
namespace {

const InputPair stress_by_strain{"stress", "strain", {6}, {6}, {4}, false};

ForwardSegmentDescription forward_with(std::optional<InputDerivativeGraph> derivatives) {
  return {"elastic", "value.pt2", {"strain"}, {"stress"}, {}, std::move(derivatives), {}, {}};
}

/// Master input x, forward segment strain -> stress, master output y.
ModelDescription model_with(SegmentDescription segment) {
  ModelDescription model;
  model.inputs = {{"x", "x", {3}, Shape{2}}};
  model.outputs = {{"y", "y", {3, 3}, std::nullopt}};
  model.segments.push_back(std::move(segment));
  return model;
}

ImplicitSegmentDescription implicit() {
  ImplicitSegmentDescription segment;
  segment.unknown_groups = {{Structure::Block, {5}, {{"slip", {}, {5}}}}};
  segment.given_groups = {{Structure::Dense, {}, {{"time", {}, {}}}}};
  return segment;
}

const check::Tests tests{
{"shape_table_knows_model_inputs_with_their_sub_batch", [] {
  const auto known = ShapeTable(model_with(forward_with({}))).find("x");
  check::equal(known.value().base, {3});
  check::equal(known->sub_batch, std::optional(Shape{2}));
}},
{"shape_table_leaves_unrecorded_sub_batches_unset", [] {
  const auto known = ShapeTable(model_with(forward_with({}))).find("y");
  check::equal(known.value().base, {3, 3});
  check::that(!known->sub_batch);
}},
{"shape_table_does_not_know_variables_of_forward_segments_without_derivatives", [] {
  check::that(!ShapeTable(model_with(forward_with({}))).find("strain"));
}},
{"shape_table_learns_from_derivative_pairs", [] {
  const ShapeTable table(
      model_with(forward_with(InputDerivativeGraph{"derivative.pt2", {stress_by_strain}})));
  check::equal(table.find("strain").value().sub_batch, std::optional(Shape{4}));
  check::equal(table.find("stress").value().base, {6});
  check::that(!table.find("stress")->sub_batch);
}},
{"shape_table_learns_from_the_groups_of_implicit_segments", [] {
  const ShapeTable table(model_with(implicit()));
  check::equal(table.find("slip").value().sub_batch, std::optional(Shape{5}));
  check::equal(table.find("time").value().sub_batch, std::optional(Shape{}));
}},
{"shape_table_keeps_a_known_sub_batch_where_a_later_source_has_none", [] {
  auto model = model_with(implicit());
  model.outputs = {{"slip", "slip", {}, std::nullopt}};
  check::equal(ShapeTable(model).find("slip").value().sub_batch, std::optional(Shape{5}));
}},
};

}  // namespace
}  // namespace neml2_aoti_plugin
