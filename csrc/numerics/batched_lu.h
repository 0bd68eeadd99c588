// LU factors of many small square matrices, with partial pivoting. Standard library only.
//
// Eight matrices are factorised side by side, entry (i, j) of all eight in one vector register, so
// that the arithmetic is the same as one by one. Each matrix chooses its own pivots, and neither
// its factors nor its solutions depend on the others. In memory all is row-major, one matrix after
// the other.
//
// Golub and Van Loan, Matrix Computations (4th ed.), algorithms 3.4.1 (outer product LU with
// partial pivoting), 3.1.1 and 3.1.2 (substitution).
#pragma once

#include <cstdint>

namespace neml2_aoti_plugin
{

struct LuBatch
{
  std::int64_t count;
  std::int64_t order; // of each matrix
};

/// Matrices (count, order, order) become their factors: the unit lower one below the diagonal, the
/// upper one above, its diagonal inverted. `pivots` (count, order): the row that each was swapped
/// with, in this sequence. `is_singular` (count): whether no pivot other than zero was found; not
/// so for entries that are not numbers, whose solutions are not numbers either.
void lu_factorise(const LuBatch & batch, double * matrices, std::int64_t * pivots,
                  bool * is_singular);

/// x with A x = b for `columns` right-hand sides: both (count, order, columns); `x` may be `b`.
/// Meaningless for singular matrices.
void lu_solve(const LuBatch & batch, const double * factors, const std::int64_t * pivots,
              const double * b, double * x, std::int64_t columns);

/// Both at once for one right-hand side, (count, order), where the factors are not wanted.
void lu_solve_once(const LuBatch & batch, const double * matrices, const double * b, double * x,
                   bool * is_singular);

} // namespace neml2_aoti_plugin
