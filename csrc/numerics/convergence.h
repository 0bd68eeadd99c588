// The stopping tests of one row. Standard library only; n is |r| at the iterate, n0 at the start.
#pragma once

#include <cmath>

#include "description/solver_settings.h"

namespace neml2_aoti_plugin
{

/// Strict comparisons, as the host's solver makes them; false for anything that is not a number.
inline bool is_converged(double n, double n0, const NewtonSettings & settings)
{
  return n < settings.absolute_tolerance || n / n0 < settings.relative_tolerance;
}

inline bool is_diverged(double n) { return !std::isfinite(n); }

/// Whether a trial step of a line search decreases phi = |b|^2 enough. `slope` is b.du.
inline bool is_sufficient_decrease(double trial_phi, double phi, double slope, double alpha,
                                   const NewtonSettings & settings)
{
  const double c = settings.line_search_constant;
  const double limit = settings.line_search == LineSearch::StrongWolfe
                           ? (1.0 - c * alpha) * phi
                           : phi - 2.0 * c * alpha * slope;
  const double atol = settings.absolute_tolerance;
  return trial_phi <= limit || trial_phi <= atol * atol;
}

} // namespace neml2_aoti_plugin
