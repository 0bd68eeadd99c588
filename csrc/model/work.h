// The rows of a call, some at a time.
#pragma once

#include <functional>
#include <limits>
#include <vector>

#include "execution/blocks.h"
#include "model/failed_rows.h"
#include "segments/segment.h"

namespace neml2_aoti_plugin
{

/// A result by rows, (rows, *tail); or one that is the same for all rows, (*tail).
struct RowResult
{
  at::Tensor data;
  Shape batch; // that it really depends on, see Value::batch
  bool is_by_row = true;
};

using RowResults = std::vector<RowResult>;

/// Some rows of a call, with all that segments need to run on them.
struct Work
{
  RowRange block; // of the rows of the call
  Call call;
  State state;
  Tangents tangents; // empty where only values are asked for
  bool has_tangents = false;
  bool is_recorded = false; // on `tape`
  Tape tape;
  bool is_collected_alone = false; // what is wanted is found without running the segments first
  FailedRows failed;
  double failed_value = std::numeric_limits<double>::quiet_NaN(); // in results of failed rows

  /// The same for rows of this work.
  Work part(const RowRange & rows) const;
};

/// What is wanted of some rows once segments have run; the same number of results for all rows.
using Collect = std::function<RowResults(Work & work)>;

/// Results of blocks that follow one another.
RowResults joined(std::vector<RowResults> blocks);

} // namespace neml2_aoti_plugin
