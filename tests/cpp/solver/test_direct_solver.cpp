#include <ATen/ops/cat.h>
#include <ATen/ops/linalg_solve.h>
#include <ATen/ops/zeros.h>

#include "check.h"
#include "numerics/direct_solver.h"
#include "numerics/row_matmul.h"
#include "solver/tensors.h"

namespace neml2_aoti_plugin {
namespace {

const Group three{Structure::Dense, {}, {{"x", {3}, {}}}};
const Group two{Structure::Dense, {}, {{"y", {2}, {}}}};
const Group sites{Structure::Block, {4}, {{"z", {3}, {4}}}};

/// Numbers without pattern, with a dominant diagonal where the last two extents agree.
at::Tensor numbers(const Shape& shape, double seed, bool is_dominant = false) {
  auto values = (counting(shape, seed) * 12.9898).sin();
  if (is_dominant)
    values.diagonal(0, -2, -1) += 5.0;
  return values.contiguous();
}

double largest(const at::Tensor& tensor) { return tensor.abs().max().item<double>(); }

const check::Tests tests{
{"direct_solver_solves_one_dense_group", [] {
  const auto a = numbers({6, 3, 3}, 1, true);
  const auto b = numbers({6, 3}, 2);
  const auto update = DirectSolver::for_groups({three})->solve({a, b});
  check::that(largest(row_matmul(a, update.du.at(0).unsqueeze(-1)).squeeze(-1) - b) < 1e-13);
}},
{"direct_solver_solves_every_site_of_a_block_by_itself", [] {
  const auto a = numbers({6, 4, 3, 3}, 1, true);
  const auto b = numbers({6, 4, 3}, 2);
  const auto update = DirectSolver::for_groups({sites})->solve({a, b});
  const auto expected = at::linalg_solve(a, b.unsqueeze(-1)).squeeze(-1);
  check::that(largest(update.du.at(0) - expected) < 1e-13);
}},
{"direct_solver_assembles_dense_groups", [] {
  const auto a = numbers({6, 5, 5}, 1, true);
  const auto b = numbers({6, 5}, 2);
  const auto cut = [&](std::int64_t i, std::int64_t n, std::int64_t j, std::int64_t m) {
    return a.narrow(1, i, n).narrow(2, j, m);
  };
  const auto update = DirectSolver::for_groups({three, two})->solve(
      {cut(0, 3, 0, 3), cut(0, 3, 3, 2), cut(3, 2, 0, 3), cut(3, 2, 3, 2), b.narrow(1, 0, 3), b.narrow(1, 3, 2)});
  const auto x = at::cat({update.du.at(0), update.du.at(1)}, 1).unsqueeze(-1);
  check::that(largest(row_matmul(a, x).squeeze(-1) - b) < 1e-13);
}},
{"direct_solver_eliminates_a_block_before_or_after_a_dense_group", [] {
  const auto a_bb = numbers({6, 4, 3, 3}, 1, true);
  const auto a_bd = numbers({6, 4, 3, 2}, 2);
  const auto a_db = numbers({6, 4, 2, 3}, 3);
  const auto a_dd = numbers({6, 2, 2}, 4, true) * 10.0;
  const auto b_b = numbers({6, 4, 3}, 5);
  const auto b_d = numbers({6, 2}, 6);
  const auto first = DirectSolver::for_groups({sites, two})->solve({a_bb, a_bd, a_db, a_dd, b_b, b_d});
  const auto last = DirectSolver::for_groups({two, sites})->solve({a_dd, a_db, a_bd, a_bb, b_d, b_b});
  const auto& x = first.du.at(0);
  const auto& y = first.du.at(1);
  const auto rest_b = b_b - (a_bb.matmul(x.unsqueeze(-1)) + a_bd.matmul(y.unsqueeze(1).unsqueeze(-1))).squeeze(-1);
  const auto rest_d = b_d - a_db.matmul(x.unsqueeze(-1)).squeeze(-1).sum(1) - row_matmul(a_dd, y.unsqueeze(-1)).squeeze(-1);
  check::that(largest(rest_b) < 1e-13 && largest(rest_d) < 1e-13);
  same(last.du.at(1), x);
  same(last.du.at(0), y);
}},
{"direct_solver_eliminates_a_block_of_one_site", [] {
  const Group one_site{Structure::Block, {1}, {{"z", {3}, {1}}}};
  const auto a = numbers({6, 5, 5}, 1, true);
  const auto b = numbers({6, 5}, 2);
  const auto cut = [&](std::int64_t i, std::int64_t n, std::int64_t j, std::int64_t m) {
    return a.narrow(1, i, n).narrow(2, j, m).contiguous();
  };
  const auto update = DirectSolver::for_groups({one_site, two})->solve(
      {cut(0, 3, 0, 3).unsqueeze(1), cut(0, 3, 3, 2).unsqueeze(1), cut(3, 2, 0, 3).unsqueeze(1), cut(3, 2, 3, 2),
       b.narrow(1, 0, 3).contiguous().unsqueeze(1), b.narrow(1, 3, 2).contiguous()});
  check::equal(update.du.at(0).sizes().vec(), {6, 1, 3});
  const auto x = at::cat({update.du.at(0).flatten(1), update.du.at(1)}, 1).unsqueeze(-1);
  check::that(largest(row_matmul(a, x).squeeze(-1) - b) < 1e-13);
}},
{"direct_solver_fails_the_singular_row_alone", [] {
  auto a = numbers({6, 3, 3}, 1, true);
  a.select(0, 4).zero_();
  const auto b = numbers({6, 3}, 2);
  const auto update = DirectSolver::for_groups({three})->solve({a, b});
  check::equal(update.failed_rows, {4});
  check::that(!update.failure.empty());
  check::equal(largest(update.du.at(0).select(0, 4)), 0.0);
  check::that(largest(update.du.at(0).select(0, 3)) > 0.0);
}},
{"direct_solver_leaves_two_blocks_to_the_artifact", [] {
  check::that(!DirectSolver::for_groups({sites, sites}).has_value());
}},
{"solve_columns_names_the_singular_rows", [] {
  auto a = numbers({4, 3, 3}, 1, true);
  a.select(0, 1).zero_();
  const auto solution = solve_columns(a, numbers({4, 3, 9}, 2));
  check::equal(solution.singular_rows, {1});
}},
{"row_matmul_repeats_the_one_row_of_either_side", [] {
  const auto a = numbers({5, 2, 3}, 1);
  const auto b = numbers({1, 3, 4}, 2);
  check::that(largest(row_matmul(a, b) - a.matmul(b.squeeze(0))) < 1e-15);
  check::that(largest(row_matmul(b.mT().contiguous(), a.mT().contiguous()) - row_matmul(a, b).mT()) < 1e-15);
}},
};

}  // namespace
}  // namespace neml2_aoti_plugin
