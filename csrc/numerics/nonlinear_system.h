// r(u) = 0 for many independent rows at once, as Newton sees it. Implementations hold the givens;
// Newton holds u.
//
// Tensors are groups (layout/packing.h) with the rows on axis 0. One sign convention throughout: b
// = -r.
#pragma once

#include <limits>
#include <memory>
#include <optional>
#include <string>

#include "layout/packing.h"
#include "numerics/row_factors.h"

namespace neml2_aoti_plugin
{

/// What an iterative linear solve took, per row; empty vectors for direct solves.
struct LinearSolveReport
{
  std::vector<std::int64_t> iterations;
  std::vector<double> excess; // |b - A du| over its target, for rows that missed it; else 0
};

/// Newton updates, and the rows for which the linear solve failed (their update is zero).
struct NewtonUpdate
{
  Groups du;
  std::vector<std::int64_t> failed_rows;
  std::string failure; // what the linear solve said, empty if nothing failed
  LinearSolveReport linear;
};

/// What the text of a failed update says.
constexpr const char * singular_matrix = "the matrix of the Newton update is singular";

/// A at some u.
struct Linearization
{
  RowFactors factors;
  at::Tensor column_norms; // (rows, n) over all groups side by side; 1 where A has a zero column
};

constexpr auto all_at_once = std::numeric_limits<std::int64_t>::max();

class NonlinearSystem
{
public:
  virtual ~NonlinearSystem() = default;

  virtual std::int64_t rows() const = 0;

  /// b = -r(u). May be memory of the system's: not to be written to.
  virtual Groups residual(const Groups & u) const = 0;

  /// du with A du = b at u, A = dr/du. What is made here may be kept for the updates that follow.
  virtual NewtonUpdate update(const Groups & u) = 0;

  /// A at u, for systems that are solved by factors of it; unset for others.
  virtual std::optional<Linearization> linearized(const Groups & u) const
  {
    static_cast<void>(u);
    return std::nullopt;
  }
  virtual bool has_factors() const { return false; }

  /// The same system for the listed rows only (int64 tensor on the system's device).
  virtual std::unique_ptr<NonlinearSystem> restricted_to(const at::Tensor & rows) const = 0;
};

} // namespace neml2_aoti_plugin
