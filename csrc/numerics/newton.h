// Newton's method on a batch of independent rows.
//
//   A du = b,  u <- u + alpha du,  until |b| < atol or |b| < rtol |b0|
//
// Each row has its own stopping test, line search and fate: a row that has converged or failed
// leaves the batch and is not evaluated again, so its answer does not depend on the rows beside it.
// Nothing here raises for a row that fails; the caller decides from the statuses.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "description/solver_settings.h"
#include "numerics/nonlinear_system.h"

namespace neml2_aoti_plugin
{

enum class RowStatus : std::uint8_t
{
  Converged,
  NonFinite,         // |r| is infinite or not a number
  LinearSolveFailed, // A is singular
  IterationLimit,    // max_iterations updates were not enough
};

struct NewtonResult
{
  Groups unknowns; // converged values; the last iterate of rows that failed
  std::vector<RowStatus> status;
  std::vector<std::int64_t> iterations; // updates taken
  std::vector<double> initial_norms;    // |r| at the guess
  std::vector<double> norms;            // |r| at `unknowns`
  std::string linear_failure;           // text of the first failed linear solve, if any

  bool all_converged() const;
};

/// Solves from `guess`, which is not modified. At least one row.
NewtonResult solve_newton(const NonlinearSystem & system, const Groups & guess,
                          const NewtonSettings & settings);

} // namespace neml2_aoti_plugin
