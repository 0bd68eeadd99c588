#include <limits>

#include "check.h"
#include "numerics/convergence.h"

namespace neml2_aoti_plugin {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();

/// Powers of two, so that the limits are exact.
NewtonSettings with_tolerances(double absolute, double relative) {
  NewtonSettings settings;
  settings.absolute_tolerance = absolute;
  settings.relative_tolerance = relative;
  return settings;
}

NewtonSettings with_search(LineSearch kind, double constant) {
  NewtonSettings settings;
  settings.line_search = kind;
  settings.line_search_constant = constant;
  settings.absolute_tolerance = 0.0;
  return settings;
}

const check::Tests tests{
{"is_converged_below_the_absolute_tolerance", [] {
  const auto settings = with_tolerances(0.25, 0.0);
  check::that(is_converged(0.125, 1.0, settings));
  check::that(!is_converged(0.5, 1.0, settings));
}},
{"is_converged_is_strict_at_the_absolute_tolerance", [] {
  check::that(!is_converged(0.25, 1.0, with_tolerances(0.25, 0.0)));
}},
{"is_converged_below_the_relative_tolerance", [] {
  const auto settings = with_tolerances(0.0, 0.25);
  check::that(is_converged(0.5, 4.0, settings));
  check::that(!is_converged(2.0, 4.0, settings));
}},
{"is_converged_is_strict_at_the_relative_tolerance", [] {
  check::that(!is_converged(1.0, 4.0, with_tolerances(0.0, 0.25)));
}},
{"is_converged_at_a_zero_start_by_the_absolute_tolerance_only", [] {
  check::that(is_converged(0.0, 0.0, with_tolerances(1e-10, 0.0)));
  check::that(!is_converged(0.0, 0.0, with_tolerances(0.0, 1e-8)));
  check::that(!is_converged(1.0, 0.0, with_tolerances(1e-10, 1e-8)));
}},
{"is_converged_is_false_for_what_is_not_a_number", [] {
  const auto settings = with_tolerances(1.0, 1.0);
  check::that(!is_converged(not_a_number, 1.0, settings));
  check::that(!is_converged(2.0, not_a_number, settings));
  check::that(!is_converged(infinity, 1.0, settings));
  check::that(!is_converged(infinity, infinity, settings));
}},
{"is_converged_is_false_with_zero_tolerances", [] {
  check::that(!is_converged(0.0, 1.0, with_tolerances(0.0, 0.0)));
}},

{"is_diverged_for_what_is_not_finite", [] {
  check::that(is_diverged(infinity));
  check::that(is_diverged(not_a_number));
}},
{"is_diverged_is_false_for_large_numbers", [] { check::that(!is_diverged(1e308)); }},

// phi = 8, slope b.du = 4, alpha = 1/2, c = 1/4: 8 - 2 * 1/4 * 1/2 * 4 = 7.
{"backtracking_accepts_up_to_its_limit", [] {
  const auto settings = with_search(LineSearch::Backtracking, 0.25);
  check::that(is_sufficient_decrease(7.0, 8.0, 4.0, 0.5, settings));
  check::that(!is_sufficient_decrease(7.0 + 1e-14, 8.0, 4.0, 0.5, settings));
}},
{"backtracking_limit_depends_on_the_slope", [] {
  const auto settings = with_search(LineSearch::Backtracking, 0.25);
  check::that(!is_sufficient_decrease(7.0, 8.0, 8.0, 0.5, settings));
  check::that(is_sufficient_decrease(9.0, 8.0, -4.0, 0.5, settings));
}},
// phi = 8, alpha = 1/2, c = 1/4: (1 - 1/8) * 8 = 7.
{"strong_wolfe_accepts_up_to_its_limit", [] {
  const auto settings = with_search(LineSearch::StrongWolfe, 0.25);
  check::that(is_sufficient_decrease(7.0, 8.0, 0.0, 0.5, settings));
  check::that(!is_sufficient_decrease(7.0 + 1e-14, 8.0, 0.0, 0.5, settings));
}},
{"strong_wolfe_limit_does_not_depend_on_the_slope", [] {
  const auto settings = with_search(LineSearch::StrongWolfe, 0.25);
  check::that(is_sufficient_decrease(7.0, 8.0, 100.0, 0.5, settings));
  check::that(!is_sufficient_decrease(7.5, 8.0, -100.0, 0.5, settings));
}},
{"line_search_accepts_a_trial_within_the_absolute_tolerance", [] {
  for (const auto kind : {LineSearch::Backtracking, LineSearch::StrongWolfe}) {
    auto settings = with_search(kind, 0.25);
    settings.absolute_tolerance = 0.5;
    check::that(is_sufficient_decrease(0.25, 0.0, 1.0, 1.0, settings));
    check::that(!is_sufficient_decrease(0.26, 0.0, 1.0, 1.0, settings));
  }
}},
{"line_search_rejects_what_is_not_finite", [] {
  for (const auto kind : {LineSearch::Backtracking, LineSearch::StrongWolfe}) {
    const auto settings = with_search(kind, 0.25);
    check::that(!is_sufficient_decrease(not_a_number, 8.0, 4.0, 1.0, settings));
    check::that(!is_sufficient_decrease(infinity, 8.0, 4.0, 1.0, settings));
    check::that(!is_sufficient_decrease(1.0, not_a_number, 4.0, 1.0, settings));
  }
}},
};

}  // namespace
}  // namespace neml2_aoti_plugin
