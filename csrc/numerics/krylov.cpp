#include "numerics/krylov.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <limits>

#include "numerics/krylov_cycle.h"

namespace neml2_aoti_plugin
{

at::Tensor norm_of_rows(const at::Tensor & values)
{
  return at::linalg_vector_norm(values, 2, at::IntArrayRef{-1});
}

at::Tensor quotient(const at::Tensor & numerator, const at::Tensor & denominator)
{
  const auto is_zero = denominator.eq(0);
  const auto divisor = at::where(is_zero, at::ones_like(denominator), denominator);
  return (numerator / divisor).masked_fill(is_zero, 0);
}

at::Tensor only_rows(const at::Tensor & mask, const at::Tensor & values)
{
  return values.masked_fill(mask.logical_not().unsqueeze(-1), 0);
}

double rounding_of(const at::Tensor & values)
{
  return std::numeric_limits<double>::epsilon() *
         static_cast<double>(std::max<std::int64_t>(1, values.size(-1)));
}

KrylovResult solve_krylov(const RowOperator & product, const RowOperator & precondition,
                          const at::Tensor & b, const KrylovSettings & settings)
{
  const bool is_gmres = settings.method == KrylovMethod::Gmres;
  const auto from_left = [&](const at::Tensor & r) { return is_gmres ? precondition(r) : r; };

  auto x = at::zeros_like(b);
  auto norm = norm_of_rows(b);
  KrylovResult result{x, norm,
                      (settings.relative_tolerance * norm).clamp_min(settings.absolute_tolerance),
                      at::zeros({b.size(0)}, b.options().dtype(at::kLong))};
  auto residual = from_left(b);
  auto size = norm_of_rows(residual);
  auto active = at::isfinite(norm) & norm.gt(result.target);
  std::int64_t taken = 0;
  while (taken < settings.max_iterations && active.any().item<bool>())
  {
    const KrylovCycle cycle{product,       precondition, only_rows(active, residual),    norm,
                            result.target, active,       settings.max_iterations - taken};
    const auto correction = is_gmres ? gmres_cycle(cycle, settings.restart) : bicgstab_cycle(cycle);
    taken += correction.taken;
    result.iterations = result.iterations + correction.iterations;
    x = x + only_rows(active, correction.d);
    const auto unpreconditioned = b - product(x);
    norm = norm_of_rows(unpreconditioned);
    const auto is_best = active & norm.lt(result.norm); // false for NaN
    result.x = at::where(is_best.unsqueeze(-1), x, result.x);
    result.norm = at::where(is_best, norm, result.norm);
    residual = from_left(unpreconditioned);
    const auto old_size = size;
    size = norm_of_rows(residual);
    active = active & size.lt(old_size) & norm.gt(result.target);
  }
  return result;
}

} // namespace neml2_aoti_plugin
