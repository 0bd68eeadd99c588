#include <ATen/TensorOperators.h>
#include <ATen/ops/diag_embed.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/linalg_solve.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>

#include <cmath>
#include <limits>

#include "check.h"
#include "numerics/krylov.h"
#include "solver/tensors.h"

namespace neml2_aoti_plugin {
namespace {

constexpr KrylovMethod both[] = {KrylovMethod::Gmres, KrylovMethod::Bicgstab};

at::Tensor identity(const at::Tensor& r) { return r; }

struct Products {
  at::Tensor matrix;  // (rows, n, n)
  int count = 0;

  RowOperator counted() {
    return [this](const at::Tensor& v) {
      ++count;
      return at::matmul(matrix, v.unsqueeze(-1)).squeeze(-1);
    };
  }
};

KrylovSettings tight(KrylovMethod method) {
  KrylovSettings settings;
  settings.method = method;
  settings.relative_tolerance = 1e-12;
  return settings;
}

/// A well-conditioned, unsymmetric matrix per row.
at::Tensor matrices(std::int64_t rows, std::int64_t n) {
  const auto numbers = counting({rows, n, n}, 1.0);
  return 3.0 * at::eye(n, numbers.options()) + (numbers * 12.9898).sin() / static_cast<double>(n);
}

/// Many directions: thirty distinct eigenvalues.
at::Tensor diagonal() { return at::diag_embed(counting({1, 30}, 1.0)); }

KrylovResult solve(const at::Tensor& matrix, const at::Tensor& b, const KrylovSettings& settings,
                   const RowOperator& precondition = identity) {
  Products products{matrix};
  return solve_krylov(products.counted(), precondition, b, settings);
}

const check::Tests tests{
{"krylov_methods_agree_with_a_direct_solve", [] {
  const auto a = matrices(4, 7);
  const auto b = counting({4, 7}, 1.0).cos();
  const auto expected = at::linalg_solve(a, b.unsqueeze(-1)).squeeze(-1);
  for (const auto method : both) {
    const auto result = solve(a, b, tight(method));
    check::that(result.norm.le(result.target).all().item<bool>());
    check::near((result.x - expected).abs().max().item<double>(), 0.0, 1e-11);
  }
}},
{"krylov_solves_do_not_depend_on_the_scale_of_the_system", [] {
  const auto a = matrices(1, 5);
  const auto b = counting({1, 5}, 1.0);
  for (const auto method : both)
    for (const double scale : {1e-150, 1e-6, 1.0, 1e6, 1e150}) {
      const auto result = solve(scale * a, b, tight(method));
      const auto reference = solve(a, b, tight(method));
      check::equal(result.iterations.item<std::int64_t>(), reference.iterations.item<std::int64_t>());
      check::near(((scale * result.x) - reference.x).abs().max().item<double>(), 0.0, 1e-10);
    }
}},
{"krylov_tests_the_true_residual_however_strong_the_preconditioner", [] {
  const auto a = 1e6 * matrices(2, 4);
  const auto b = counting({2, 4}, 1.0);
  const RowOperator inverse = [&](const at::Tensor& r) { return at::linalg_solve(a, r.unsqueeze(-1)).squeeze(-1); };
  for (const auto method : both) {
    const auto result = solve(a, b, tight(method), inverse);
    const auto residual = b - at::matmul(a, result.x.unsqueeze(-1)).squeeze(-1);
    const auto relative = at::linalg_vector_norm(residual) / at::linalg_vector_norm(b);
    check::near(relative.item<double>(), 0.0, 1e-12);
    check::equal(result.iterations.max().item<std::int64_t>(), 1);
  }
}},
{"krylov_takes_no_more_directions_than_allowed", [] {
  auto settings = tight(KrylovMethod::Gmres);
  settings.max_iterations = 3;
  Products products{diagonal()};
  const auto result =
      solve_krylov(products.counted(), identity, at::ones({1, 30}, at::kDouble), settings);
  check::equal(result.iterations.item<std::int64_t>(), 3);
  check::equal(products.count, 4);  // and one check
  check::that(!result.norm.le(result.target).item<bool>());
}},
{"krylov_restarts_until_the_tolerance_is_met", [] {
  auto settings = tight(KrylovMethod::Gmres);
  settings.restart = 3;
  const auto result = solve(diagonal(), at::ones({1, 30}, at::kDouble), settings);
  check::that(result.iterations.item<std::int64_t>() > 3);
  check::that(result.norm.le(result.target).item<bool>());
}},
{"krylov_stops_at_the_absolute_tolerance", [] {
  auto settings = tight(KrylovMethod::Bicgstab);
  settings.absolute_tolerance = 1e9;
  const auto result = solve(matrices(1, 3), at::ones({1, 3}, at::kDouble), settings);
  check::equal(result.iterations.item<std::int64_t>(), 0);
  near(result.x, {0, 0, 0}, 0.0);
}},
{"krylov_rows_have_their_own_fates", [] {
  auto a = matrices(4, 6);
  a[1].zero_();                                               // singular
  a[2].fill_(std::numeric_limits<double>::quiet_NaN());       // not a number
  const auto b = counting({4, 6}, 1.0).cos();
  for (const auto method : both) {
    const auto together = solve(a, b, tight(method));
    for (const std::int64_t row : {0, 3}) {
      const auto alone = solve(a.narrow(0, row, 1), b.narrow(0, row, 1), tight(method));
      check::near((together.x[row] - alone.x[0]).abs().max().item<double>(), 0.0, 1e-14);
      check::equal(together.iterations[row].item<std::int64_t>(), alone.iterations[0].item<std::int64_t>());
    }
    check::that(!together.norm[1].le(together.target[1]).item<bool>());
    check::that(!together.norm[2].le(together.target[2]).item<bool>());
    near(together.x[1], {0, 0, 0, 0, 0, 0}, 0.0);
  }
}},
{"krylov_of_a_zero_right_side_is_zero", [] {
  for (const auto method : both) {
    const auto result = solve(matrices(2, 3), at::zeros_like(counting({2, 3})), tight(method));
    near(result.x, {0, 0, 0, 0, 0, 0}, 0.0);
    check::that(result.norm.le(result.target).all().item<bool>());
  }
}},
};

}  // namespace
}  // namespace neml2_aoti_plugin
