#include "numerics/line_search.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/tensor.h>

#include <cmath>

#include "numerics/convergence.h"
#include "numerics/row_reductions.h"
#include "numerics/rows.h"

namespace neml2_aoti_plugin
{

namespace
{

Groups full_step(const Groups & u, const Groups & du)
{
  Groups next;
  for (std::size_t k = 0; k < u.size(); ++k)
    next.push_back(u[k] + du[k]);
  return next;
}

/// u + alpha du with one alpha per row.
Groups damped_step(const Groups & u, const Groups & du, const std::vector<double> & alpha)
{
  const auto alpha_column = at::tensor(alpha, at::kDouble).to(u.front().device());
  Groups next;
  for (std::size_t k = 0; k < u.size(); ++k)
  {
    std::vector<std::int64_t> shape(static_cast<std::size_t>(u[k].dim()), 1);
    shape.front() = -1;
    next.push_back(u[k] + alpha_column.reshape(shape) * du[k]);
  }
  return next;
}

void write_rows(Groups & target, const at::Tensor & rows, const Groups & source)
{
  for (std::size_t k = 0; k < target.size(); ++k)
    target[k].index_copy_(0, rows, source[k]);
}

/// The rows that still search, each with what its test needs.
struct Search
{
  RowList rows; // positions in the batch of the step
  Groups u;
  Groups du;
  std::vector<double> phi;
  std::vector<double> slope;
  std::vector<double> alpha;

  std::size_t size() const { return rows.size(); }

  Search subset(const RowList & positions) const
  {
    const auto index = row_index(positions, u.front().device());
    return {pick(rows, positions), select_rows(u, index),  select_rows(du, index),
            pick(phi, positions),  pick(slope, positions), pick(alpha, positions)};
  }
};

/// Who shall try a smaller step after so many trials.
RowList rejected(const Search & search, const Groups & trial_b, std::int64_t trials,
                 const NewtonSettings & settings)
{
  const auto trial_phi = row_dot(trial_b, trial_b);
  // The host's loop ends one trial before its limit, and so do we, to follow the same iterates; but
  // for a step to where the residual is not finite, which is where the host gives up.
  const bool has_trials = trials + 1 < settings.line_search_max_iterations;
  const bool has_last_trial = trials < settings.line_search_max_iterations;
  RowList positions;
  for (std::size_t i = 0; i < search.size(); ++i)
    if ((has_trials && !is_sufficient_decrease(trial_phi[i], search.phi[i], search.slope[i],
                                               search.alpha[i], settings)) ||
        (has_last_trial && !std::isfinite(trial_phi[i])))
      positions.push_back(static_cast<std::int64_t>(i));
  return positions;
}

Iterate searched_step(const NonlinearSystem & system, const Iterate & current, const Groups & du,
                      const NewtonSettings & settings)
{
  const auto count = static_cast<std::size_t>(system.rows());
  RowList all(count);
  for (std::size_t i = 0; i < count; ++i)
    all[i] = static_cast<std::int64_t>(i);
  Search search{all,
                current.u,
                du,
                row_dot(current.b, current.b),
                row_dot(current.b, du),
                std::vector<double>(count, 1.0)};

  Iterate accepted{full_step(current.u, du), {}};
  accepted.b = system.residual(accepted.u);
  auto pending = rejected(search, accepted.b, 1, settings);
  if (pending.empty())
    return accepted;
  for (auto & group : accepted.b)
    group = group.clone();
  for (std::int64_t trials = 2; !pending.empty(); ++trials)
  {
    search = search.subset(pending);
    for (auto & alpha : search.alpha)
      alpha /= settings.line_search_cutback;
    const auto rows = row_index(search.rows, current.u.front().device());
    const auto u = damped_step(search.u, search.du, search.alpha);
    const auto b = system.restricted_to(rows)->residual(u);
    write_rows(accepted.u, rows, u);
    write_rows(accepted.b, rows, b);
    pending = rejected(search, b, trials, settings);
  }
  return accepted;
}

} // namespace

Iterate take_step(const NonlinearSystem & system, const Iterate & current, const Groups & du,
                  const NewtonSettings & settings)
{
  if (settings.line_search_max_iterations > 1)
    return searched_step(system, current, du, settings);
  Iterate next{full_step(current.u, du), {}};
  next.b = system.residual(next.u);
  return next;
}

} // namespace neml2_aoti_plugin
