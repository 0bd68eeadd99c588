// One damped Newton step u + alpha du, alpha chosen per row by backtracking from 1.
#pragma once

#include <vector>

#include "description/solver_settings.h"
#include "numerics/nonlinear_system.h"

namespace neml2_aoti_plugin
{

struct Iterate
{
  Groups u;
  Groups b; // residual at u
};

/// Takes the step from `current` along `du`.
///
/// Without a line search every row takes the full step. With one, a row takes the first of the
/// trials alpha = 1, 1/cutback, 1/cutback^2, ... that decreases |b|^2 enough
/// (is_sufficient_decrease), or the last where none does. There are line_search_max_iterations - 1
/// trials, and one more where the residual at the last of them is not finite. A row that has
/// accepted is not evaluated again.
Iterate take_step(const NonlinearSystem & system, const Iterate & current, const Groups & du,
                  const NewtonSettings & settings);

} // namespace neml2_aoti_plugin
