#include "check.h"
#include "numerics/convergence_error.h"
#include "solver/tensors.h"

namespace neml2_aoti_plugin {
namespace {

NewtonResult failed_result() {
  NewtonResult result;
  result.status = {RowStatus::Converged, RowStatus::IterationLimit, RowStatus::IterationLimit};
  result.iterations = {3, 25, 25};
  result.initial_norms = {1.0, 2.0, 4.0};
  result.norms = {1e-12, 2.1e-3, 5.25e-2};
  return result;
}

ConvergenceError error_of(NewtonResult result) {
  return {"plasticity", std::move(result), {{"slip", counting({3, 2})}}, {}};
}

const check::Tests tests{
{"convergence_error_says_what_happened_and_what_to_do", [] {
  check::equal<std::string>(
      error_of(failed_result()).what(),
      "segment 'plasticity': 2 of 3 rows failed to solve: 2 not converged after 25 iterations "
      "(worst row 2: |r| = 0.0525 after 25 iterations from |r0| = 4; targets abs 1e-10, rel 1e-08). "
      "Reduce the increment, or relax the solver settings.");
}},
{"convergence_error_counts_every_cause", [] {
  auto result = failed_result();
  result.status = {RowStatus::LinearSolveFailed, RowStatus::IterationLimit, RowStatus::NonFinite};
  result.norms[2] = std::numeric_limits<double>::infinity();
  result.iterations[2] = 1;
  result.linear_failure = "exactly singular";
  check::equal<std::string>(
      error_of(result).what(),
      "segment 'plasticity': 3 of 3 rows failed to solve: 1 not converged after 25 iterations; "
      "1 with a residual that is not finite; 1 with a linear solve that failed "
      "(worst row 2: |r| = inf after 1 iterations from |r0| = 4; targets abs 1e-10, rel 1e-08). "
      "Reduce the increment, or relax the solver settings. The linear solve said: exactly singular");
}},
{"convergence_error_takes_no_converged_row_for_the_worst", [] {
  auto result = failed_result();
  result.norms[0] = 100.0;  // converged by the relative tolerance
  check::that(std::string(error_of(result).what()).find("worst row 2") != std::string::npos);
}},
{"convergence_error_takes_the_first_row_that_is_not_a_number_for_the_worst", [] {
  auto result = failed_result();
  result.norms[1] = std::numeric_limits<double>::quiet_NaN();
  check::that(std::string(error_of(result).what()).find("worst row 1: |r| = nan") != std::string::npos);
}},
{"convergence_error_has_one_batch_axis_at_first", [] {
  check::equal(error_of(failed_result()).batch(), {3});
}},
{"convergence_error_presents_unknowns_in_the_callers_batch_and_dtype", [] {
  auto error = error_of(failed_result());
  error.present_as({3, 1}, at::kFloat);
  check::equal(error.batch(), {3, 1});
  check::equal(error.unknowns().at(0).first, "slip");
  same(error.unknowns().at(0).second, counting({3, 1, 2}).to(at::kFloat));
}},
{"convergence_error_presents_an_unbatched_call_without_rows", [] {
  NewtonResult result;
  result.status = {RowStatus::IterationLimit};
  result.iterations = {1};
  result.initial_norms = result.norms = {1.0};
  ConvergenceError error("s", result, {{"x", counting({1, 2})}}, {});
  error.present_as({}, at::kDouble);
  same(error.unknowns().at(0).second, counting({2}));
}},
{"convergence_error_does_not_share_the_iterate", [] {
  const auto iterate = counting({1, 2});
  NewtonResult result;
  result.status = {RowStatus::IterationLimit};
  result.iterations = {1};
  result.initial_norms = result.norms = {1.0};
  ConvergenceError error("s", result, {{"x", iterate}}, {});
  error.present_as({1}, at::kDouble);
  check::that(!error.unknowns().at(0).second.is_alias_of(iterate));
}},
};

}  // namespace
}  // namespace neml2_aoti_plugin
