#include "numerics/row_factors.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include <memory>

#include "layout/packing.h"
#include "numerics/batched_lu.h"

namespace neml2_aoti_plugin
{

namespace
{

/// The rows that have one of the singular matrices, `sites` of them each.
std::vector<std::int64_t> rows_with(const bool * is_singular, std::int64_t count,
                                    std::int64_t sites)
{
  std::vector<std::int64_t> rows;
  for (std::int64_t matrix = 0; matrix < count; ++matrix)
    if (is_singular[matrix] && (rows.empty() || rows.back() != matrix / sites))
      rows.push_back(matrix / sites);
  return rows;
}

std::unique_ptr<bool[]> flags(std::int64_t count)
{
  return std::unique_ptr<bool[]>(new bool[static_cast<std::size_t>(count)]);
}

} // namespace

RowFactors::RowFactors(const at::Tensor & a, std::int64_t rows, std::int64_t n) : order_(n)
{
  factors_ = a.clone(at::MemoryFormat::Contiguous).reshape({rows, -1});
  const auto count = factors_.numel() / (n * n);
  pivots_ = at::empty({rows, count / rows * n}, a.options().dtype(at::kLong));
  const auto is_singular = flags(count);
  lu_factorise({count, n}, factors_.mutable_data_ptr<double>(),
               pivots_.mutable_data_ptr<std::int64_t>(), is_singular.get());
  singular_rows_ = rows_with(is_singular.get(), count, sites());
}

std::pair<at::Tensor, std::vector<std::int64_t>> solve_once(const at::Tensor & a,
                                                            const at::Tensor & b, std::int64_t n)
{
  const auto matrices = a.contiguous();
  const auto right = b.contiguous();
  auto x = at::empty_like(right);
  const auto count = right.numel() / n;
  const auto is_singular = flags(count);
  lu_solve_once({count, n}, matrices.const_data_ptr<double>(), right.const_data_ptr<double>(),
                x.mutable_data_ptr<double>(), is_singular.get());
  return {x, rows_with(is_singular.get(), count, count / right.size(0))};
}

at::Tensor RowFactors::solve(const at::Tensor & b, std::int64_t columns) const
{
  const auto right = b.contiguous();
  auto x = at::empty_like(right);
  lu_solve({rows() * sites(), order_}, factors_.const_data_ptr<double>(),
           pivots_.const_data_ptr<std::int64_t>(), right.const_data_ptr<double>(),
           x.mutable_data_ptr<double>(), columns);
  return x;
}

RowFactors RowFactors::restricted_to(const at::Tensor & rows) const
{
  RowFactors restricted;
  restricted.order_ = order_;
  restricted.factors_ = take_rows(factors_, rows);
  restricted.pivots_ = take_rows(pivots_, rows);
  return restricted;
}

void RowFactors::extend(std::int64_t rows)
{
  factors_ = extended(factors_, rows);
  pivots_ = extended(pivots_, rows);
}

void RowFactors::put(const at::Tensor & rows, const RowFactors & other)
{
  put_rows(factors_, rows, other.factors_);
  put_rows(pivots_, rows, other.pivots_);
}

} // namespace neml2_aoti_plugin
