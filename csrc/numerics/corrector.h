// Steps between Newton updates that cost a residual and no matrix.
//
// After a Newton update a row keeps the factors of A and goes on by Broyden's "good" updates of the
// matrix, each of rank one,
//   B+ = B + (r+ s^T W^2) / (s^T W^2 s),   s = the step that led to r+ = r(u + s),
// for as long as they reduce |r| well. Once they have brought |r| under its target, one more Newton
// update makes the solution as accurate as it is without them. W scales unknowns of different units
// by the norms of the columns of A. Only the factors of A and the steps are kept: with d = -A^-1 r+
// and steps s_0 to s_k
//   d <- d + (s_j . d / s_j . s_j) s_j+1  for j < k,   s_k+1 = d / (1 - s_k . d / s_k . s_k)
// (Kelley, Iterative Methods for Linear and Nonlinear Equations, SIAM 1995, chapter 7, brsol).
//
// Rows are independent of one another: of each it is known how many steps it has taken since its
// last Newton update, and whether the next one is due.
#pragma once

#include <vector>

#include "description/solver_settings.h"
#include "numerics/line_search.h"
#include "numerics/nonlinear_system.h"
#include "numerics/row_factors.h"

namespace neml2_aoti_plugin
{

class Corrector
{
public:
  explicit Corrector(const NewtonSettings & settings) : settings_(settings) {}

  /// du of every row of `system`: the Newton update where it is due, else a correction.
  NewtonUpdate update(const NonlinearSystem & system, const Iterate & current);

  /// To be told the norms of the residual at the guess, before and after the step. Returns the rows
  /// whose step was a correction that made things worse: it is to be taken back.
  std::vector<std::int64_t> judge(const std::vector<double> & initial,
                                  const std::vector<double> & before,
                                  const std::vector<double> & after);

  /// Whether the last step of the row was no Newton update.
  bool has_corrected(std::size_t row) const { return has_corrected_[row]; }

  /// Whether the row has no further correction to try.
  bool is_newton_update_due(std::size_t row) const { return steps_[row] == 0; }

  /// These rows stay.
  void restrict_to(const at::Tensor & rows);

  /// As many rows begin.
  void extend(std::int64_t rows);

private:
  void renew_due_factors(const NonlinearSystem & system, const Iterate & current,
                         NewtonUpdate & update);

  const NewtonSettings & settings_;
  RowFactors factors_;
  at::Tensor scales_;               // W, (rows, n)
  at::Tensor history_;              // scaled steps, (rows, (max_corrections + 1) n)
  std::vector<std::int64_t> steps_; // since the last Newton update, which counts; 0: it is due
  std::vector<bool> has_corrected_;
};

} // namespace neml2_aoti_plugin
