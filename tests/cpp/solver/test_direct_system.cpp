#include <ATen/TensorOperators.h>

#include "check.h"
#include "graphs/graph_run_error.h"
#include "segments/direct_system.h"
#include "solver/problems.h"
#include "solver/scripted_graphs.h"

namespace neml2_aoti_plugin {
namespace {

/// p u = g per row. A step graph fails as a whole if any u is zero, as LAPACK does for one singular matrix.
Tensors residual(const Tensors& arguments) {
  return {arguments.at(1) - arguments.at(2) * arguments.at(0)};
}

Tensors step(const Tensors& arguments) {
  if (arguments.at(0).eq(0.0).any().item<bool>())
    throw GraphRunError("step.pt2: singular");
  const auto b = residual(arguments).at(0);
  return {b / arguments.at(2), b};
}

struct Fixture {
  Graph residual_graph{"residual.pt2", at::kCPU, {}};
  Graph step_graph{"step.pt2", at::kCPU, {}};

  Fixture() { give_scripts({{"residual.pt2", residual}, {"step.pt2", step}}); }

  static SolveArguments arguments(const std::vector<double>& givens) {
    return {{column(givens)}, {tensor_of({2}, {})}, static_cast<std::int64_t>(givens.size())};
  }

  FusedSystem system(const std::vector<double>& givens) {
    return {residual_graph, step_graph, false, arguments(givens)};
  }

  /// Graphs that run on all rows whatever the system is restricted to.
  FusedSystem whole_batch(const std::vector<double>& givens) {
    auto placed = arguments(givens);
    placed.placement.emplace(placed.rows, at::kCPU);
    return {residual_graph, step_graph, false, placed};
  }
};

const check::Tests tests{
{"direct_system_passes_unknowns_givens_and_parameters_in_that_order", [] {
  Fixture fixture;
  same(fixture.system({4, 6}).residual({column({1, 1})}).at(0), column({2, 4}));
}},
{"direct_system_makes_unknowns_contiguous", [] {
  Fixture fixture;
  const auto strided = counting({2, 2}).narrow(1, 1, 1);
  same(fixture.system({4, 6}).residual({strided}).at(0), column({2, 0}));
}},
{"direct_system_takes_the_update_of_a_fused_graph", [] {
  Fixture fixture;
  const auto update = fixture.system({4, 6}).update({column({1, 1})});
  check::equal(update.du.size(), std::size_t{1});
  same(update.du[0], column({1, 2}));
  check::that(update.failed_rows.empty() && update.failure.empty());
}},
{"direct_system_takes_the_update_of_an_operator_and_a_solve_graph", [] {
  Fixture fixture;
  Graph jacobian("jacobian.pt2", at::kCPU, {});
  Graph solve("solve.pt2", at::kCPU, {});
  scripts()["jacobian.pt2"] = [](const Tensors& arguments) {
    return Tensors{arguments.at(2).expand({2, 1}), residual(arguments).at(0)};  // A is a view: not contiguous
  };
  scripts()["solve.pt2"] = [](const Tensors& blocks) { return Tensors{blocks.at(1) / blocks.at(0)}; };
  OperatorSystem system(fixture.residual_graph, jacobian, solve, Fixture::arguments({4, 6}));
  same(system.update({column({1, 1})}).du.at(0), column({1, 2}));
}},
{"direct_system_finds_the_singular_rows_and_updates_the_others", [] {
  Fixture fixture;
  const auto update = fixture.system({4, 6, 8, 10, 12}).update({column({1, 0, 1, 1, 0})});
  check::equal(update.failed_rows, {1, 4});
  same(update.du.at(0), column({1, 0, 3, 4, 0}));
  check::equal(update.failure, "step.pt2: singular");
}},
{"direct_system_of_one_singular_row_has_a_zero_update", [] {
  Fixture fixture;
  const auto update = fixture.system({4}).update({column({0})});
  check::equal(update.failed_rows, {0});
  same(update.du.at(0), column({0}));
}},
{"direct_system_of_singular_rows_only_fails_them_all", [] {
  Fixture fixture;
  check::equal(fixture.system({4, 6, 8}).update({column({0, 0, 0})}).failed_rows, {0, 1, 2});
}},
{"direct_system_searches_for_singular_rows_by_bisection", [] {
  Fixture fixture;
  std::vector<double> u(64, 1.0);
  u[37] = 0.0;
  const auto update = fixture.system(std::vector<double>(64, 4.0)).update({column(u)});
  check::equal(update.failed_rows, {37});
  check::equal(runs()["step.pt2"], 1 + 2 * 6);
}},
{"direct_system_restricted_keeps_the_givens_of_its_rows", [] {
  Fixture fixture;
  const auto restricted = fixture.system({4, 6, 8}).restricted_to(index_of({2, 0}));
  check::equal(restricted->rows(), 2);
  same(restricted->residual({column({0, 0})}).at(0), column({8, 4}));
}},
{"direct_system_subtracts_the_start_from_an_iterate", [] {
  Fixture fixture;
  scripts()["step.pt2"] = [](const Tensors& arguments) {
    const auto next = arguments.at(0) + step(arguments).at(0);
    return Tensors{next, residual({next, arguments.at(1), arguments.at(2)}).at(0)};
  };
  FusedSystem system(fixture.residual_graph, fixture.step_graph, true, Fixture::arguments({4, 6}));
  same(system.update({column({1, 1})}).du.at(0), column({1, 2}));
}},
{"direct_system_of_a_whole_batch_keeps_every_row_in_its_place", [] {
  Fixture fixture;
  std::vector<std::int64_t> rows;
  scripts()["residual.pt2"] = [&](const Tensors& arguments) {
    rows.push_back(arguments.at(0).size(0));
    return Tensors{residual(arguments).at(0) + counting({3, 1}, 100.0)};  // baked by row
  };
  const auto some = fixture.whole_batch({4, 6, 8}).restricted_to(index_of({2, 0}));
  same(some->residual({column({0, 0})}).at(0), column({110, 104}));
  same(some->restricted_to(index_of({1}))->residual({column({1})}).at(0), column({102}));
  check::equal(rows, {3, 3});
}},
{"direct_system_of_a_whole_batch_finds_its_singular_rows", [] {
  Fixture fixture;
  const auto update = fixture.whole_batch({4, 6, 8, 10, 12}).update({column({1, 0, 1, 1, 0})});
  check::equal(update.failed_rows, {1, 4});
  same(update.du.at(0), column({1, 0, 3, 4, 0}));
}},
{"direct_system_lets_other_errors_pass", [] {
  Fixture fixture;
  scripts()["step.pt2"] = [](const Tensors&) -> Tensors { throw ArtifactError("step.pt2: damaged"); };
  check::throws<ArtifactError>([&] { fixture.system({4, 6}).update({column({1, 1})}); }, "step.pt2: damaged");
}},
};

}  // namespace
}  // namespace neml2_aoti_plugin
