#include "numerics/newton.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty_like.h>

#include "numerics/convergence.h"
#include "numerics/corrector.h"
#include "numerics/line_search.h"
#include "numerics/row_reductions.h"
#include "numerics/rows.h"
#include <algorithm>
#include <atomic>
#include <cmath>
#include <mutex>
#include <numeric>

namespace neml2_aoti_plugin
{

namespace
{

/// NaN counts as largest.
double larger(double first, double second)
{
  return std::isnan(first) || second <= first ? first : second;
}

Groups joined(const Groups & first, const Groups & second)
{
  if (first.empty() || second.empty())
    return first.empty() ? second : first;
  Groups both;
  for (std::size_t k = 0; k < first.size(); ++k)
    both.push_back(at::cat({first[k], second[k]}, 0));
  return both;
}

/// What the members of a team share: the rows that wait, and the record of all. Members write to
/// rows of their own.
struct Solve
{
  NonlinearSystem & system;
  const Groups & guess;
  const NewtonSettings & settings;
  std::int64_t rows;
  std::int64_t max_active;
  bool has_corrections;
  NewtonResult result;
  std::vector<UpdateSize> sizes;
  std::atomic<std::int64_t> next{0}; // the first row that nobody has taken
};

/// The rows that one member iterates.
///
/// At most `max_active` at a time; the others wait with their guesses. Where rows have left,
/// waiting ones take their places, a handful at a time since each time costs a graph run.
class Iteration
{
public:
  explicit Iteration(Solve & solve)
      : solve_(solve), settings_(solve.settings), result_(solve.result)
  {
    admit();
  }

  bool finished() const { return rows_.empty(); }

  void advance()
  {
    const auto update =
        corrector_ ? corrector_->update(*system_, current_) : system_->update(current_.u);
    record(update);
    auto next = take_step(*system_, current_, update.du, settings_);
    if (limits_updates(settings_))
      measure_update(current_.u, next.u);
    note_norms(row_norm(next.b), next);
    current_ = std::move(next);
    retire_finished(update.failed_rows);
    if (rows_.empty() || places() >= (solve_.max_active + 7) / 8)
      admit();
  }

  /// Into the shared result, one member after the other.
  void report() const
  {
    merge_traces(result_.trace, trace_);
    if (result_.linear_failure.empty())
      result_.linear_failure = linear_failure_;
  }

private:
  // --- the record

  IterateTrace & trace_at(std::size_t iterate)
  {
    if (trace_.size() <= iterate)
      trace_.resize(iterate + 1, {0.0, 0.0});
    return trace_[iterate];
  }

  void trace(std::size_t row)
  {
    auto & entry =
        trace_at(static_cast<std::size_t>(result_.iterations[row] + result_.corrections[row]));
    entry.norm = larger(entry.norm, result_.norms[row]);
    entry.initial_norm = larger(entry.initial_norm, result_.initial_norms[row]);
  }

  /// Of the step to `next`. Corrections that went wrong are taken back: the row is where it was.
  void note_norms(std::vector<double> norms, Iterate & next)
  {
    if (corrector_)
      take_back(
          corrector_->judge(pick(result_.initial_norms, rows_), pick(result_.norms, rows_), norms),
          norms, next);
    for (std::size_t i = 0; i < rows_.size(); ++i)
    {
      const auto row = static_cast<std::size_t>(rows_[i]);
      const bool is_correction = corrector_ && corrector_->has_corrected(i);
      ++(is_correction ? result_.corrections : result_.iterations)[row];
      result_.norms[row] = norms[i];
      trace(row);
    }
  }

  void take_back(const RowList & positions, std::vector<double> & norms, Iterate & next) const
  {
    if (positions.empty())
      return;
    const auto index = row_index(positions, next.u.front().device());
    for (std::size_t k = 0; k < next.u.size(); ++k)
    {
      put_rows(next.u[k], index, take_rows(current_.u[k], index));
      next.b[k] = next.b[k].clone(at::MemoryFormat::Contiguous); // it may belong to the system
      put_rows(next.b[k], index, take_rows(current_.b[k], index));
    }
    for (const auto position : positions)
    {
      const auto i = static_cast<std::size_t>(position);
      norms[i] = result_.norms[static_cast<std::size_t>(rows_[i])];
    }
  }

