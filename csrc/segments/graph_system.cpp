#include "segments/graph_system.h"

#include "execution/blocks.h"
#include "segments/chunk_size.h"
#include "segments/direct_system.h"
#include "segments/krylov_system.h"

namespace neml2_aoti_plugin
{

Tensors contiguous(Tensors tensors)
{
  for (auto & tensor : tensors)
    tensor = tensor.contiguous();
  return tensors;
}

Tensors operator_blocks(Graph & jacobian, const Tensors & arguments, std::size_t groups)
{
  return contiguous(jacobian.run(arguments, groups * groups + groups));
}

SolveArguments SolveArguments::restricted_to(const at::Tensor & kept) const
{
  SolveArguments restricted{select_rows(givens, kept), parameters, kept.size(0)};
  if (placement)
    restricted.placement = placement->restricted_to(kept);
  return restricted;
}

Tensors SolveArguments::spread(Tensors tensors) const
{
  return placement ? placement->spread(tensors) : std::move(tensors);
}

Tensors SolveArguments::own(Tensors results) const
{
  return placement ? placement->own(results) : std::move(results);
}

Tensors SolveArguments::with(const Groups & u) const
{
  auto tensors = contiguous(u);
  tensors.insert(tensors.end(), givens.begin(), givens.end());
  tensors = spread(std::move(tensors));
  tensors.insert(tensors.end(), parameters.begin(), parameters.end());
  return tensors;
}

Groups GraphSystem::residual(const Groups & u) const
{
  return arguments_.own(residual_.run(arguments_.with(u), u.size()));
}

SolveGraphs::SolveGraphs(const ImplicitSegmentDescription & description, GraphStore & graphs)
    : residual_(&graphs.get(description.residual)), direction_(direction_of(description, graphs))
{
}

SolveGraphs::Direction SolveGraphs::direction_of(const ImplicitSegmentDescription & description,
                                                 GraphStore & graphs)
{
  const auto & direction = description.direction;
  if (const auto * fused = std::get_if<FusedDirection>(&direction))
    return Fused{&graphs.get(fused->step), fused->returns_iterate};
  if (const auto * split = std::get_if<OperatorDirection>(&direction))
  {
    auto & jacobian = graphs.get(split->jacobian);
    if (graphs.is_on_processor())
      if (auto solver = DirectSolver::for_groups(description.unknown_groups))
        return Factorised{&jacobian, std::move(*solver)};
    return Operator{&jacobian, &graphs.get(split->solve)};
  }
  const auto & krylov = std::get<KrylovDirection>(direction);
  Krylov solve{&graphs.get(krylov.matvec), nullptr, nullptr, krylov.settings};
  if (krylov.preconditioner)
  {
    solve.preconditioner_setup = &graphs.get(krylov.preconditioner->setup);
    solve.preconditioner_apply = &graphs.get(krylov.preconditioner->apply);
  }
  return solve;
}

std::unique_ptr<NonlinearSystem> SolveGraphs::system(SolveArguments arguments) const
{
  if (const auto * fused = std::get_if<Fused>(&direction_))
    return std::make_unique<FusedSystem>(*residual_, *fused->step, fused->returns_iterate,
                                         std::move(arguments));
  if (const auto * split = std::get_if<Operator>(&direction_))
    return std::make_unique<OperatorSystem>(*residual_, *split->jacobian, *split->solve,
                                            std::move(arguments));
  if (const auto * factorised = std::get_if<Factorised>(&direction_))
    return std::make_unique<FactorisedSystem>(*residual_, *factorised->jacobian, factorised->solver,
                                              std::move(arguments));
  const auto & krylov = std::get<Krylov>(direction_);
  return std::make_unique<KrylovSystem>(
      *residual_, *krylov.matvec,
      Preconditioner(krylov.preconditioner_setup, krylov.preconditioner_apply, krylov.settings),
      krylov.settings, std::move(arguments));
}

/// The graph that takes the most time of an iteration.
Graph & SolveGraphs::dearest() const
{
  if (const auto * fused = std::get_if<Fused>(&direction_))
    return *fused->step;
  if (const auto * split = std::get_if<Operator>(&direction_))
    return *split->jacobian;
  if (const auto * factorised = std::get_if<Factorised>(&direction_))
    return *factorised->jacobian;
  return *std::get<Krylov>(direction_).matvec;
}

std::int64_t SolveGraphs::known_chunk_rows() const
{
  const auto pace = dearest().pace();
  return pace ? pace->chunk_rows : default_chunk_rows;
}

std::int64_t SolveGraphs::chunk_rows(const SolveArguments & arguments, const Groups & u) const
{
  auto & graph = dearest();
  const auto run = [&](std::int64_t rows)
  {
    const SolveArguments first{narrowed(arguments.givens, 0, rows), arguments.parameters, rows};
    graph.run(first.with(narrowed(u, 0, rows)));
  };
  measured_pace(graph, arguments.rows, run);
  return known_chunk_rows();
}

} // namespace neml2_aoti_plugin
