// Newton's method on a batch of independent rows.
//
//   A du = b,  u <- u + alpha du,  until |b| < atol or |b| < rtol |b0|
//
// where the relative test may also ask for a small last update, |alpha du| < tol (|u| + atol).
// Each row has its own stopping test, line search and fate: a row that has converged or failed
// leaves the batch and is not evaluated again, so its answer does not depend on the rows beside it.
// Where only some rows may iterate at a time, another one takes its place.
// Nothing here raises for a row that fails; the caller decides from the statuses.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "description/solver_settings.h"
#include "execution/team.h"
#include "numerics/nonlinear_system.h"

namespace neml2_aoti_plugin
{

enum class RowStatus : std::uint8_t
{
  Converged,
  NonFinite,         // |r| is infinite or not a number
  LinearSolveFailed, // A is singular
  IterationLimit,    // max_iterations updates were not enough
  NoTangent,         // solved, but A is singular at the solution, and a tangent was asked for
};

/// All rows that came to this iterate, seen together.
struct IterateTrace
{
  double norm;                        // the largest |r|
  double initial_norm;                // the largest |r| at the guess
  std::int64_t linear_iterations = 0; // of the update that led here: the most of any row,
  std::int64_t missed_solves = 0;     // and how many rows' linear solves missed their tolerance
};

struct NewtonResult
{
  Groups unknowns; // converged values; the last iterate of rows that failed
  std::vector<RowStatus> status;
  std::vector<std::int64_t> iterations;        // Newton updates taken
  std::vector<std::int64_t> corrections;       // steps between them, see corrector.h
  std::vector<double> initial_norms;           // |r| at the guess
  std::vector<double> norms;                   // |r| at `unknowns`
  std::vector<std::int64_t> linear_iterations; // of all its iterative linear solves
  std::vector<std::int64_t> missed_solves;     // linear solves that missed their tolerance
  std::vector<double> worst_excess;            // the largest LinearSolveReport::excess
  std::vector<IterateTrace> trace;             // the guess, then one entry per update
  std::string linear_failure;                  // text of the first failed linear solve, if any

  std::size_t rows() const { return status.size(); }
  bool all_converged() const;

  /// The listed rows become these.
  void replace(const std::vector<std::int64_t> & rows, const NewtonResult & others);
};

/// Other rows' iterates join.
void merge_traces(std::vector<IterateTrace> & all, const std::vector<IterateTrace> & more);

/// A record of `rows` rows in which nothing has happened yet.
NewtonResult untouched_rows(std::size_t rows);

/// Solves from `guess`, which is not modified. At least one row. Members of the team take rows from
/// one queue, and each iterates no more than `max_active` of them together; results depend on
/// neither. With more than one member the system must allow restricted_to() from several threads.
/// Throws Interrupted where the caller of the team asks for that.
NewtonResult solve_newton(NonlinearSystem & system, const Groups & guess,
                          const NewtonSettings & settings, std::int64_t max_active = all_at_once,
                          const Team & team = Team());

} // namespace neml2_aoti_plugin
