// Iterative solution of A x = b for many independent rows, given only products with A.
//
//   gmres     restarted, preconditioned from the left (Saad and Schultz, SIAM J. Sci. Stat. Comput.
//             7, 1986), with re-orthogonalised Gram-Schmidt (Giraud et al., Numer. Math. 101, 2005)
//   bicgstab  preconditioned from the right (van der Vorst, SIAM J. Sci. Stat. Comput. 13, 1992);
//             a row on which the recurrence breaks down starts a new one in the next cycle
//
// Both seek corrections to the iterate in cycles, from x = 0. A row is done when its true residual
// passes, |b - A x| <= max(atol, rtol |b|), computed from x after each cycle. It is given up when
// that is not finite, or when a cycle did not reduce the residual that the method works on, as the
// next one would not either. Rows have their own fates: one that is done or given up is frozen and
// takes part in no product but that with zero. Tests against zero are relative to the size of what
// is tested, so answers do not depend on the units of the system.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>

#include "description/solver_settings.h"

namespace neml2_aoti_plugin
{

/// (rows, n) to (rows, n), row by row.
using RowOperator = std::function<at::Tensor(const at::Tensor &)>;

/// One entry per row; on the device of b.
struct KrylovResult
{
  at::Tensor x;          // (rows, n): the iterate of the smallest true residual found
  at::Tensor norm;       // |b - A x|
  at::Tensor target;     // what the norm had to reach
  at::Tensor iterations; // int64: directions in which the row moved
};

/// `b` is (rows, n). Directions are counted over all cycles: GMRES takes one product with A for
/// each, BiCGStab two; the check after each cycle takes one more.
KrylovResult solve_krylov(const RowOperator & product, const RowOperator & precondition,
                          const at::Tensor & b, const KrylovSettings & settings);

} // namespace neml2_aoti_plugin
