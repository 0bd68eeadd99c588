#include <ATen/TensorOperators.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/where.h>

#include "check.h"
#include "graphs/graph_run_error.h"
#include "numerics/convergence_error.h"
#include "segments/implicit_segment.h"
#include "solver/scripted_graphs.h"
#include "solver/tensors.h"

namespace neml2_aoti_plugin {
namespace {

/// u - u~1 = f - f~1, linear, whose update is not a number for rows with |f - f~1| > reach: Newton fails there.
constexpr double reach = 1.0;

ImplicitSegmentDescription accumulate_force(std::int64_t level) {
  ImplicitSegmentDescription segment;
  segment.label = "sum";
  segment.unknown_groups = {{Structure::Dense, {}, {{"u", {}, {}}}}};
  segment.given_groups = {{Structure::Dense, {}, {{"u~1", {}, {}}, {"f", {}, {}}, {"f~1", {}, {}}}}};
  segment.residual_groups = segment.unknown_groups;
  segment.givens = {{"u~1", Role::OldState, "u"}, {"f", Role::CurrentForce, "f~1"}, {"f~1", Role::OldForce, "f"}};
  segment.residual = "residual.pt2";
  segment.direction = FusedDirection{"step.pt2"};
  segment.sensitivity = FusedSensitivity{
      "sensitivity.pt2", {{"u", "u~1", {}, {}, {}, false}, {"u", "f", {}, {}, {}, false}, {"u", "f~1", {}, {}, {}, false}}};
  segment.initial_guess = InitialGuess::State;
  segment.max_substepping_level = level;
  return segment;
}

at::Tensor residual(const Tensors& x) {
  const auto old_u = x[1].narrow(1, 0, 1);
  const auto f = x[1].narrow(1, 1, 1);
  const auto old_f = x[1].narrow(1, 2, 1);
  return old_u + 2.0 * (f - old_f) - x[0];
}

struct Fixture {
  GraphStore graphs{at::kCPU};
  State state;
  Call call{3, {3}, at::TensorOptions().dtype(at::kDouble), {}, std::nullopt};
  std::vector<SolveRecord> records;

  Fixture() {
    state = {{"u~1", {tensor_of({1, 2, 3}, {3}), {3}}},
             {"f", {tensor_of({10.5, 13.5, 8}, {3}), {3}}},
             {"f~1", {tensor_of({10, 10, 10}, {3}), {3}}},
             {"u", {tensor_of({0, 0, 0}, {3}), {}}}};
    call.records = &records;
    give_scripts({{"residual.pt2", [](const Tensors& x) { return Tensors{residual(x)}; }},
                  {"step.pt2",
                   [](const Tensors& x) {
                     const auto increment = x[1].narrow(1, 1, 1) - x[1].narrow(1, 2, 1);
                     const auto b = residual(x);
                     const auto du = at::where(increment.abs().gt(reach), b / 0.0, b);
                     return Tensors{du, b};
                   }},
                  {"sensitivity.pt2", [](const Tensors& x) {
                     const auto one = at::ones_like(x[0]).unsqueeze(-1);
                     return Tensors{one, 2.0 * one, -2.0 * one};
                   }}});
  }