  void record(const NewtonUpdate & update)
  {
    if (!update.failure.empty() && linear_failure_.empty())
      linear_failure_ = update.failure;
    const auto & linear = update.linear;
    for (std::size_t i = 0; i < linear.iterations.size(); ++i)
    {
      const auto row = static_cast<std::size_t>(rows_[i]);
      result_.linear_iterations[row] += linear.iterations[i];
      result_.missed_solves[row] += linear.excess[i] > 0.0;
      result_.worst_excess[row] = std::max(result_.worst_excess[row], linear.excess[i]);
      auto & entry = trace_at(static_cast<std::size_t>(result_.iterations[row]) + 1);
      entry.linear_iterations = std::max(entry.linear_iterations, linear.iterations[i]);
      entry.missed_solves += linear.excess[i] > 0.0;
    }
  }

  void measure_update(const Groups & before, const Groups & after)
  {
    Groups moved;
    for (std::size_t k = 0; k < after.size(); ++k)
      moved.push_back(after[k] - before[k]);
    const auto updates = row_norm(moved);
    const auto iterates = row_norm(after);
    for (std::size_t i = 0; i < rows_.size(); ++i)
      solve_.sizes[static_cast<std::size_t>(rows_[i])] = {updates[i], iterates[i]};
  }

  bool is_finished(std::size_t row, bool has_failed_solve, bool has_corrections_left)
  {
    const double n = result_.norms[row];
    const double n0 = result_.initial_norms[row];
    if (has_failed_solve)
      result_.status[row] = RowStatus::LinearSolveFailed;
    else if (is_diverged(n) || is_diverged(n0))
      result_.status[row] = RowStatus::NonFinite;
    else if (is_converged(n, n0, settings_, solve_.sizes[row]))
      result_.status[row] = RowStatus::Converged;
    else
      return result_.iterations[row] >= settings_.max_iterations && !has_corrections_left;
    return true;
  }

  bool is_finished_at(std::size_t position, bool has_failed_solve)
  {
    const auto row = static_cast<std::size_t>(rows_[position]);
    if (!corrector_ || has_failed_solve)
      return is_finished(row, has_failed_solve, false);
    if (corrector_->has_corrected(position) && result_.iterations[row] < settings_.max_iterations)
      return false; // the last step is Newton's
    return is_finished(row, false, !corrector_->is_newton_update_due(position));
  }

  // --- who iterates

  /// Positions of those who go on and of those who are done.
  template <typename IsFinished>
  static std::pair<RowList, RowList> sorted(std::size_t count, const IsFinished & is_finished)
  {
    RowList kept;
    RowList done;
    for (std::size_t i = 0; i < count; ++i)
      (is_finished(i) ? done : kept).push_back(static_cast<std::int64_t>(i));
    return {std::move(kept), std::move(done)};
  }

  /// `singular`: positions whose update failed.
  void retire_finished(const RowList & singular)
  {
    std::vector<bool> has_failed_solve(rows_.size(), false);
    for (const auto position : singular)
      has_failed_solve[static_cast<std::size_t>(position)] = true;
    const auto [kept, done] =
        sorted(rows_.size(), [&](std::size_t i) { return is_finished_at(i, has_failed_solve[i]); });
    if (done.empty())
      return;
    if (static_cast<std::int64_t>(done.size()) == solve_.rows)
      result_.unknowns = current_.u;
    else
      write(rows_, done, current_.u);
    if (kept.empty())
    {
      rows_.clear();
      current_ = {};
      corrector_.reset();
      return;
    }
    const auto index = row_index(kept, current_.u.front().device());
    if (corrector_)
      corrector_->restrict_to(index);
    become(system_->restricted_to(index), pick(rows_, kept),
           {select_rows(current_.u, index), select_rows(current_.b, index)});
  }

