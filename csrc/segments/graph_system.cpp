#include "segments/graph_system.h"

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
    : residual_(&graphs.get(description.residual)),
      direction_(direction_of(description.direction, graphs))
{
}

SolveGraphs::Direction SolveGraphs::direction_of(const DirectionDescription & description,
                                                 GraphStore & graphs)
{
  if (const auto * fused = std::get_if<FusedDirection>(&description))
    return Fused{&graphs.get(fused->step), fused->returns_iterate};
  if (const auto * split = std::get_if<OperatorDirection>(&description))
    return Operator{&graphs.get(split->jacobian), &graphs.get(split->solve)};
  const auto & krylov = std::get<KrylovDirection>(description);
  Krylov direction{&graphs.get(krylov.matvec), nullptr, nullptr, krylov.settings};
  if (krylov.preconditioner)
  {
    direction.preconditioner_setup = &graphs.get(krylov.preconditioner->setup);
    direction.preconditioner_apply = &graphs.get(krylov.preconditioner->apply);
  }
  return direction;
}

std::unique_ptr<NonlinearSystem> SolveGraphs::system(SolveArguments arguments) const
{
  if (const auto * fused = std::get_if<Fused>(&direction_))
    return std::make_unique<FusedSystem>(*residual_, *fused->step, fused->returns_iterate,
                                         std::move(arguments));
  if (const auto * split = std::get_if<Operator>(&direction_))
    return std::make_unique<OperatorSystem>(*residual_, *split->jacobian, *split->solve,
                                            std::move(arguments));
  const auto & krylov = std::get<Krylov>(direction_);
  return std::make_unique<KrylovSystem>(
      *residual_, *krylov.matvec,
      Preconditioner(krylov.preconditioner_setup, krylov.preconditioner_apply, krylov.settings),
      krylov.settings, std::move(arguments));
}

} // namespace neml2_aoti_plugin
