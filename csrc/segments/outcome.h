// What became of the rows of an increment.
#pragma once

#include "numerics/newton.h"
#include "numerics/rows.h"
#include "segments/solve_record.h"
#include "segments/tangents.h"

namespace neml2_aoti_plugin
{

struct Outcome
{
  NewtonResult newton;                // counts are over all substeps
  std::vector<std::int64_t> substeps; // parts into which each row's increment was divided
  std::vector<SolveAttempt> attempts;
  ComputedTangents tangents; // of the unknowns, (rows, |unknown|, columns); zero in rows
                             // that failed

  RowList rows_with(bool has_converged) const;

  /// The listed rows end as `later` says, which went on where these rows were. What was counted so
  /// far counts as well, but for the parts of an attempt that is `discarded`.
  void supersede(const RowList & rows, const Outcome & later, bool is_discarded);

  /// The tangents in the listed rows (an index tensor) become these.
  void adopt_tangents(const at::Tensor & rows, const ComputedTangents & computed);
};

} // namespace neml2_aoti_plugin
