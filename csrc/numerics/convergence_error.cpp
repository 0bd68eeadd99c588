#include "numerics/convergence_error.h"

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace neml2_aoti_plugin
{

namespace
{

std::string scientific(double value)
{
  if (std::isnan(value))
    return "nan"; // printf adds a meaningless sign
  char text[32];
  std::snprintf(text, sizeof text, "%.3g", value);
  return text;
}

std::size_t count(const NewtonResult & result, RowStatus status)
{
  return static_cast<std::size_t>(std::count(result.status.begin(), result.status.end(), status));
}

/// The failed row with the largest residual; one that is not finite counts as largest.
std::size_t worst_row(const NewtonResult & result)
{
  std::size_t worst = result.status.size();
  for (std::size_t row = 0; row < result.status.size(); ++row)
  {
    if (result.status[row] == RowStatus::Converged)
      continue;
    if (worst == result.status.size() || !(result.norms[row] <= result.norms[worst]))
      worst = row;
    if (!std::isfinite(result.norms[worst]))
      break;
  }
  return worst;
}

std::string causes(const NewtonResult & result, const NewtonSettings & settings)
{
  std::string text;
  const auto add = [&](RowStatus status, const std::string & what)
  {
    if (const auto rows = count(result, status))
      text += (text.empty() ? "" : "; ") + std::to_string(rows) + " " + what;
  };
  add(RowStatus::IterationLimit,
      "not converged after " + std::to_string(settings.max_iterations) + " iterations");
  add(RowStatus::NonFinite, "with a residual that is not finite");
  add(RowStatus::LinearSolveFailed, "with a linear solve that failed");
  add(RowStatus::NoTangent,
      "solved, but without a derivative, since the system is singular at the solution");
  return text;
}

/// What was solved last, where that was not the increment itself.
std::string part(std::int64_t halvings)
{
  return halvings == 0 ? ""
                       : ", over a part of the increment after " + std::to_string(halvings) +
                             (halvings == 1 ? " halving" : " halvings");
}

std::string message(const std::string & segment, const NewtonResult & result,
                    const NewtonSettings & settings, std::int64_t halvings)
{
  const auto rows = result.status.size();
  const auto worst = worst_row(result);
  auto text =
      "segment '" + segment + "': " + std::to_string(rows - count(result, RowStatus::Converged)) +
      " of " + std::to_string(rows) + " rows failed to solve" + part(halvings) + ": " +
      causes(result, settings) + " (worst row " + std::to_string(worst) +
      ": |r| = " + scientific(result.norms[worst]) + " after " +
      std::to_string(result.iterations[worst]) +
      " iterations from |r0| = " + scientific(result.initial_norms[worst]) + "; targets abs " +
      scientific(settings.absolute_tolerance) + ", rel " + scientific(settings.relative_tolerance) +
      "). Reduce the increment, or relax the solver settings.";
  if (!result.linear_failure.empty())
    text += " The linear solve said: " + result.linear_failure;
  return text;
}

} // namespace

ConvergenceError::ConvergenceError(const std::string & segment, NewtonResult result,
                                   std::vector<std::pair<std::string, at::Tensor>> unknowns,
                                   const NewtonSettings & settings, std::int64_t halvings)
    : Error(message(segment, result, settings, halvings)), result_(std::move(result)),
      batch_{static_cast<std::int64_t>(result_.status.size())}, unknowns_(std::move(unknowns))
{
}

void ConvergenceError::present_as(const std::vector<std::int64_t> & batch, at::ScalarType dtype)
{
  batch_ = batch;
  for (auto & [name, value] : unknowns_)
  {
    auto shape = batch;
    const auto row_shape = value.sizes().slice(1);
    shape.insert(shape.end(), row_shape.begin(), row_shape.end());
    value = value.reshape(shape).to(dtype).clone(at::MemoryFormat::Contiguous);
  }
}

} // namespace neml2_aoti_plugin
