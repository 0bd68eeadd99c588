#include <ATen/TensorOperators.h>

#include "check.h"
#include "numerics/convergence_error.h"
#include "segments/implicit_segment.h"
#include "solver/problems.h"
#include "solver/scripted_graphs.h"

namespace neml2_aoti_plugin {
namespace {

/// u^3 = g; du/dg = 1 / (3 u^2).
ImplicitSegmentDescription cube_root() {
  ImplicitSegmentDescription segment;
  segment.label = "root";
  segment.unknown_groups = {{Structure::Dense, {}, {{"u", {}, {}}}}};
  segment.given_groups = {{Structure::Dense, {}, {{"g", {}, {}}}}};
  segment.residual_groups = segment.unknown_groups;
  segment.residual = "residual.pt2";
  segment.direction = FusedDirection{"step.pt2"};
  segment.sensitivity = FusedSensitivity{"sensitivity.pt2", {{"u", "g", {}, {}, {}, false}}};
  segment.initial_guess = InitialGuess::State;
  return segment;
}

struct Fixture {
  GraphStore graphs{-1};
  State state{{"g", {tensor_of({8, 27}, {2}), {2}}}, {"u", {tensor_of({1, 1}, {2}), {}}}};
  Call call{2, {2}, at::TensorOptions().dtype(at::kDouble), {}, std::nullopt};

  Fixture() {
    give_scripts({{"residual.pt2", [](const Tensors& x) { return Tensors{x[1] - x[0] * x[0] * x[0]}; }},
                  {"step.pt2",
                   [](const Tensors& x) {
                     const auto b = x[1] - x[0] * x[0] * x[0];
                     return Tensors{b / (3.0 * x[0] * x[0]), b};
                   }},
                  {"sensitivity.pt2", [](const Tensors& x) { return Tensors{1.0 / (3.0 * x[0] * x[0])}; }}});
  }

  ImplicitSegment segment(const ImplicitSegmentDescription& description = cube_root()) {
    return {description, ShapeTable(ModelDescription{}), graphs};
  }
};

const check::Tests tests{
{"implicit_segment_writes_its_unknowns", [] {
  Fixture f;
  f.segment().run(f.state, f.call);
  near(f.state.at("u").data, {2, 3}, 1e-6);  // rtol 1e-8 on the residual
  check::equal(f.state.at("u").batch, {2});
}},
{"implicit_segment_that_accepts_its_guess_keeps_the_batch_of_the_guess", [] {
  Fixture f;
  f.state.at("g").data = tensor_of({1, 1}, {2});
  f.segment().run(f.state, f.call);
  same(f.state.at("u").data, tensor_of({1, 1}, {2}));
  check::equal(f.state.at("u").batch, {});
}},
{"implicit_segment_does_not_write_into_the_guess", [] {
  Fixture f;
  const auto guess = f.state.at("u").data;
  f.segment().run(f.state, f.call);
  same(guess, tensor_of({1, 1}, {2}));
}},
{"implicit_segment_starts_from_zero_where_the_artifact_says_so", [] {
  Fixture f;
  auto description = cube_root();
  description.initial_guess = InitialGuess::Zero;
  f.state.at("g").data = tensor_of({0, 0}, {2});
  f.segment(description).run(f.state, f.call);
  same(f.state.at("u").data, tensor_of({0, 0}, {2}));
}},
{"implicit_segment_raises_with_the_last_iterate", [] {
  Fixture f;
  NewtonSettings settings;
  settings.max_iterations = 1;
  f.call.newton = settings;
  f.state.at("u").data = tensor_of({2, 1}, {2});
  try {
    f.segment().run(f.state, f.call);
  } catch (const ConvergenceError& error) {
    check::equal(error.unknowns().at(0).first, "u");
    near(error.unknowns().at(0).second, {2, 1 + 26.0 / 3}, 1e-14);
    check::that(error.result().status[0] == RowStatus::Converged);
    check::that(error.result().status[1] == RowStatus::IterationLimit);
    return;
  }
  check::that(false);
}},
{"implicit_segment_carries_tangents_through_the_solution", [] {
  Fixture f;
  Tangents tangents;
  tangents.seed("g", "d", tensor_of({12, 27}, {2, 1, 1}));
  f.segment().run(f.state, tangents, f.call);
  near(tangents.of("u").at("d"), {1, 1}, 1e-6);  // 12 / (3 * 4), 27 / (3 * 9)
}},
{"implicit_segment_forgets_the_tangent_of_its_guess", [] {
  Fixture f;
  Tangents tangents;
  tangents.seed("u", "d", tensor_of({1, 1}, {2, 1, 1}));
  f.segment().run(f.state, tangents, f.call);
  check::that(!tangents.has("u"));
  check::equal(runs()["sensitivity.pt2"], 0);
}},
{"implicit_segment_with_a_predictor_starts_there", [] {
  Fixture f;
  auto description = cube_root();
  description.initial_guess = InitialGuess::Zero;
  description.predictor = PredictorDescription{"predictor.pt2", {"g"}, {"u"}};
  scripts()["predictor.pt2"] = [](const Tensors&) { return Tensors{tensor_of({2, 3}, {2})}; };
  f.segment(description).run(f.state, f.call);
  same(f.state.at("u").data, tensor_of({2, 3}, {2}));
  check::equal(runs()["step.pt2"], 0);
}},
{"implicit_segment_of_no_rows_runs_no_graph", [] {
  Fixture f;
  f.state = {{"g", {counting({0}), {0}}}, {"u", {counting({0}), {0}}}};
  f.call.rows = 0;
  f.call.batch = {0};
  f.segment().run(f.state, f.call);
  check::equal(f.state.at("u").data.sizes().vec(), {0});
  check::that(runs().empty());
}},
{"implicit_segment_refuses_a_parameter_per_row", [] {
  Fixture f;
  auto description = cube_root();
  description.parameters = {"k"};
  f.call.parameters = {{"k", {counting({2}), {2}}}};
  check::throws<UnsupportedFeatureError>(
      [&] { f.segment(description).run(f.state, f.call); },
      "segment 'root': parameter 'k' has the batch (2,), but the graphs of this implicit segment take one value for "
      "all rows, and per-row parameters of implicit segments are not supported yet. Set a single value.");
}},
};

}  // namespace
}  // namespace neml2_aoti_plugin
