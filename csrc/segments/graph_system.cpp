#include "segments/graph_system.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/linalg_lu_factor_ex.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include "graphs/graph_run_error.h"
#include "layout/packing.h"

namespace neml2_aoti_plugin
{

namespace
{

void make_contiguous(Tensors & tensors)
{
  for (auto & tensor : tensors)
    tensor = tensor.contiguous();
}

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

GraphSystem::GraphSystem(const SolveGraphs & graphs, Groups givens, Tensors parameters,
                         std::int64_t rows)
    : graphs_(graphs), givens_(std::move(givens)), parameters_(std::move(parameters)), rows_(rows)
{
}

Tensors GraphSystem::arguments(const Groups & u) const
{
  Tensors arguments = u;
  make_contiguous(arguments);
  arguments.insert(arguments.end(), givens_.begin(), givens_.end());
  if (placement_)
    arguments = select_rows(arguments, placement_->stand_in);
  arguments.insert(arguments.end(), parameters_.begin(), parameters_.end());
  return arguments;
}

Groups GraphSystem::residual(const Groups & u) const
{
  return own_rows(graphs_.residual->run(arguments(u), graphs_.groups));
}

Groups GraphSystem::own_rows(Groups results) const
{
  return placement_ ? select_rows(results, placement_->position) : std::move(results);
}

Tensors GraphSystem::operator_blocks(Graph & jacobian, const Tensors & arguments,
                                     std::size_t groups)
{
  auto blocks = jacobian.run(arguments, groups * groups + groups);
  make_contiguous(blocks);
  return blocks;
}

GraphSystem::LinearSolve GraphSystem::linear_solve(const Groups & u) const
{
  if (const auto * fused = std::get_if<SolveGraphs::Fused>(&graphs_.direction))
    return {fused->step, arguments(u), 2 * graphs_.groups, {}};
  const auto & split = std::get<SolveGraphs::Operator>(graphs_.direction);
  auto blocks = operator_blocks(*split.jacobian, arguments(u), graphs_.groups);
  const auto matrix = graphs_.groups == 1 ? blocks.front() : at::Tensor();
  return {split.solve, std::move(blocks), graphs_.groups, matrix};
}

bool GraphSystem::returns_iterate() const
{
  const auto * fused = std::get_if<SolveGraphs::Fused>(&graphs_.direction);
  return fused && fused->returns_iterate;
}

NewtonUpdate GraphSystem::update(const Groups & u) const
{
  const auto solve = linear_solve(u);
  try
  {
    auto results = solve.graph->run(solve.arguments, solve.results);
    results.resize(graphs_.groups); // a fused step also returns b
    results = own_rows(std::move(results));
    return {returns_iterate() ? differences(results, u) : std::move(results), {}, {}};
  }
  catch (const GraphRunError & error)
  {
    if (rows_ == 1)
    {
      if (solve.matrix.defined() && is_regular(solve.matrix))
        throw;
      return {zeros_like(u), {0}, error.what()};
    }
  }
  return update_by_halves(u);
}

/// One singular row makes the solve graph throw for all of them: find it by bisection and let the
/// others pass.
NewtonUpdate GraphSystem::update_by_halves(const Groups & u) const
{
  const auto middle = rows_ / 2;
  const auto all = at::arange(rows_, u.front().options().dtype(at::kLong));
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

std::unique_ptr<NonlinearSystem> GraphSystem::restricted_to(const at::Tensor & rows) const
{
  auto part =
      std::make_unique<GraphSystem>(graphs_, select_rows(givens_, rows), parameters_, rows.size(0));
  if (graphs_.whole_batch)
  {
    const auto places = placement_ ? placement_->stand_in.size(0) : rows_;
    const auto position = placement_ ? placement_->position.index_select(0, rows) : rows;
    const auto own = at::arange(rows.size(0), rows.options());
    const auto stand_in = at::zeros({places}, rows.options()).index_copy(0, position, own);
    part->placement_ = Placement{position, stand_in};
  }
  return part;
}

} // namespace neml2_aoti_plugin
