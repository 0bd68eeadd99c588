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
  GraphStore graphs{at::kCPU};
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
  f.segment().run(f.state, nullptr, nullptr, f.call);
  near(f.state.at("u").data, {2, 3}, 1e-6);  // rtol 1e-8 on the residual
  check::equal(f.state.at("u").batch, {2});
}},
{"implicit_segment_that_accepts_its_guess_keeps_the_batch_of_the_guess", [] {
  Fixture f;
  f.state.at("g").data = tensor_of({1, 1}, {2});
  f.segment().run(f.state, nullptr, nullptr, f.call);
  same(f.state.at("u").data, tensor_of({1, 1}, {2}));
  check::equal(f.state.at("u").batch, {});
}},
{"implicit_segment_does_not_write_into_the_guess", [] {
  Fixture f;
  const auto guess = f.state.at("u").data;
  f.segment().run(f.state, nullptr, nullptr, f.call);
  same(guess, tensor_of({1, 1}, {2}));
}},
{"implicit_segment_starts_from_zero_where_the_artifact_says_so", [] {
  Fixture f;
  auto description = cube_root();
  description.initial_guess = InitialGuess::Zero;
  f.state.at("g").data = tensor_of({0, 0}, {2});
  f.segment(description).run(f.state, nullptr, nullptr, f.call);
  same(f.state.at("u").data, tensor_of({0, 0}, {2}));
}},
{"implicit_segment_raises_with_the_last_iterate", [] {
  Fixture f;
  NewtonSettings settings;
  settings.max_iterations = 1;
  f.call.newton = settings;
  f.state.at("u").data = tensor_of({2, 1}, {2});
  try {
    f.segment().run(f.state, nullptr, nullptr, f.call);
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
  f.segment().run(f.state, &tangents, nullptr, f.call);
  near(tangents.of("u").at("d"), {1, 1}, 1e-6);  // 12 / (3 * 4), 27 / (3 * 9)
}},
{"implicit_segment_forgets_the_tangent_of_its_guess", [] {
  Fixture f;
  Tangents tangents;
  tangents.seed("u", "d", tensor_of({1, 1}, {2, 1, 1}));
  f.segment().run(f.state, &tangents, nullptr, f.call);
  check::that(!tangents.has("u"));
  check::equal(runs()["sensitivity.pt2"], 0);
}},
{"implicit_segment_with_a_predictor_starts_there", [] {
  Fixture f;
  auto description = cube_root();
  description.initial_guess = InitialGuess::Zero;
  description.predictor = PredictorDescription{"predictor.pt2", {"g"}, {"u"}, std::nullopt};
  scripts()["predictor.pt2"] = [](const Tensors&) { return Tensors{tensor_of({2, 3}, {2})}; };
  f.segment(description).run(f.state, nullptr, nullptr, f.call);
  same(f.state.at("u").data, tensor_of({2, 3}, {2}));
  check::equal(runs()["step.pt2"], 0);
}},
{"implicit_segment_of_no_rows_runs_no_graph", [] {
  Fixture f;
  f.state = {{"g", {counting({0}), {0}}}, {"u", {counting({0}), {0}}}};
  f.call.rows = 0;
  f.call.batch = {0};
  f.segment().run(f.state, nullptr, nullptr, f.call);
  check::equal(f.state.at("u").data.sizes().vec(), {0});
  check::that(runs().empty());
}},
{"implicit_segment_solves_each_row_with_its_own_parameter", [] {
  Fixture f;
  auto description = cube_root();
  description.parameters = {"k"};
  // k u^3 = g, with one k for all rows of a run, as the graphs of a solve are traced.
  const auto b = [](const Tensors& x) { return x[1] - x[2] * x[0] * x[0] * x[0]; };
  scripts()["residual.pt2"] = [b](const Tensors& x) { return Tensors{b(x)}; };
  scripts()["step.pt2"] = [b](const Tensors& x) {
    check::equal(x[2].dim(), 0);
    return Tensors{b(x) / (3.0 * x[2] * x[0] * x[0]), b(x)};
  };
  f.call.rows = 4;
  f.call.batch = {2, 2};
  f.call.parameters = {{"k", {tensor_of({1, 8}, {2, 1}), {2, 1}}}};
  f.state = {{"g", {tensor_of({8, 27, 8, 27}, {4}), {2, 2}}}, {"u", {tensor_of({1, 1, 1, 1}, {4}), {}}}};
  std::vector<SolveRecord> records;
  f.call.records = &records;
  f.segment(description).run(f.state, nullptr, nullptr, f.call);
  near(f.state.at("u").data, {2, 3, 1, 1.5}, 1e-6);
  check::equal(records.size(), std::size_t{1});
  check::equal(records[0].attempts.size(), std::size_t{1});  // over the whole increment, of all rows
  check::equal(records[0].attempts[0].active, std::int64_t{4});
  check::equal(records[0].batch, {2, 2});
}},
{"implicit_segment_adds_the_direct_tangent_of_a_seeded_parameter", [] {
  Fixture f;
  auto description = cube_root();
  description.parameters = {"k"};
  description.parameter_sensitivity =
      FusedParameterSensitivity{"by_parameter.pt2", {{"u", "k", {}, {}}}};
  f.call.parameters = {{"k", {tensor_of({5}, {}), {}}}};
  scripts()["by_parameter.pt2"] = [](const Tensors& x) {
    check::equal(x[2].sizes().vec(), {2});  // these graphs take a value per row
    return Tensors{x[0].squeeze(1) * x[2]};
  };
  Tangents tangents;
  tangents.seed_parameter("k");
  f.segment(description).run(f.state, &tangents, nullptr, f.call);
  near(tangents.of("u").at("k"), {10, 15}, 1e-5);
}},
{"implicit_segment_predicts_in_a_loop", [] {
  Fixture f;
  auto description = cube_root();
  description.predictor = PredictorDescription{
      "predictor.pt2", {"g", "memory"}, {"u", "next"}, PredictorFeedback{"memory", "next", {}, 4}};
  f.state["memory"] = {tensor_of({100, 100}, {2}), {2}};  // not where the loop starts
  scripts()["predictor.pt2"] = [](const Tensors& x) {
    return Tensors{x[1], x[1] + 1.0};  // u is the pass before
  };
  f.state.at("g").data = tensor_of({27, 27}, {2});
  f.segment(description).run(f.state, nullptr, nullptr, f.call);
  check::equal(runs()["predictor.pt2"], 4);
  check::equal(runs()["step.pt2"], 0);  // the last pass predicts u = 3
}},
};

}  // namespace
}  // namespace neml2_aoti_plugin
