#include "check.h"
#include "numerics/line_search.h"
#include "numerics/newton.h"
#include "solver/problems.h"

namespace neml2_aoti_plugin {
namespace {

NewtonSettings with_trials(std::int64_t count, LineSearch kind = LineSearch::Backtracking) {
  NewtonSettings settings;
  settings.line_search = kind;
  settings.line_search_max_iterations = count;
  return settings;
}

/// One step from u.
Iterate step(EntrywiseSystem& system, const std::vector<double>& u, const NewtonSettings& settings) {
  Iterate current{{column(u)}, {}};
  current.b = system.residual(current.u);
  return take_step(system, current, system.update(current.u).du, settings);
}

Iterate step(EntrywiseSystem&& system, const std::vector<double>& u, const NewtonSettings& settings) {
  return step(system, u, settings);
}

const check::Tests tests{
{"line_search_off_takes_the_full_step", [] {
  for (const std::int64_t trials : {0, 1}) {
    Log log;
    const auto next = step(uphill(column({0}), log), {1}, with_trials(trials));
    same(next.u.at(0), column({2}));
    same(next.b.at(0), column({-2}));
    check::equal(log.evaluations_of(0), std::size_t{2});
  }
}},
{"line_search_takes_the_full_step_where_it_decreases_enough", [] {
  Log log;
  auto system = cubic(column({8}), log);
  same(step(system, {2.5}, with_trials(10)).u.at(0), step(system, {2.5}, with_trials(1)).u.at(0));
  check::that(log.restrictions.empty());
}},
{"line_search_tries_one_less_than_its_maximum_as_the_host_does", [] {
  for (const auto kind : {LineSearch::Backtracking, LineSearch::StrongWolfe}) {
    Log log;
    auto settings = with_trials(5, kind);
    settings.max_iterations = 3;
    solve_newton(uphill(column({0}), log), {column({1})}, settings);
    check::equal(log.evaluations_of(0), std::size_t{1 + 3 * 4});
    check::equal(log.updates.size(), std::size_t{3});
  }
}},
{"line_search_keeps_the_last_trial_where_none_is_accepted", [] {
  Log log;
  const auto next = step(uphill(column({0}), log), {1}, with_trials(5));
  same(next.u.at(0), column({1.125}));  // alpha = 1, 1/2, 1/4, 1/8
  same(next.b.at(0), column({-1.125}));
}},
{"line_search_divides_by_the_cutback", [] {
  Log log;
  auto settings = with_trials(4);
  settings.line_search_cutback = 4.0;
  same(step(uphill(column({0}), log), {1}, settings).u.at(0), column({1.0625}));
}},
{"line_search_chooses_alpha_per_row", [] {
  Log log;
  // From 2 the full step overshoots to -3.54 and alpha = 1/2 is accepted; from 0.5 the full step is.
  auto system = arctangent(column({0, 0}), log);
  const auto full = step(system, {2, 0.5}, with_trials(1));
  const auto searched = step(system, {2, 0.5}, with_trials(10));
  check::equal(number(searched.u.at(0), 1), number(full.u.at(0), 1));
  check::near(number(searched.u.at(0), 0), 2.0 + 0.5 * (number(full.u.at(0), 0) - 2.0), 1e-15);
}},
{"line_search_evaluates_accepted_rows_no_more", [] {
  Log log;
  step(arctangent(column({0, 0, 0}), log), {0.5, 2, 10}, with_trials(10));
  check::equal(log.evaluations_of(0), std::size_t{2});  // current, full step
  check::equal(log.evaluations_of(1), std::size_t{3});
  check::that(log.evaluations_of(2) > 4);
}},
{"line_search_restricts_to_the_rows_still_searching", [] {
  Log log;
  step(arctangent(column({0, 0, 0}), log), {0.5, 2, 10}, with_trials(10));
  check::equal(log.restrictions.at(0), {1, 2});
  for (std::size_t k = 1; k < log.restrictions.size(); ++k)
    check::equal(log.restrictions[k], {2});
}},
{"line_search_returns_the_residual_at_its_iterate", [] {
  Log log;
  auto system = arctangent(column({0.1, 0.2, 0.3}), log);
  const auto next = step(system, {0.5, 2, 10}, with_trials(10));
  same(next.b.at(0), system.residual(next.u).at(0));
}},
{"line_search_backs_off_from_a_trial_that_is_not_finite", [] {
  Log log;
  auto settings = with_trials(1000);
  const auto next = step(cubic(column({1}), log), {1e-60}, settings);
  check::that(std::isfinite(number(next.b.at(0), 0)));
}},
{"line_search_has_one_more_trial_for_a_row_that_is_not_finite", [] {
  Log log;
  // From 1 along du = -1: the logarithm is infinite at 0, and finite at 1/2.
  const Equations logarithm{[](const auto& u, const auto& g) { return u.log() - g; },
                            [](const auto& u, const auto&) { return u.reciprocal(); }};
  EntrywiseSystem system(logarithm, column({0, 5}), log);
  Iterate current{{column({1, 1})}, {}};
  current.b = system.residual(current.u);
  const Groups du{column({-1, 0.5})};
  same(take_step(system, current, du, with_trials(2)).u.at(0), column({0.5, 1.5}));
  same(take_step(system, current, du, with_trials(1)).u.at(0), column({0, 1.5}));
}},
{"line_search_broadcasts_alpha_over_block_groups", [] {
  Log log;
  const Equations wrong_way{[](const auto& u, const auto& g) { return g - u; },
                            [](const auto& u, const auto&) { return -at::ones_like(u); }};
  const EntrywiseSystem system(wrong_way, at::zeros_like(counting({2, 2, 3})), log);
  Iterate current{{counting({2, 2, 3})}, {}};
  current.b = system.residual(current.u);
  const auto next = take_step(system, current, current.u, with_trials(3));
  same(next.u.at(0), 1.5 * counting({2, 2, 3}));
}},
{"line_search_leaves_the_current_iterate_alone", [] {
  Log log;
  auto system = uphill(column({0}), log);
  Iterate current{{column({1})}, {column({-1})}};
  take_step(system, current, {column({1})}, with_trials(4));
  same(current.u.at(0), column({1}));
  same(current.b.at(0), column({-1}));
}},

{"newton_without_line_search_diverges_on_the_arctangent", [] {
  Log log;
  const auto result = solve_newton(arctangent(column({0}), log), {column({3})}, {});
  check::that(!result.all_converged());
}},
{"newton_with_either_line_search_solves_the_arctangent", [] {
  for (const auto kind : {LineSearch::Backtracking, LineSearch::StrongWolfe}) {
    Log log;
    const auto result =
        solve_newton(arctangent(column({0, 0.5}), log), {column({3, 10})}, with_trials(20, kind));
    check::that(result.all_converged());
    near(result.unknowns.at(0), {0, std::tan(0.5)}, 1e-7);  // rtol 1e-8 on a residual of order one
  }
}},
{"newton_with_line_search_answers_do_not_depend_on_neighbours", [] {
  const std::vector<double> givens{0, 0.5, -1, 0.1};
  const std::vector<double> guess{3, 10, 100, 0.1};
  Log log;
  const auto together = solve_newton(arctangent(column(givens), log), {column(guess)}, with_trials(30));
  for (std::size_t row = 0; row < givens.size(); ++row) {
    const auto alone =
        solve_newton(arctangent(column({givens[row]}), log), {column({guess[row]})}, with_trials(30));
    check::equal(together.iterations[row], alone.iterations[0]);
    check::equal(number(together.unknowns.at(0), static_cast<std::int64_t>(row)),
                 number(alone.unknowns.at(0), 0));
  }
}},
};

}  // namespace
}  // namespace neml2_aoti_plugin
