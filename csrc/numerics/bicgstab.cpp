#include <ATen/TensorOperators.h>
#include <ATen/ops/abs.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>

#include <cmath>
#include <limits>

#include "numerics/krylov_cycle.h"

namespace neml2_aoti_plugin
{

namespace
{

at::Tensor product_of_rows(const at::Tensor & left, const at::Tensor & right)
{
  return (left * right).sum(-1);
}

/// Whether an inner product has correct digits left; false for NaN. It carries an error of about
/// eps |left| |right|; below eps^(3/4) three quarters of its digits are gone, and dividing by it
/// would spoil the recurrence.
at::Tensor is_significant(const at::Tensor & product, const at::Tensor & left_norm,
                          const at::Tensor & right_norm)
{
  static const double least = std::pow(std::numeric_limits<double>::epsilon(), 0.75);
  return product.abs().gt(left_norm * right_norm * least);
}

/// factor * values, and 0 for a factor of 0 also where a value is not finite.
at::Tensor scaled(const at::Tensor & factor, const at::Tensor & values)
{
  const auto column = factor.unsqueeze(-1);
  return (column * values).masked_fill(column.eq(0), 0);
}

} // namespace

KrylovCorrection bicgstab_cycle(const KrylovCycle & cycle)
{
  auto residual = cycle.residual;
  const auto shadow = residual;
  const auto shadow_norm = cycle.norm;
  auto direction = residual;
  auto x = at::zeros_like(residual);
  auto best = x;
  auto best_norm = cycle.norm;
  auto rho = product_of_rows(shadow, residual);
  auto active = cycle.active;
  auto iterations = at::zeros_like(rho, rho.options().dtype(at::kLong));
  // Below rounding, this residual goes on falling while that of the iterate does not.
  const auto target = at::maximum(cycle.target, rounding_of(residual) * cycle.norm);
  std::int64_t taken = 0;
  while (taken < cycle.budget && active.any().item<bool>())
  {
    ++taken;
    iterations = iterations + active;
    const auto direction_hat = cycle.precondition(direction);
    const auto v = cycle.product(direction_hat);
    const auto slope = product_of_rows(shadow, v);
    active = active & is_significant(slope, shadow_norm, norm_of_rows(v));
    const auto alpha = quotient(rho, slope).masked_fill(active.logical_not(), 0);
    x = x + scaled(alpha, direction_hat);
    residual = residual - scaled(alpha, v);

    const auto half_norm = norm_of_rows(residual);
    auto is_open = active & half_norm.gt(target);
    const auto residual_hat = cycle.precondition(only_rows(is_open, residual));
    const auto t = cycle.product(residual_hat);
    const auto t_norm = norm_of_rows(t);
    const auto overlap = product_of_rows(t, residual);
    is_open = is_open & is_significant(overlap, t_norm, half_norm);
    const auto omega =
        quotient(quotient(overlap, t_norm), t_norm).masked_fill(is_open.logical_not(), 0);
    x = x + scaled(omega, residual_hat);
    residual = residual - scaled(omega, t);

    const auto norm = norm_of_rows(residual);
    const auto improves = norm.lt(best_norm);
    best = at::where(improves.unsqueeze(-1), x, best);
    best_norm = at::where(improves, norm, best_norm);

    const auto old_rho = rho;
    rho = product_of_rows(shadow, residual);
    active = is_open & norm.gt(target) & is_significant(rho, shadow_norm, norm);
    const auto beta = quotient(rho, old_rho) * quotient(alpha, omega);
    direction =
        only_rows(active, residual + beta.unsqueeze(-1) * (direction - omega.unsqueeze(-1) * v));
  }
  return {best, taken, iterations};
}

} // namespace neml2_aoti_plugin
