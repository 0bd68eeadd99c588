#include "numerics/corrector.h"

#include <ATen/ops/empty.h>

#include "numerics/convergence.h"
#include "numerics/rows.h"

namespace neml2_aoti_plugin
{

namespace
{

// A correction that does not reduce |r| to this part of it is the last one before Newton's turn.
constexpr double good_reduction = 0.7;

/// In an order of its own, which keeps additions from waiting for one another.
double dot(const double * x, const double * y, std::int64_t n)
{
  double sums[4] = {0.0, 0.0, 0.0, 0.0};
  std::int64_t i = 0;
  for (; i + 4 <= n; i += 4)
    for (int k = 0; k < 4; ++k)
      sums[k] += x[i + k] * y[i + k];
  for (; i < n; ++i)
    sums[0] += x[i] * y[i];
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

/// From -A^-1 r to the Broyden step after `count` steps, all scaled.
void correct(double * d, const double * steps, std::int64_t count, std::int64_t n)
{
  for (std::int64_t j = 0; j < count; ++j)
  {
    const auto * step = steps + j * n;
    const auto part = dot(step, d, n) / dot(step, step, n);
    if (j + 1 < count)
      for (std::int64_t i = 0; i < n; ++i)
        d[i] += part * step[n + i];
    else
      for (std::int64_t i = 0; i < n; ++i)
        d[i] /= 1.0 - part;
  }
}

} // namespace

NewtonUpdate Corrector::update(const NonlinearSystem & system, const Iterate & current)
{
  NewtonUpdate update;
  renew_due_factors(system, current, update);
  auto d = factors_.solve(flattened(current.b));
  const auto n = d.size(1);
  auto * values = d.mutable_data_ptr<double>();
  const auto * scales = scales_.const_data_ptr<double>();
  auto * history = history_.mutable_data_ptr<double>();
  for (std::size_t row = 0; row < steps_.size(); ++row)
  {
    for (std::int64_t i = 0; i < n; ++i)
      values[i] *= scales[i];
    correct(values, history, steps_[row], n);
    if (steps_[row] <= settings_.max_corrections)
      std::copy_n(values, n, history + steps_[row] * n);
    for (std::int64_t i = 0; i < n; ++i)
      values[i] /= scales[i];
    ++steps_[row];
    values += n;
    scales += n;
    history += history_.size(1);
  }
  for (const auto row : update.failed_rows)
    d.select(0, row).zero_();
  update.du = unflattened(d, current.b);
  return update;
}

void Corrector::renew_due_factors(const NonlinearSystem & system, const Iterate & current,
                                  NewtonUpdate & update)
{
  RowList due;
  for (std::size_t row = 0; row < steps_.size(); ++row)
    if (steps_[row] == 0)
      due.push_back(static_cast<std::int64_t>(row));
  if (due.empty())
    return;
  const bool are_all = due.size() == steps_.size();
  const auto rows = row_index(due, current.u.front().device());
  auto fresh = are_all ? *system.linearized(current.u)
                       : *system.restricted_to(rows)->linearized(select_rows(current.u, rows));
  for (const auto position : fresh.factors.singular_rows())
    update.failed_rows.push_back(due[static_cast<std::size_t>(position)]);
  if (!update.failed_rows.empty())
    update.failure = singular_matrix;
  if (are_all)
  {
    factors_ = std::move(fresh.factors);
    scales_ = std::move(fresh.column_norms);
  }
  else
  {
    factors_.put(rows, fresh.factors);
    put_rows(scales_, rows, fresh.column_norms);
  }
  if (!history_.defined())
    history_ = at::empty({static_cast<std::int64_t>(steps_.size()),
                          (settings_.max_corrections + 1) * scales_.size(1)},
                         scales_.options());
}

std::vector<std::int64_t> Corrector::judge(const std::vector<double> & initial,
                                           const std::vector<double> & before,
                                           const std::vector<double> & after)
{
  RowList taken_back;
  for (std::size_t row = 0; row < steps_.size(); ++row)
  {
    const auto target =
        std::max(settings_.absolute_tolerance, settings_.relative_tolerance * initial[row]);
    const bool is_worse = !(after[row] < before[row]);
    const bool is_good = after[row] <= good_reduction * before[row];
    const bool is_there = after[row] < target;
    const bool is_last = steps_[row] > settings_.max_corrections;
    has_corrected_[row] = steps_[row] > 1;
    if (has_corrected_[row] && is_worse)
      taken_back.push_back(static_cast<std::int64_t>(row));
    if (is_worse || is_there || is_last || (has_corrected_[row] && !is_good))
      steps_[row] = 0;
  }
  return taken_back;
}

void Corrector::restrict_to(const at::Tensor & rows)
{
  const auto kept = row_list(rows);
  steps_ = pick(steps_, kept);
  has_corrected_ = pick(has_corrected_, kept);
  if (!history_.defined())
    return;
  factors_ = factors_.restricted_to(rows);
  scales_ = take_rows(scales_, rows);
  history_ = take_rows(history_, rows);
}

void Corrector::extend(std::int64_t rows)
{
  const auto count = steps_.size() + static_cast<std::size_t>(rows);
  steps_.resize(count, 0);
  has_corrected_.resize(count, false);
  if (!history_.defined())
    return;
  factors_.extend(rows);
  scales_ = extended(scales_, rows);
  history_ = extended(history_, rows);
}

} // namespace neml2_aoti_plugin