  std::int64_t places() const
  {
    return solve_.max_active - static_cast<std::int64_t>(rows_.size());
  }

  /// Fills the places of those who left, until nobody waits. Rows whose guess will do never take
  /// one.
  void admit()
  {
    while (places() > 0)
    {
      const auto begin = solve_.next.fetch_add(places());
      if (begin >= solve_.rows)
        return;
      admit_rows(begin, std::min(places(), solve_.rows - begin));
    }
  }

  void admit_rows(std::int64_t begin, std::int64_t count)
  {
    RowList rows(static_cast<std::size_t>(count));
    std::iota(rows.begin(), rows.end(), begin);
    const bool are_all = count == solve_.rows;
    const auto device = solve_.guess.front().device();
    Iterate fresh{narrowed(solve_.guess, begin, count), {}};
    auto part = are_all ? nullptr : solve_.system.restricted_to(row_index(rows, device));
    fresh.b = (are_all ? solve_.system : *part).residual(fresh.u);
    const auto norms = row_norm(fresh.b);
    for (std::size_t i = 0; i < rows.size(); ++i)
    {
      const auto row = static_cast<std::size_t>(rows[i]);
      result_.initial_norms[row] = norms[i];
      result_.norms[row] = norms[i];
      trace(row);
    }
    const auto [kept, done] =
        sorted(rows.size(), [&](std::size_t i)
               { return is_finished(static_cast<std::size_t>(rows[i]), false, false); });
    if (!done.empty())
      write(rows, done, fresh.u);
    if (kept.empty())
      return;
    if (solve_.has_corrections && !corrector_)
      corrector_.emplace(settings_);
    if (corrector_)
      corrector_->extend(static_cast<std::int64_t>(kept.size()));
    if (done.empty() && rows_.empty())
      return become(std::move(part), std::move(rows), std::move(fresh));
    const auto index = row_index(kept, device);
    auto active = rows_;
    const auto joining = pick(rows, kept);
    active.insert(active.end(), joining.begin(), joining.end());
    auto system = solve_.system.restricted_to(row_index(active, device));
    become(std::move(system), std::move(active),
           {joined(current_.u, select_rows(fresh.u, index)),
            joined(current_.b, select_rows(fresh.b, index))});
  }

  /// These rows iterate from now on; no system: that of all rows.
  void become(std::unique_ptr<NonlinearSystem> system, RowList rows, Iterate iterate)
  {
    restricted_ = std::move(system);
    system_ = restricted_ ? restricted_.get() : &solve_.system;
    rows_ = std::move(rows);
    current_ = std::move(iterate);
  }

  /// The unknowns at these positions become those of the result.
  void write(const RowList & rows, const RowList & positions, const Groups & u)
  {
    auto & target = result_.unknowns;
    const auto device = u.front().device();
    const auto to = row_index(pick(rows, positions), device);
    const auto from = row_index(positions, device);
    for (std::size_t k = 0; k < target.size(); ++k)
      put_rows(target[k], to, take_rows(u[k], from));
  }

  Solve & solve_;
  const NewtonSettings & settings_;
  NewtonResult & result_;

