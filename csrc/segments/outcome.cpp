#include "segments/outcome.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

namespace neml2_aoti_plugin
{

RowList Outcome::rows_with(bool has_converged) const
{
  RowList rows;
  for (std::size_t row = 0; row < newton.rows(); ++row)
    if ((newton.status[row] == RowStatus::Converged) == has_converged)
      rows.push_back(static_cast<std::int64_t>(row));
  return rows;
}

void Outcome::supersede(const RowList & rows, const Outcome & later, bool is_discarded)
{
  const auto & from = later.newton;
  for (std::size_t i = 0; i < rows.size(); ++i)
  {
    const auto row = static_cast<std::size_t>(rows[i]);
    newton.status[row] = from.status[i];
    newton.initial_norms[row] = from.initial_norms[i];
    newton.norms[row] = from.norms[i];
    newton.iterations[row] += from.iterations[i];
    newton.corrections[row] += from.corrections[i];
    newton.linear_iterations[row] += from.linear_iterations[i];
    newton.missed_solves[row] += from.missed_solves[i];
    newton.worst_excess[row] = std::max(newton.worst_excess[row], from.worst_excess[i]);
    substeps[row] = later.substeps[i] + (is_discarded ? 0 : substeps[row]);
  }
  merge_attempts(attempts, later.attempts);
  if (newton.linear_failure.empty())
    newton.linear_failure = from.linear_failure;
  const auto index = row_index(rows, newton.unknowns.front().device());
  for (std::size_t k = 0; k < newton.unknowns.size(); ++k)
    newton.unknowns[k] = newton.unknowns[k].index_copy(0, index, from.unknowns[k]);
  adopt_tangents(index, later.tangents);
}

void Outcome::adopt_tangents(const at::Tensor & rows, const ComputedTangents & computed)
{
  for (auto & [unknown, seeds] : tangents)
    for (auto & [seed, tangent] : seeds)
      tangent = tangent.index_fill(0, rows, 0.0);
  for (const auto & [unknown, seeds] : computed)
    for (const auto & [seed, tangent] : seeds)
    {
      auto & whole = tangents[unknown][seed];
      const auto count = static_cast<std::int64_t>(newton.rows());
      if (!whole.defined())
        whole = at::zeros({count, tangent.size(1), tangent.size(2)}, tangent.options());
      whole = whole.index_copy(0, rows, tangent.expand({rows.size(0), -1, -1}));
    }
}

} // namespace neml2_aoti_plugin
