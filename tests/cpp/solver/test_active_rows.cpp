#include <cmath>
#include <limits>

#include "check.h"
#include "numerics/newton.h"
#include "solver/problems.h"

namespace neml2_aoti_plugin {
namespace {

constexpr std::int64_t row_count = 50;

/// Easy and hard rows, one singular at its guess, one whose residual is no number.
std::vector<double> mixed_givens() {
  std::vector<double> givens;
  for (std::int64_t row = 0; row < row_count; ++row)
    givens.push_back(std::pow(10.0, static_cast<double>(row % 7)) + static_cast<double>(row));
  givens[20] = std::numeric_limits<double>::quiet_NaN();
  return givens;
}

std::vector<double> mixed_guess() {
  std::vector<double> guess(row_count, 1.0);
  guess[30] = 0.0;
  return guess;
}

NewtonResult solve_mixed(std::int64_t max_active, const Team& team, Log& log) {
  auto system = cubic(column(mixed_givens()), log);
  return solve_newton(system, {column(mixed_guess())}, {}, max_active, team);
}

void same_result(const NewtonResult& found, const NewtonResult& expected) {
  same(found.unknowns.at(0), expected.unknowns.at(0));
  check::equal(found.status, expected.status);
  check::equal(found.iterations, expected.iterations);
  check::equal(found.initial_norms.size(), expected.initial_norms.size());
  check::equal(found.trace.size(), expected.trace.size());
  for (std::size_t k = 1; k < found.trace.size(); ++k)
    check::equal(found.trace[k].norm, expected.trace[k].norm);
  check::equal(found.linear_failure, expected.linear_failure);
}

std::size_t most_rows_of(const std::vector<RowNumbers>& calls) {
  std::size_t most = 0;
  for (const auto& rows : calls)
    most = std::max(most, rows.size());
  return most;
}

const check::Tests tests{
{"newton_gives_the_same_however_many_rows_iterate_together", [] {
  Log log;
  const auto all = solve_mixed(all_at_once, Team(), log);
  check::that(all.status[20] == RowStatus::NonFinite && all.status[30] == RowStatus::LinearSolveFailed);
  for (const std::int64_t max_active : {1, 3, 16, 49, 50}) {
    Log own;
    same_result(solve_mixed(max_active, Team(), own), all);
    check::that(most_rows_of(own.updates) <= static_cast<std::size_t>(max_active));
  }
}},
{"newton_fills_the_places_of_rows_that_left", [] {
  Log log;
  solve_mixed(8, Team(), log);
  std::size_t full = 0;
  for (const auto& rows : log.updates)
    full += rows.size() >= 7;
  check::that(2 * full > log.updates.size());
}},
{"newton_takes_rows_in_order_and_each_once", [] {
  Log log;
  solve_mixed(1, Team(), log);
  RowNumbers order;
  for (const auto& rows : log.residuals)
    if (order.empty() || order.back() != rows.front())
      order.push_back(rows.front());
  RowNumbers expected(row_count);
  for (std::int64_t row = 0; row < row_count; ++row)
    expected[static_cast<std::size_t>(row)] = row;
  check::equal(order, expected);
}},
{"newton_stops_when_the_caller_asks_for_it", [] {
  Log log;
  int polls = 0;
  bool is_interrupted = false;
  try {
    solve_mixed(1, Team(1, [&] { return ++polls > 3; }), log);
  } catch (const Interrupted&) {
    is_interrupted = true;
  }
  check::that(is_interrupted);
  check::equal(polls, 4);
}},
};

}  // namespace
}  // namespace neml2_aoti_plugin
