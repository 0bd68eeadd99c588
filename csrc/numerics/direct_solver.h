// A x = b for every row, A and b as groups store them (see Group), by LU factors on the processor.
//
// Three kinds of systems are covered: a block of unknowns at many sites, which are independent of
// one another; dense groups, which make one matrix together; and a block with a dense group, of
// which the block is eliminated first,
//   S = A_dd - A_db A_bb^-1 A_bd,   S x_d = b_d - A_db A_bb^-1 b_b,
//   x_b = A_bb^-1 (b_b - A_bd x_d).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "layout/packing.h"
#include "numerics/nonlinear_system.h"

namespace neml2_aoti_plugin
{

class DirectSolver
{
public:
  /// Unset for other kinds of systems.
  static std::optional<DirectSolver> for_groups(const std::vector<Group> & groups);

  /// `blocks`: A, row-major by groups, float64 on the processor; then b. Rows with a singular
  /// matrix fail, alone.
  NewtonUpdate solve(const std::vector<at::Tensor> & blocks) const;

  /// Whether A has factors that are good for any b: not where a block is eliminated.
  bool has_factors() const { return parts_.size() == 1 || is_dense(); }
  Linearization linearized(const std::vector<at::Tensor> & blocks) const;

private:
  struct Part
  {
    bool is_block;
    std::int64_t sites; // 1 for a dense group, and for a block of one site
    std::int64_t width;
  };

  explicit DirectSolver(std::vector<Part> parts) : parts_(std::move(parts)) {}

  bool is_dense() const;
  NewtonUpdate solve_sites(const std::vector<at::Tensor> & blocks) const;
  NewtonUpdate solve_assembled(const std::vector<at::Tensor> & blocks) const;
  NewtonUpdate solve_by_complement(const std::vector<at::Tensor> & blocks) const;

  std::vector<Part> parts_;
};

struct ColumnSolution
{
  at::Tensor x; // (rows, n, columns)
  std::vector<std::int64_t> singular_rows;
};

/// A X = B with A (rows, n, n) and B (rows, n, columns), float64 on any device. Rows with a
/// singular matrix are listed; their X means nothing.
ColumnSolution solve_columns(const at::Tensor & a, const at::Tensor & b);

/// Blocks of dense groups, row-major, as one matrix per row.
at::Tensor assembled(const std::vector<at::Tensor> & blocks, std::size_t block_rows,
                     std::size_t block_columns);

} // namespace neml2_aoti_plugin
