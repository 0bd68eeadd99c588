#include "numerics/newton.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>

#include <algorithm>
#include <numeric>

#include "numerics/convergence.h"
#include "numerics/line_search.h"
#include "numerics/row_reductions.h"
#include "numerics/rows.h"

namespace neml2_aoti_plugin
{

namespace
{

/// NaN counts as largest.
double larger(double first, double second) { return second <= first ? first : second; }

/// The rows still iterating, and the record of all rows.
class Iteration
{
public:
  Iteration(NonlinearSystem & system, const Groups & guess, const NewtonSettings & settings)
      : settings_(settings), system_(&system), rows_(static_cast<std::size_t>(system.rows())),
        result_(untouched_rows(rows_.size())), sizes_(rows_.size())
  {
    std::iota(rows_.begin(), rows_.end(), 0);
    for (const auto & group : guess)
      current_.u.push_back(group.clone());
    current_.b = system.residual(current_.u);
    result_.initial_norms = row_norm(current_.b);
    result_.norms = result_.initial_norms;
    trace({});
    retire_finished({});
  }

  bool finished() const { return rows_.empty(); }

  void advance()
  {
    const auto update = system_->update(current_.u);
    record(update);
    auto next = take_step(*system_, current_, update.du, settings_);
    if (limits_updates(settings_))
      measure_update(current_.u, next.u);
    current_ = std::move(next);
    const auto norms = row_norm(current_.b);
    for (std::size_t i = 0; i < rows_.size(); ++i)
    {
      const auto row = static_cast<std::size_t>(rows_[i]);
      result_.norms[row] = norms[i];
      ++result_.iterations[row];
    }
    trace(update.linear);
    retire_finished(update.failed_rows);
  }

  NewtonResult take_result()
  {
    write_back();
    return std::move(result_);
  }

private:
  void record(const NewtonUpdate & update)
  {
    if (!update.failure.empty() && result_.linear_failure.empty())
      result_.linear_failure = update.failure;
    const auto & linear = update.linear;
    for (std::size_t i = 0; i < linear.iterations.size(); ++i)
    {
      const auto row = static_cast<std::size_t>(rows_[i]);
      result_.linear_iterations[row] += linear.iterations[i];
      result_.missed_solves[row] += linear.excess[i] > 0.0;
      result_.worst_excess[row] = std::max(result_.worst_excess[row], linear.excess[i]);
    }
  }

  void trace(const LinearSolveReport & linear)
  {
    IterateTrace entry{0.0, 0.0};
    for (const auto row : rows_)
    {
      entry.norm = larger(entry.norm, result_.norms[static_cast<std::size_t>(row)]);
      entry.initial_norm =
          larger(entry.initial_norm, result_.initial_norms[static_cast<std::size_t>(row)]);
    }
    for (std::size_t i = 0; i < linear.iterations.size(); ++i)
    {
      entry.linear_iterations = std::max(entry.linear_iterations, linear.iterations[i]);
      entry.missed_solves += linear.excess[i] > 0.0;
    }
    result_.trace.push_back(entry);
  }

  void measure_update(const Groups & before, const Groups & after)
  {
    Groups moved;
    for (std::size_t k = 0; k < after.size(); ++k)
      moved.push_back(after[k] - before[k]);
    const auto updates = row_norm(moved);
    const auto iterates = row_norm(after);
    for (std::size_t i = 0; i < rows_.size(); ++i)
      sizes_[static_cast<std::size_t>(rows_[i])] = {updates[i], iterates[i]};
  }

  /// Sets the status of rows that are done and keeps the others. `singular`: positions whose update
  /// failed.
  void retire_finished(const RowList & singular)
  {
    std::vector<bool> has_failed_solve(rows_.size(), false);
    for (const auto position : singular)
      has_failed_solve[static_cast<std::size_t>(position)] = true;
    RowList kept;
    for (std::size_t i = 0; i < rows_.size(); ++i)
      if (!is_finished(static_cast<std::size_t>(rows_[i]), has_failed_solve[i]))
        kept.push_back(static_cast<std::int64_t>(i));
    if (kept.size() < rows_.size())
      restrict_to(kept);
  }

  bool is_finished(std::size_t row, bool has_failed_solve)
  {
    const double n = result_.norms[row];
    const double n0 = result_.initial_norms[row];
    if (has_failed_solve)
      result_.status[row] = RowStatus::LinearSolveFailed;
    else if (is_diverged(n) || is_diverged(n0))
      result_.status[row] = RowStatus::NonFinite;
    else if (is_converged(n, n0, settings_, sizes_[row]))
      result_.status[row] = RowStatus::Converged;
    else
      return false;
    return true;
  }

  void restrict_to(const RowList & kept)
  {
    if (kept.empty())
    {
      write_back();
      rows_.clear();
      return;
    }
    const auto index = row_index(kept, current_.u.front().device());
    auto restricted = system_->restricted_to(index);
    Iterate remaining{select_rows(current_.u, index), select_rows(current_.b, index)};
    write_back();
    rows_ = pick(rows_, kept);
    current_ = std::move(remaining);
    restricted_ = std::move(restricted);
    system_ = restricted_.get();
  }

  /// Into the result; while no row has left, the iterate is the result.
  void write_back()
  {
    if (rows_.empty())
      return;
    if (rows_.size() == result_.status.size())
    {
      result_.unknowns = std::move(current_.u);
      return;
    }
    const auto index = row_index(rows_, current_.u.front().device());
    for (std::size_t k = 0; k < result_.unknowns.size(); ++k)
      result_.unknowns[k].index_copy_(0, index, current_.u[k]);
  }

  const NewtonSettings & settings_;
  NonlinearSystem * system_;
  std::unique_ptr<NonlinearSystem> restricted_;
  RowList rows_; // in the caller's numbering
  Iterate current_;
  NewtonResult result_;
  std::vector<UpdateSize> sizes_;
};

} // namespace

bool NewtonResult::all_converged() const
{
  return std::all_of(status.begin(), status.end(),
                     [](RowStatus s) { return s == RowStatus::Converged; });
}

NewtonResult untouched_rows(std::size_t rows)
{
  NewtonResult result;
  result.status.assign(rows, RowStatus::IterationLimit);
  for (auto * counts : {&result.iterations, &result.linear_iterations, &result.missed_solves})
    counts->assign(rows, 0);
  for (auto * norms : {&result.initial_norms, &result.norms, &result.worst_excess})
    norms->assign(rows, 0.0);
  return result;
}

NewtonResult solve_newton(NonlinearSystem & system, const Groups & guess,
                          const NewtonSettings & settings)
{
  Iteration iteration(system, guess, settings);
  for (std::int64_t i = 0; i < settings.max_iterations && !iteration.finished(); ++i)
    iteration.advance();
  return iteration.take_result();
}

} // namespace neml2_aoti_plugin
