#include "segments/direct_system.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/linalg_lu_factor_ex.h>
#include <ATen/ops/zeros_like.h>

#include "graphs/graph_run_error.h"

namespace neml2_aoti_plugin
{

namespace
{

/// Whether the failure of a linear solve must have another cause than its matrix.
bool is_regular(const at::Tensor & matrix)
{
  const auto info = std::get<2>(at::linalg_lu_factor_ex(matrix));
  return info.eq(0).all().item<bool>() && at::isfinite(matrix).all().item<bool>();
}

Groups zeros_like(const Groups & groups)
{
  Groups zeros;
  for (const auto & group : groups)
    zeros.push_back(at::zeros_like(group));
  return zeros;
}

Groups differences(const Groups & iterates, const Groups & u)
{
  Groups steps;
  for (std::size_t k = 0; k < u.size(); ++k)
    steps.push_back(iterates[k] - u[k]);
  return steps;
}

} // namespace

NewtonUpdate DirectSystem::update(const Groups & u)
{
  const auto solve = linear_solve(u);
  try
  {
    auto results = solve.graph->run(solve.arguments, solve.results);
    results.resize(u.size()); // a fused step also returns b
    results = arguments_.own(std::move(results));
    return {solve.returns_iterate ? differences(results, u) : std::move(results), {}, {}, {}};
  }
  catch (const GraphRunError & error)
  {
    if (rows() == 1)
    {
      if (solve.matrix.defined() && is_regular(solve.matrix))
        throw;
      return {zeros_like(u), {0}, error.what(), {}};
    }
  }
  return update_by_halves(u);
}

NewtonUpdate DirectSystem::update_by_halves(const Groups & u) const
{
  const auto middle = rows() / 2;
  const auto all = at::arange(rows(), u.front().options().dtype(at::kLong));
  NewtonUpdate merged;
  for (const auto & [first, half] : {std::pair{std::int64_t{0}, all.slice(0, 0, middle)},
                                     std::pair{middle, all.slice(0, middle)}})
  {
    auto part = restricted_to(half)->update(select_rows(u, half));
    for (const auto row : part.failed_rows)
      merged.failed_rows.push_back(first + row);
    if (merged.failure.empty())
      merged.failure = part.failure;
    if (merged.du.empty())
      merged.du = std::move(part.du);
    else
      for (std::size_t k = 0; k < merged.du.size(); ++k)
        merged.du[k] = at::cat({merged.du[k], part.du[k]}, 0);
  }
  return merged;
}

DirectSystem::LinearSolve FusedSystem::linear_solve(const Groups & u) const
{
  return {&step_, arguments_.with(u), 2 * u.size(), {}, returns_iterate_};
}

std::unique_ptr<NonlinearSystem> FusedSystem::restricted_to(const at::Tensor & rows) const
{
  return std::make_unique<FusedSystem>(residual_, step_, returns_iterate_,
                                       arguments_.restricted_to(rows));
}

DirectSystem::LinearSolve OperatorSystem::linear_solve(const Groups & u) const
{
  auto blocks = operator_blocks(jacobian_, arguments_.with(u), u.size());
  const auto matrix = u.size() == 1 ? blocks.front() : at::Tensor();
  return {&solve_, std::move(blocks), u.size(), matrix, false};
}

std::unique_ptr<NonlinearSystem> OperatorSystem::restricted_to(const at::Tensor & rows) const
{
  return std::make_unique<OperatorSystem>(residual_, jacobian_, solve_,
                                          arguments_.restricted_to(rows));
}

Tensors FactorisedSystem::blocks(const Groups & u) const
{
  return contiguous(arguments_.own(operator_blocks(jacobian_, arguments_.with(u), u.size())));
}

NewtonUpdate FactorisedSystem::update(const Groups & u) { return solver_.solve(blocks(u)); }

std::optional<Linearization> FactorisedSystem::linearized(const Groups & u) const
{
  return solver_.linearized(blocks(u));
}

std::unique_ptr<NonlinearSystem> FactorisedSystem::restricted_to(const at::Tensor & rows) const
{
  return std::make_unique<FactorisedSystem>(residual_, jacobian_, solver_,
                                            arguments_.restricted_to(rows));
}

} // namespace neml2_aoti_plugin
