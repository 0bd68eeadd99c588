// One cycle of a Krylov method: a correction d to the iterate with A d = b - A x.
#pragma once

#include "numerics/krylov.h"

namespace neml2_aoti_plugin
{

struct KrylovCycle
{
  const RowOperator & product;
  const RowOperator & precondition;
  at::Tensor residual; // (rows, n), preconditioned where the method is so from the left
  at::Tensor norm;     // |b - A x|, (rows,), never preconditioned
  at::Tensor target;   // what the norm has to reach, (rows,)
  at::Tensor active;   // bool (rows,); in the other rows the residual is zero
  std::int64_t budget; // directions at most
};

struct KrylovCorrection
{
  at::Tensor d;          // (rows, n)
  std::int64_t taken;    // directions, at least one
  at::Tensor iterations; // int64 (rows,): directions while the row was active
};

KrylovCorrection gmres_cycle(const KrylovCycle & cycle, std::int64_t restart);

/// Returns the iterate of the smallest residual of each row: the recurrence is not monotone.
KrylovCorrection bicgstab_cycle(const KrylovCycle & cycle);

// Row arithmetic of the methods.

/// Euclidean norm over the last axis.
at::Tensor norm_of_rows(const at::Tensor & values);

/// numerator / denominator, and 0 where the denominator is 0.
at::Tensor quotient(const at::Tensor & numerator, const at::Tensor & denominator);

/// `values` (rows, n) in the rows of `mask` (rows,), zero in the others.
at::Tensor only_rows(const at::Tensor & mask, const at::Tensor & values);

/// What rounding leaves, relative, in a sum over the last axis.
double rounding_of(const at::Tensor & values);

} // namespace neml2_aoti_plugin
