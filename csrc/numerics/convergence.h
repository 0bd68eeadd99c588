// The stopping tests of one row. Standard library only; n is |r| at the iterate, n0 at the start.
#pragma once

#include <cmath>
#include <limits>

#include "description/solver_settings.h"

namespace neml2_aoti_plugin
{

/// Norms of the last update of a row and of the iterate that it led to; of no update before the
/// first.
struct UpdateSize
{
  double update = std::numeric_limits<double>::infinity();
  double iterate = 0.0;
};

inline bool limits_updates(const NewtonSettings & settings)
{
  return std::isfinite(settings.update_tolerance);
}

/// Whether the iterate has stopped moving, where the settings ask for that.
inline bool is_settled(const UpdateSize & size, const NewtonSettings & settings)
{
  return !limits_updates(settings) ||
         size.update < settings.update_tolerance * (size.iterate + settings.absolute_tolerance);
}

/// Strict comparisons, as the host's solver makes them; false for anything that is not a number.
inline bool is_converged(double n, double n0, const NewtonSettings & settings,
                         const UpdateSize & size = {})
{
  return n < settings.absolute_tolerance ||
         (n / n0 < settings.relative_tolerance && is_settled(size, settings));
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
