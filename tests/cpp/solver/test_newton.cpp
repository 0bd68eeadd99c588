#include <cmath>
#include <limits>

#include "check.h"
#include "numerics/newton.h"
#include "solver/problems.h"

namespace neml2_aoti_plugin {
namespace {

constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();
constexpr auto converged = RowStatus::Converged;
constexpr auto non_finite = RowStatus::NonFinite;
constexpr auto linear_failed = RowStatus::LinearSolveFailed;
constexpr auto limit = RowStatus::IterationLimit;

using Statuses = std::vector<RowStatus>;
using Counts = std::vector<std::int64_t>;

NewtonSettings with_iterations(std::int64_t count) {
  NewtonSettings settings;
  settings.max_iterations = count;
  return settings;
}

struct ScalarSolve {
  double u;
  std::int64_t iterations;
  double initial_norm;
  double norm;
};

/// u^3 = g by a plain loop over one row, with the operations of `cubic` in the same order.
ScalarSolve solve_cubic(double g, double u, const NewtonSettings& settings) {
  const double n0 = std::abs(g - u * u * u);
  ScalarSolve solve{u, 0, n0, n0};
  while (!(solve.norm < settings.absolute_tolerance || solve.norm / n0 < settings.relative_tolerance)) {
    solve.u += (g - solve.u * solve.u * solve.u) / (3.0 * (solve.u * solve.u));
    solve.norm = std::abs(g - solve.u * solve.u * solve.u);
    ++solve.iterations;
  }
  return solve;
}

NewtonResult solve_cubics(const std::vector<double>& g, const std::vector<double>& guess, Log& log,
                          const NewtonSettings& settings = {}) {
  return solve_newton(cubic(column(g), log), {column(guess)}, settings);
}

/// Three coupled entries per row through the norm: easy, slow, singular, NaN and further easy rows.
const std::vector<double> mixed_givens{8, 1, 27, 1e5, 1, 1e-6, 1, 1, 1, not_a_number, 1, 1, 2, 3, 5, 7, 11, 13};
const std::vector<double> mixed_guess{1, 2, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 2, 2, 2, 3, 3, 3};

const check::Tests tests{
{"newton_solves_a_linear_system_in_one_update", [] {
  const auto c = tensor_of({3, 5, 3, 4, 0, 4, 1, 8, -3}, {3, 3});
  const auto result = solve_newton(LinearSystem(c), {tensor_of({0, 0, 0, 1, 2, 3, 9, 9, 9}, {3, 3})}, {});
  // A^-1 c by hand; every number is exact in binary.
  near(result.unknowns.at(0), {1, 1, 1, 3, -2, 3, -1.75, 4.5, -3.75}, 0.0);
  check::equal(result.iterations, {1, 1, 1});
  check::equal(result.norms, {0.0, 0.0, 0.0});
  check::that(result.all_converged());
}},
{"newton_reports_the_norm_at_the_guess", [] {
  const auto result = solve_newton(LinearSystem(tensor_of({3, 0, 4}, {1, 3})), {tensor_of({0, 0, 0}, {1, 3})}, {});
  check::equal(result.initial_norms, {5.0});
}},
{"newton_counts_iterations_per_row_as_a_loop_over_rows_does", [] {
  const std::vector<double> g{8, 27, 1e6, 1.1};
  const std::vector<double> guess{1, 3.1, 1, 1};
  Log log;
  const auto result = solve_cubics(g, guess, log);
  for (std::size_t row = 0; row < g.size(); ++row) {
    const auto expected = solve_cubic(g[row], guess[row], {});
    check::equal(result.iterations[row], expected.iterations);
    check::equal(result.initial_norms[row], expected.initial_norm);
    check::equal(result.norms[row], expected.norm);
    check::equal(number(result.unknowns.at(0), static_cast<std::int64_t>(row)), expected.u);
  }
  check::that(result.iterations[2] > result.iterations[0] + 3);  // the rows do differ
  check::that(result.all_converged());
}},
{"newton_finds_the_roots", [] {
  Log log;
  const auto result = solve_cubics({8, 27, -64}, {1, 1, -1}, log);
  near(result.unknowns.at(0), {2, 3, -4}, 1e-6);  // rtol 1e-8 on the residual
}},
{"newton_takes_no_update_where_the_guess_is_the_solution", [] {
  Log log;
  const auto result = solve_cubics({8, 27}, {2, 1}, log);
  check::equal(result.iterations[0], 0);
  check::equal(result.norms[0], 0.0);
  check::equal(number(result.unknowns.at(0), 0), 2.0);
  check::equal(log.evaluations_of(0), std::size_t{1});
}},
{"newton_asks_for_no_update_if_all_rows_start_converged", [] {
  Log log;
  const auto result = solve_cubics({8, 27}, {2, 3}, log);
  check::equal(result.iterations, {0, 0});
  check::that(log.updates.empty());
  same(result.unknowns.at(0), column({2, 3}));
}},
{"newton_does_not_modify_the_guess", [] {
  Log log;
  for (const std::vector<double>& values : {std::vector<double>{1, 3}, {2, 3}}) {
    const auto guess = column(values);
    solve_newton(cubic(column({8, 27}), log), {guess}, {});
    same(guess, column(values));
  }
}},
{"newton_returns_storage_of_its_own", [] {
  Log log;
  const auto guess = column({2, 3});
  const auto result = solve_newton(cubic(column({8, 27}), log), {guess}, {});
  check::that(!result.unknowns.at(0).is_alias_of(guess));
}},
{"newton_accepts_a_guess_that_is_an_expanded_view", [] {
  Log log;
  const auto result = solve_newton(cubic(column({8, 27}), log), {column({2}).expand({2, 1})}, {});
  near(result.unknowns.at(0), {2, 3}, 1e-6);  // rtol 1e-8 on the residual
}},

{"newton_never_evaluates_converged_rows_again", [] {
  Log log;
  const auto result = solve_cubics({8, 27, 1e6, 1.1}, {1, 3.1, 1, 1}, log);
  for (std::size_t row = 0; row < 4; ++row)
    check::equal(log.evaluations_of(static_cast<std::int64_t>(row)),
                 static_cast<std::size_t>(result.iterations[row] + 1));
}},
{"newton_never_evaluates_failed_rows_again", [] {
  Log log;
  const auto result = solve_cubics({not_a_number, 1, 1e6}, {1, 0, 1}, log);
  check::equal(log.evaluations_of(0), std::size_t{1});
  check::equal(log.evaluations_of(1), std::size_t{2});  // at the guess, and after the update that failed
  check::equal(log.evaluations_of(2), static_cast<std::size_t>(result.iterations[2] + 1));
}},
{"newton_restricts_the_system_to_the_positions_that_remain", [] {
  Log log;
  // Rows 0 and 3 start at the root; of the others row 2 needs more updates.
  solve_cubics({8, 27, 1e6, 64}, {2, 3.1, 1, 4}, log);
  check::equal(log.restrictions.at(0), {1, 2});
  check::equal(log.updates.front(), {1, 2});
  check::equal(log.restrictions.at(1), {1});
  check::equal(log.updates.back(), {2});
}},

{"newton_marks_rows_that_start_as_not_a_number", [] {
  Log log;
  const auto result = solve_cubics({8, 8, not_a_number}, {1, not_a_number, 1}, log);
  check::equal(result.status, Statuses{converged, non_finite, non_finite});
  check::equal(result.iterations[1], 0);
  check::equal(result.iterations[2], 0);
  check::that(std::isnan(result.norms[1]) && std::isnan(result.initial_norms[1]));
}},
{"newton_marks_rows_that_start_infinite", [] {
  Log log;
  const auto result = solve_cubics({8}, {1e200}, log);
  check::equal(result.status, Statuses{non_finite});
}},
{"newton_marks_rows_that_become_non_finite_later", [] {
  Log log;
  const auto result = solve_cubics({8, 1}, {1, 1e-60}, log);  // du = 1 / 3e-120, and its cube overflows
  check::equal(result.status, Statuses{converged, non_finite});
  check::equal(result.iterations[1], 1);
  check::equal(result.initial_norms[1], 1.0);
  check::that(std::isinf(result.norms[1]));
  check::near(number(result.unknowns.at(0), 1) / (1.0 / 3e-120), 1.0, 1e-12);  // the last iterate
}},
{"newton_marks_rows_whose_linear_solve_failed", [] {
  Log log;
  const auto result = solve_cubics({8, 1, 27}, {1, 0, 1}, log);
  check::equal(result.status, Statuses{converged, linear_failed, converged});
  check::equal(result.linear_failure, "zero on the diagonal");
  check::equal(number(result.unknowns.at(0), 1), 0.0);
  check::equal(result.norms[1], 1.0);
}},
{"newton_maps_failed_positions_of_a_restricted_system_to_rows", [] {
  Log log;
  const auto result = solve_cubics({8, not_a_number, 1, 27}, {2, 1, 0, 1}, log);
  check::equal(result.status, Statuses{converged, non_finite, linear_failed, converged});
}},
{"newton_keeps_the_text_of_no_linear_failure_empty", [] {
  Log log;
  check::equal(solve_cubics({8}, {1}, log).linear_failure, "");
}},
{"newton_survives_when_every_row_fails", [] {
  Log log;
  const auto result = solve_cubics({1, not_a_number, 1}, {0, 1, 1e-60}, log);
  check::equal(result.status, Statuses{linear_failed, non_finite, non_finite});
  check::that(!result.all_converged());
}},

{"newton_takes_exactly_max_iterations_updates", [] {
  Log log;
  const auto result = solve_cubics({1e30}, {1}, log, with_iterations(4));
  check::equal(log.updates.size(), std::size_t{4});
  check::equal(result.iterations, Counts{4});
  check::equal(result.status, Statuses{limit});
}},
{"newton_accepts_a_row_that_converges_in_its_last_update", [] {
  const auto needed = solve_cubic(1e6, 1, {}).iterations;
  Log log;
  check::equal(solve_cubics({1e6}, {1}, log, with_iterations(needed)).status, Statuses{converged});
  check::equal(solve_cubics({1e6}, {1}, log, with_iterations(needed - 1)).status, Statuses{limit});
}},
{"newton_takes_no_update_if_none_is_allowed", [] {
  Log log;
  const auto result = solve_cubics({8, 8}, {2, 1}, log, with_iterations(0));
  check::that(log.updates.empty());
  check::equal(result.status, Statuses{converged, limit});
  same(result.unknowns.at(0), column({2, 1}));
}},
{"newton_returns_the_last_iterate_of_rows_at_the_limit", [] {
  Log log;
  const auto result = solve_cubics({8, 1000}, {2, 1}, log, with_iterations(1));
  check::equal(number(result.unknowns.at(0), 1), 334.0);  // 1 + 999 / 3
  check::equal(result.norms[1], 334.0 * 334.0 * 334.0 - 1000.0);
}},
{"newton_marks_rows_that_oscillate_away_as_at_the_limit", [] {
  Log log;
  const auto result = solve_newton(uphill(column({0}), log), {column({1})}, with_iterations(10));
  check::equal(result.status, Statuses{limit});
  check::equal(result.norms, {1024.0});  // doubles each time
}},

{"newton_answers_do_not_depend_on_neighbours", [] {
  const auto givens = tensor_of(mixed_givens, {6, 3});
  const auto guess = tensor_of(mixed_guess, {6, 3});
  Log log;
  const auto together = solve_newton(cubic(givens, log), {guess}, {});
  check::equal(together.status, Statuses{converged, converged, linear_failed, non_finite, converged, converged});
  for (std::int64_t row = 0; row < 6; ++row) {
    const auto k = static_cast<std::size_t>(row);
    const auto alone = solve_newton(cubic(givens.narrow(0, row, 1), log), {guess.narrow(0, row, 1)}, {});
    check::equal(together.status[k], alone.status[0]);
    check::equal(together.iterations[k], alone.iterations[0]);
    if (together.status[k] != non_finite) {
      check::equal(together.norms[k], alone.norms[0]);
      same(together.unknowns.at(0).narrow(0, row, 1), alone.unknowns.at(0));
    }
  }
}},
{"newton_answers_do_not_depend_on_row_order", [] {
  const auto givens = tensor_of(mixed_givens, {6, 3});
  const auto guess = tensor_of(mixed_guess, {6, 3});
  const auto order = index_of({4, 2, 5, 0, 1});  // all but the NaN row
  const auto reversed = index_of({1, 0, 5, 2, 4});
  Log log;
  const auto one = solve_newton(cubic(givens.index_select(0, order), log), {guess.index_select(0, order)}, {});
  const auto other = solve_newton(cubic(givens.index_select(0, reversed), log), {guess.index_select(0, reversed)}, {});
  for (std::size_t k = 0; k < 5; ++k) {
    check::equal(one.status[k], other.status[4 - k]);
    check::equal(one.iterations[k], other.iterations[4 - k]);
    check::equal(one.norms[k], other.norms[4 - k]);
  }
  same(one.unknowns.at(0), other.unknowns.at(0).flip(0));
}},
{"newton_results_repeat", [] {
  Log log;
  const auto first = solve_cubics({8, 1e6, 5}, {1, 1, 1}, log);
  const auto second = solve_cubics({8, 1e6, 5}, {1, 1, 1}, log);
  same(first.unknowns.at(0), second.unknowns.at(0));
}},
};

}  // namespace
}  // namespace neml2_aoti_plugin
