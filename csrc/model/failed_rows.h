// The rows of a call that a solve failed for, where the call is to go on with the others.
#pragma once

#include <vector>

#include "numerics/rows.h"
#include "segments/solve_record.h"
#include "segments/state.h"

namespace neml2_aoti_plugin
{

class FailedRows
{
public:
  bool any() const { return !rows_.empty(); }

  /// Adds the rows that failed in this solve. In the record of it, rows that had failed before are
  /// no longer told as what stood in for them.
  void add(SolveRecord & record);

  /// Gives every failed row the values of one that has not failed, or zero if there is none, so
  /// that what comes next can run. Rows are independent: nobody sees it.
  void stand_in(State & state) const;

  /// A tensor by rows, with `value` all over the failed ones.
  at::Tensor overwritten(const at::Tensor & by_row, double value) const;

private:
  at::Tensor index(const at::Device & device) const { return row_index(rows_, device); }

  RowList rows_; // ascending
  std::vector<RowStatus> fates_;
};

} // namespace neml2_aoti_plugin