  void run(std::int64_t level, Tangents* tangents = nullptr) {
    ImplicitSegment(accumulate_force(level), ShapeTable(ModelDescription{}), graphs).run(state, tangents, nullptr, call);
  }
};

const check::Tests tests{
{"substeps_reach_the_end_of_the_increment_row_by_row", [] {
  Fixture f;
  f.run(3);
  near(f.state.at("u").data, {2, 9, -1}, 1e-12);  // u~1 + 2 (f - f~1)
  check::equal(f.records.at(0).substeps, {1, 4, 2});
  check::that(f.records[0].rows.all_converged());
}},
{"substeps_leave_the_caller_s_givens_alone", [] {
  Fixture f;
  f.run(3);
  same(f.state.at("u~1").data, tensor_of({1, 2, 3}, {3}));
  same(f.state.at("f").data, tensor_of({10.5, 13.5, 8}, {3}));
  same(f.state.at("f~1").data, tensor_of({10, 10, 10}, {3}));
}},
{"substeps_are_recorded_attempt_by_attempt", [] {
  Fixture f;
  f.run(2);
  const auto& attempts = f.records.at(0).attempts;
  // Row 1 is halved twice: both halves of the first half, then both of the second.
  std::vector<double> begins;
  std::vector<std::int64_t> active;
  for (const auto& attempt : attempts) {
    begins.push_back(attempt.begin);
    active.push_back(attempt.active);
  }
  check::equal(begins, {0, 0, 0, 0.25, 0.5, 0.5, 0.75});
  check::equal(active, {3, 2, 1, 1, 2, 1, 1});
}},
{"substeps_carry_a_consistent_tangent", [] {
  Fixture f;
  Tangents tangents;
  tangents.seed("u~1", "u~1", tensor_of({1}, {1, 1, 1}));
  tangents.seed("f", "f", tensor_of({1}, {1, 1, 1}));
  tangents.seed("f~1", "f~1", tensor_of({1}, {1, 1, 1}));
  f.run(3, &tangents);
  // However the increment is divided, u = u~1 + 2 (f - f~1).
  near(tangents.of("u").at("u~1"), {1, 1, 1}, 1e-14);
  near(tangents.of("u").at("f"), {2, 2, 2}, 1e-14);
  near(tangents.of("u").at("f~1"), {-2, -2, -2}, 1e-14);
}},
{"substeps_that_do_not_suffice_fail_alone_and_keep_what_was_solved", [] {
  Fixture f;
  try {
    f.run(1);
  } catch (const ConvergenceError& error) {
    check::equal(error.result().status.at(0) == RowStatus::Converged, true);
    check::equal(error.result().status.at(1) == RowStatus::NonFinite, true);
    check::equal(error.result().status.at(2) == RowStatus::Converged, true);
    const auto& unknowns = error.unknowns().at(0).second;
    check::near(number(unknowns, 0), 2, 1e-12);
    check::near(number(unknowns, 2), -1, 1e-12);
    const std::string text = error.what();
    check::that(text.find("1 of 3 rows failed to solve, over a part of the increment after 1 halving: ") !=
                std::string::npos);
    return;
  }
  check::that(false);
}},
{"substeps_cure_a_singular_matrix_of_one_row", [] {
  Fixture f;
  scripts()["step.pt2"] = [](const Tensors& x) {
    const auto increment = x[1].narrow(1, 1, 1) - x[1].narrow(1, 2, 1);
    if (increment.abs().gt(reach).any().item<bool>())
      throw GraphRunError("step.pt2: singular");  // as LAPACK does, for all rows because of one
    return Tensors{residual(x), residual(x)};
  };
  f.run(3);
  near(f.state.at("u").data, {2, 9, -1}, 1e-12);
  check::equal(f.records.at(0).substeps, {1, 4, 2});
}},
{"substeps_predict_from_values_that_are_no_givens", [] {
  Fixture f;
  auto description = accumulate_force(3);
  description.predictor = PredictorDescription{"predictor.pt2", {"u~1", "hint"}, {"u"}, std::nullopt};
  f.state["hint"] = {tensor_of({100, 200, 300}, {3}), {3}};
  std::vector<double> hints;
  scripts()["predictor.pt2"] = [&](const Tensors& x) {
    for (std::int64_t row = 0; row < x[1].size(0); ++row)
      hints.push_back(number(x[1], row));
    return Tensors{x[0]};
  };
  ImplicitSegment(description, ShapeTable(ModelDescription{}), f.graphs).run(f.state, nullptr, nullptr, f.call);
  near(f.state.at("u").data, {2, 9, -1}, 1e-12);
  // The whole, rows 1 and 2 over the first half, row 1 over its quarters, and so on.
  check::equal(hints, {100, 200, 300, 200, 300, 200, 200, 200, 300, 200, 200});
}},
{"substeps_do_not_try_the_second_half_of_a_row_that_failed_in_the_first", [] {
  Fixture f;
  f.state.at("f").data = tensor_of({10, 13.5, 10}, {3});
  try {
    f.run(1);
  } catch (const ConvergenceError&) {
    check::equal(f.records.at(0).attempts.size(), std::size_t{2});
    return;
  }
  check::that(false);
}},
{"substeps_start_from_the_solution_before", [] {
  Fixture f;
  f.run(3);
  // Each linear solve takes one update; the second half starts where the first ended, so its initial
  // norm is that of half the increment.
  check::near(f.records.at(0).rows.initial_norms.at(2), 2.0, 1e-12);
}},
{"without_substeps_every_row_is_tried_once", [] {
  Fixture f;
  f.state.at("f").data = tensor_of({10.5, 10, 10}, {3});
  f.run(0);
  check::equal(f.records.at(0).substeps, {1, 1, 1});
  check::equal(f.records.at(0).attempts.size(), std::size_t{1});
}},
};

}  // namespace
}  // namespace neml2_aoti_plugin
