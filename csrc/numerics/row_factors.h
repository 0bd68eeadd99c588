// LU factors of the matrices of many rows, on the processor; rows may be taken and replaced.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <utility>
#include <vector>

namespace neml2_aoti_plugin
{

class RowFactors
{
public:
  RowFactors() = default;

  /// `a` (rows, *sites, n, n) or any of the same elements in that order, float64.
  RowFactors(const at::Tensor & a, std::int64_t rows, std::int64_t n);

  std::int64_t rows() const { return factors_.defined() ? factors_.size(0) : 0; }

  /// Rows with a singular matrix; what is solved for them means nothing.
  const std::vector<std::int64_t> & singular_rows() const { return singular_rows_; }

  /// x with A x = b, of the shape of `b`: (rows, *sites, n, columns), the last axis left out for 1.
  at::Tensor solve(const at::Tensor & b, std::int64_t columns = 1) const;

  RowFactors restricted_to(const at::Tensor & rows) const;

  /// As many rows more, of which nothing is known yet.
  void extend(std::int64_t rows);

  /// The listed rows become those of `other`.
  void put(const at::Tensor & rows, const RowFactors & other);

private:
  std::int64_t sites() const { return pivots_.size(1) / order_; }

  std::int64_t order_ = 0;
  at::Tensor factors_; // (rows, sites n n)
  at::Tensor pivots_;  // (rows, sites n), int64
  std::vector<std::int64_t> singular_rows_;
};

/// A x = b for every row where the factors are not wanted: x of the shape of b, (rows, *sites, n),
/// and the rows with a singular matrix.
std::pair<at::Tensor, std::vector<std::int64_t>> solve_once(const at::Tensor & a,
                                                            const at::Tensor & b, std::int64_t n);

} // namespace neml2_aoti_plugin