  NonlinearSystem * system_ = nullptr; // of the active rows
  std::unique_ptr<NonlinearSystem> restricted_;
  RowList rows_; // active ones, in the caller's numbering
  Iterate current_;
  std::optional<Corrector> corrector_; // of the active rows
  std::vector<IterateTrace> trace_;
  std::string linear_failure_;
};

} // namespace

bool NewtonResult::all_converged() const
{
  return std::all_of(status.begin(), status.end(),
                     [](RowStatus s) { return s == RowStatus::Converged; });
}

void NewtonResult::replace(const RowList & rows, const NewtonResult & others)
{
  for (std::size_t i = 0; i < rows.size(); ++i)
  {
    const auto row = static_cast<std::size_t>(rows[i]);
    status[row] = others.status[i];
    iterations[row] = others.iterations[i];
    corrections[row] = others.corrections[i];
    initial_norms[row] = others.initial_norms[i];
    norms[row] = others.norms[i];
    linear_iterations[row] = others.linear_iterations[i];
    missed_solves[row] = others.missed_solves[i];
    worst_excess[row] = others.worst_excess[i];
  }
  const auto index = row_index(rows, unknowns.front().device());
  for (std::size_t k = 0; k < unknowns.size(); ++k)
    put_rows(unknowns[k], index, others.unknowns[k]);
  merge_traces(trace, others.trace);
  if (linear_failure.empty())
    linear_failure = others.linear_failure;
}

void merge_traces(std::vector<IterateTrace> & all, const std::vector<IterateTrace> & more)
{
  if (all.size() < more.size())
    all.resize(more.size(), {0.0, 0.0});
  for (std::size_t k = 0; k < more.size(); ++k)
  {
    all[k].norm = larger(all[k].norm, more[k].norm);
    all[k].initial_norm = larger(all[k].initial_norm, more[k].initial_norm);
    all[k].linear_iterations = std::max(all[k].linear_iterations, more[k].linear_iterations);
    all[k].missed_solves += more[k].missed_solves;
  }
}

NewtonResult untouched_rows(std::size_t rows)
{
  NewtonResult result;
  result.status.assign(rows, RowStatus::IterationLimit);
  for (auto * counts :
       {&result.iterations, &result.corrections, &result.linear_iterations, &result.missed_solves})
    counts->assign(rows, 0);
  for (auto * norms : {&result.initial_norms, &result.norms, &result.worst_excess})
    norms->assign(rows, 0.0);
  return result;
}

namespace
{

/// A line search and a test of the size of updates are about Newton's updates, and so is a limit
/// that leaves no room for corrections.
bool has_corrections(const NonlinearSystem & system, const NewtonSettings & settings)
{
  return settings.max_corrections > 0 && settings.max_iterations > settings.max_corrections &&
         system.has_factors() && settings.line_search_max_iterations <= 1 &&
         !limits_updates(settings);
}

NewtonResult solve_by_team(NonlinearSystem & system, const Groups & guess,
                           const NewtonSettings & settings, std::int64_t max_active,
                           const Team & team)
{
  const auto rows = system.rows();
  max_active = std::min(max_active, rows);
  Solve solve{system, guess, settings, rows, max_active, has_corrections(system, settings), {}, {}};
  solve.result = untouched_rows(static_cast<std::size_t>(rows));
  solve.sizes.resize(static_cast<std::size_t>(rows));
  for (const auto & group : guess)
    solve.result.unknowns.push_back(at::empty_like(group, at::MemoryFormat::Contiguous));
  std::mutex reports;
  team.run((rows + max_active - 1) / max_active,
           [&](std::int64_t, const Checkpoint & checkpoint)
           {
             const at::AutoDispatchBelowADInplaceOrView below_autograd;
             Iteration iteration(solve);
             while (!iteration.finished())
             {
               checkpoint();
               iteration.advance();
             }
             const std::lock_guard lock(reports);
             iteration.report();
           });
  return std::move(solve.result);
}

} // namespace

NewtonResult solve_newton(NonlinearSystem & system, const Groups & guess,
                          const NewtonSettings & settings, std::int64_t max_active,
                          const Team & team)
{
  auto result = solve_by_team(system, guess, settings, max_active, team);
  RowList failed;
  for (std::size_t row = 0; row < result.rows(); ++row)
    if (result.status[row] != RowStatus::Converged && result.corrections[row] > 0)
      failed.push_back(static_cast<std::int64_t>(row));
  if (failed.empty())
    return result;
  // What corrections have led astray may still be solved without them.
  auto plain = settings;
  plain.max_corrections = 0;
  const auto index = row_index(failed, guess.front().device());
  const auto again = solve_by_team(*system.restricted_to(index), select_rows(guess, index), plain,
                                   max_active, team);
  result.replace(failed, again);
  return result;
}

} // namespace neml2_aoti_plugin
