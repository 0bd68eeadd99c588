// The residual system of an implicit segment, evaluated by its compiled graphs.
#pragma once

#include <optional>
#include <variant>

#include "graphs/graph.h"
#include "numerics/nonlinear_system.h"

namespace neml2_aoti_plugin
{

/// The graphs that a solve runs; owned by the graph store of the model.
struct SolveGraphs
{
  struct Fused
  {
    Graph * step;
    bool returns_iterate; // u + du instead of du
  };
  struct Operator
  {
    Graph * jacobian;
    Graph * solve;
  };

  Graph * residual;
  std::variant<Fused, Operator> direction;
  std::size_t groups;       // of unknowns, and as many of residuals
  bool whole_batch = false; // run on all rows of a call, and on no part of them
};

class GraphSystem : public NonlinearSystem
{
public:
  /// `parameters` at their stored shapes, as the graphs were traced.
  GraphSystem(const SolveGraphs & graphs, Groups givens, Tensors parameters, std::int64_t rows);

  std::int64_t rows() const override { return rows_; }
  Groups residual(const Groups & u) const override;
  NewtonUpdate update(const Groups & u) const override;
  std::unique_ptr<NonlinearSystem> restricted_to(const at::Tensor & rows) const override;

  /// u, g, p: what every graph of the segment takes.
  Tensors arguments(const Groups & u) const;

  /// The blocks of A at u, as the operator graph returns them. Operator direction only.
  static Tensors operator_blocks(Graph & jacobian, const Tensors & arguments, std::size_t groups);

private:
  /// Where the rows of a restricted system stand among those that the graphs must run on.
  struct Placement
  {
    at::Tensor position; // of each own row
    at::Tensor stand_in; // own row to put in each place, be it its own or an arbitrary one
  };

  /// The graph whose linear solve may fail, with its arguments at u.
  struct LinearSolve
  {
    Graph * graph;
    Tensors arguments;
    std::size_t results;
    at::Tensor matrix; // A, where it is one dense matrix per row; else undefined
  };

  bool returns_iterate() const;
  Groups own_rows(Groups results) const;
  LinearSolve linear_solve(const Groups & u) const;
  NewtonUpdate update_by_halves(const Groups & u) const;

  const SolveGraphs & graphs_;
  Groups givens_;
  Tensors parameters_;
  std::int64_t rows_;
  std::optional<Placement> placement_;
};

} // namespace neml2_aoti_plugin
