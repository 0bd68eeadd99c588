#include "numerics/direct_solver.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/linalg_solve_ex.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <iterator>

#include "layout/shapes.h"
#include "numerics/row_matmul.h"
#include "numerics/rows.h"

namespace neml2_aoti_plugin
{

namespace
{

/// Euclidean norms of the columns of matrices (rows, n, n) or (rows, *sites, n, n), in the order of
/// the unknowns.
at::Tensor column_norms(const at::Tensor & a, std::int64_t rows)
{
  const auto n = a.size(-1);
  auto norms = at::zeros({rows, a.numel() / n / rows}, a.options());
  const auto * entry = a.const_data_ptr<double>();
  auto * of_matrix = norms.mutable_data_ptr<double>();
  for (std::int64_t matrix = 0; matrix < a.numel() / (n * n); ++matrix, of_matrix += n)
  {
    for (std::int64_t i = 0; i < n; ++i, entry += n)
      for (std::int64_t j = 0; j < n; ++j)
        of_matrix[j] += entry[j] * entry[j];
    for (std::int64_t j = 0; j < n; ++j)
      of_matrix[j] = of_matrix[j] > 0.0 ? std::sqrt(of_matrix[j]) : 1.0;
  }
  return norms;
}

NewtonUpdate update_of(Groups du, std::vector<std::int64_t> failed_rows)
{
  for (auto & group : du)
    for (const auto row : failed_rows)
      group.select(0, row).zero_();
  std::string failure = failed_rows.empty() ? "" : singular_matrix;
  return {std::move(du), std::move(failed_rows), std::move(failure), {}};
}

} // namespace

std::optional<DirectSolver> DirectSolver::for_groups(const std::vector<Group> & groups)
{
  std::vector<Part> parts;
  std::int64_t blocks = 0;
  for (const auto & group : groups)
  {
    const bool is_block = group.structure == Structure::Block;
    blocks += is_block;
    parts.push_back(
        {is_block, is_block ? element_count(group.sub_batch_shape) : 1, group_width(group)});
  }
  const bool has_complement = blocks == 1 && parts.size() == 2;
  if (blocks > 0 && parts.size() > 1 && !has_complement)
    return std::nullopt;
  return DirectSolver(std::move(parts));
}

bool DirectSolver::is_dense() const
{
  return std::none_of(parts_.begin(), parts_.end(),
                      [](const Part & part) { return part.is_block; });
}

NewtonUpdate DirectSolver::solve(const std::vector<at::Tensor> & blocks) const
{
  if (parts_.size() == 1)
    return solve_sites(blocks);
  return is_dense() ? solve_assembled(blocks) : solve_by_complement(blocks);
}

Linearization DirectSolver::linearized(const std::vector<at::Tensor> & blocks) const
{
  const auto rows = blocks.back().size(0);
  const auto a = assembled(blocks, parts_.size(), parts_.size()).contiguous();
  return {RowFactors(a, rows, a.size(-1)), column_norms(a, rows)};
}

NewtonUpdate DirectSolver::solve_sites(const std::vector<at::Tensor> & blocks) const
{
  auto [x, singular_rows] = solve_once(blocks.front(), blocks.back(), parts_.front().width);
  return update_of({std::move(x)}, std::move(singular_rows));
}

NewtonUpdate DirectSolver::solve_assembled(const std::vector<at::Tensor> & blocks) const
{
  const auto count = parts_.size();
  const Groups b(blocks.end() - static_cast<std::ptrdiff_t>(count), blocks.end());
  const auto right = flattened(b);
  auto [x, singular_rows] = solve_once(assembled(blocks, count, count), right, right.size(1));
  return update_of(unflattened(x, b), std::move(singular_rows));
}

NewtonUpdate DirectSolver::solve_by_complement(const std::vector<at::Tensor> & blocks) const
{
  const std::size_t block = parts_[0].is_block ? 0 : 1;
  const std::size_t dense = 1 - block;
  const auto sites = parts_[block].sites;
  const auto width = parts_[block].width;
  const auto order = parts_[dense].width;
  const auto rows = blocks.back().size(0);
  const auto by_site = [&](const at::Tensor & tensor, std::int64_t height, std::int64_t columns)
  { return tensor.reshape({rows, sites, height, columns}); };

  const auto & a_bb = blocks[2 * block + block];
  const auto a_bd = by_site(blocks[2 * block + dense], width, order);
  const auto a_db = by_site(blocks[2 * dense + block], order, width);
  const auto & a_dd = blocks[2 * dense + dense];
  const auto & b_b = blocks[4 + block];
  const auto & b_d = blocks[4 + dense];

  const RowFactors site_factors(a_bb, rows, width);
  const auto columns = at::cat({a_bd, by_site(b_b, width, 1)}, -1);
  const auto eliminated = site_factors.solve(columns, order + 1);
  const auto reduced = row_matmul(a_db.flatten(0, 1), eliminated.flatten(0, 1))
                           .reshape({rows, sites, order, order + 1})
                           .sum(1);
  const RowFactors dense_factors(a_dd - reduced.narrow(-1, 0, order), rows, order);
  const auto x_d = dense_factors.solve(b_d - reduced.select(-1, order));
  const auto followed = row_matmul(
      eliminated.narrow(-1, 0, order).reshape({rows, sites * width, order}), x_d.unsqueeze(-1));
  const auto x_b = eliminated.select(-1, order) - followed.reshape({rows, sites, width});

  Groups du(2);
  du[block] = x_b.reshape(b_b.sizes()).contiguous();
  du[dense] = x_d;
  RowList failed;
  std::set_union(site_factors.singular_rows().begin(), site_factors.singular_rows().end(),
                 dense_factors.singular_rows().begin(), dense_factors.singular_rows().end(),
                 std::back_inserter(failed));
  return update_of(std::move(du), std::move(failed));
}

ColumnSolution solve_columns(const at::Tensor & a, const at::Tensor & b)
{
  if (a.is_cpu())
  {
    const RowFactors factors(a, a.size(0), a.size(-1));
    return {factors.solve(b, b.size(-1)), factors.singular_rows()};
  }
  const auto [x, info] = at::linalg_solve_ex(a, b);
  return {x, row_list(info.ne(0).nonzero().flatten())};
}

at::Tensor assembled(const std::vector<at::Tensor> & blocks, std::size_t block_rows,
                     std::size_t block_columns)
{
  if (block_rows == 1 && block_columns == 1)
    return blocks.front();
  std::vector<at::Tensor> bands;
  for (std::size_t i = 0; i < block_rows; ++i)
  {
    const at::TensorList band(blocks.data() + i * block_columns, block_columns);
    bands.push_back(at::cat(band, -1));
  }
  return at::cat(bands, -2);
}

} // namespace neml2_aoti_plugin
