#include "model/failed_rows.h"

#include <algorithm>
#include <limits>

namespace neml2_aoti_plugin
{

namespace
{

/// Nothing was solved for the row.
void forget(SolveRecord & record, std::size_t row, RowStatus fate)
{
  constexpr auto unknown = std::numeric_limits<double>::quiet_NaN();
  auto & rows = record.rows;
  rows.status[row] = fate;
  rows.initial_norms[row] = unknown;
  rows.norms[row] = unknown;
  for (auto * counts :
       {&rows.iterations, &rows.corrections, &rows.linear_iterations, &rows.missed_solves})
    (*counts)[row] = 0;
  rows.worst_excess[row] = 0.0;
  record.substeps[row] = 0;
}

/// The first row that is not listed, or their number.
std::int64_t first_beside(const RowList & ascending)
{
  std::int64_t row = 0;
  for (const auto listed : ascending)
    if (listed == row)
      ++row;
  return row;
}

} // namespace

void FailedRows::add(SolveRecord & record)
{
  for (std::size_t k = 0; k < rows_.size(); ++k)
    forget(record, static_cast<std::size_t>(rows_[k]), fates_[k]);
  rows_.clear();
  fates_.clear();
  for (std::size_t row = 0; row < record.rows.rows(); ++row)
  {
    const auto fate = record.rows.status[row];
    if (fate == RowStatus::Converged)
      continue;
    rows_.push_back(static_cast<std::int64_t>(row));
    fates_.push_back(fate);
  }
}

void FailedRows::stand_in(State & state) const
{
  if (rows_.empty())
    return;
  const auto donor = first_beside(rows_);
  for (auto & [name, value] : state)
  {
    const auto rows = index(value.data.device());
    value.data =
        donor == value.data.size(0)
            ? value.data.index_fill(0, rows, 0.0)
            : value.data.index_copy(
                  0, rows,
                  value.data.narrow(0, donor, 1).expand_as(value.data.index_select(0, rows)));
  }
}

at::Tensor FailedRows::overwritten(const at::Tensor & by_row, double value) const
{
  return rows_.empty() ? by_row : by_row.index_fill(0, index(by_row.device()), value);
}

} // namespace neml2_aoti_plugin
