#include <ATen/TensorOperators.h>
#include <ATen/ops/abs.h>
#include <ATen/ops/hypot.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/linalg_solve_triangular.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <vector>

#include "numerics/krylov_cycle.h"

namespace neml2_aoti_plugin
{

namespace
{

using Columns = std::vector<at::Tensor>; // (rows,) each

struct Rotation
{
  at::Tensor cosine;
  at::Tensor sine;
};

struct Orthogonalised
{
  Columns components; // along the basis
  at::Tensor rest;    // (rows, n)
};

/// `basis` (rows, k, n). The second pass removes what rounding left in the first.
Orthogonalised orthogonalise(const at::Tensor & product, const at::Tensor & basis)
{
  auto rest = product.unsqueeze(-1);
  auto components = at::matmul(basis, rest);
  rest = rest - at::matmul(basis.mT(), components);
  const auto correction = at::matmul(basis, rest);
  rest = rest - at::matmul(basis.mT(), correction);
  return {(components + correction).squeeze(-1).unbind(-1), rest.squeeze(-1)};
}

void rotate(Columns & column, const std::vector<Rotation> & rotations)
{
  for (std::size_t i = 0; i < rotations.size(); ++i)
  {
    const auto & [cosine, sine] = rotations[i];
    const auto upper = cosine * column[i] + sine * column[i + 1];
    column[i + 1] = cosine * column[i + 1] - sine * column[i];
    column[i] = upper;
  }
}

/// R y = right, (rows, k, 1); where a pivot is 0, so is the right side, and y.
at::Tensor back_substitute(const std::vector<Columns> & triangle, const Columns & right)
{
  const auto zero = at::zeros_like(right.front());
  Columns padded;
  for (auto column : triangle)
  {
    auto & pivot = column.back();
    pivot = at::where(pivot.eq(0), at::ones_like(pivot), pivot);
    column.resize(triangle.size(), zero);
    padded.push_back(at::stack(column, -1));
  }
  return at::linalg_solve_triangular(at::stack(padded, -1), at::stack(right, -1).unsqueeze(-1),
                                     /*upper=*/true);
}

} // namespace

/// Minimises |residual - M^-1 A d| over a growing Krylov space with an orthonormal basis V. With
/// M^-1 A V = V' H and d = V y that is to minimise |rho e1 - H y|; rotations make H triangular,
/// column by column.
KrylovCorrection gmres_cycle(const KrylovCycle & cycle, std::int64_t restart)
{
  const auto rho = norm_of_rows(cycle.residual);
  // The true residual has to fall by this factor, so the preconditioned one is asked to as well.
  const auto target = rho * quotient(cycle.target, cycle.norm);
  auto active = cycle.active & at::isfinite(rho) & rho.gt(0);
  Columns basis{only_rows(active, cycle.residual / rho.unsqueeze(-1))};
  Columns right{rho.masked_fill(active.logical_not(), 0)};
  std::vector<Columns> triangle;
  std::vector<Rotation> rotations;
  auto iterations = at::zeros_like(rho, rho.options().dtype(at::kLong));
  // A space of n directions is all there is.
  const auto limit = std::min({restart, cycle.residual.size(-1), cycle.budget});
  std::int64_t taken = 0;
  while (taken < limit)
  {
    ++taken;
    iterations = iterations + active;
    const auto product = cycle.precondition(cycle.product(basis.back()));
    const auto size = norm_of_rows(product);
    const auto negligible = rounding_of(product) * size;
    auto [column, rest] = orthogonalise(product, at::stack(basis, 1));
    auto length = norm_of_rows(rest);
    // What is left of a product inside the space is rounding.
    length = length.masked_fill(length.gt(negligible).logical_not(), 0);
    rotate(column, rotations);
    // Without a pivot (A is singular in this row) the direction is of no use: y will be 0 there,
    // and the residual moves on unchanged.
    auto pivot = at::hypot(column.back(), length);
    const auto usable = pivot.gt(negligible);
    pivot = pivot.masked_fill(usable.logical_not(), 0);
    const auto cosine = quotient(column.back(), pivot);
    const auto sine = quotient(length, pivot).masked_fill(usable.logical_not(), 1);
    rotations.push_back({cosine, sine});
    column.back() = pivot;
    triangle.push_back(std::move(column));
    const auto last = right.back();
    right.back() = cosine * last;
    right.push_back(-sine * last);
    active = active & right.back().abs().gt(target) & length.gt(0);
    if (taken == limit || !active.any().item<bool>())
      break;
    basis.push_back(only_rows(active, rest / length.unsqueeze(-1)));
  }
  right.pop_back();
  const auto y = back_substitute(triangle, right);
  return {at::matmul(at::stack(basis, -1), y).squeeze(-1), taken, iterations};
}

} // namespace neml2_aoti_plugin
