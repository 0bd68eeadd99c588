// The residual system of an implicit segment, evaluated by its compiled graphs.
#pragma once

#include <memory>
#include <optional>

#include "description/segment.h"
#include "graphs/graph_store.h"
#include "numerics/direct_solver.h"
#include "numerics/nonlinear_system.h"
#include "segments/placement.h"

namespace neml2_aoti_plugin
{

/// What every graph of the segment takes beside the unknowns.
struct SolveArguments
{
  Groups givens;
  Tensors parameters; // at their stored shapes, as the graphs were traced: one value for all rows
  std::int64_t rows;
  std::optional<Placement> placement = {}; // where graphs run on more rows than these

  SolveArguments restricted_to(const at::Tensor & rows) const;

  /// u, g, p, all contiguous, as graphs take them.
  Tensors with(const Groups & u) const;

  /// Tensors of these rows as graphs take them, and what graphs return for these rows.
  Tensors spread(Tensors tensors) const;
  Tensors own(Tensors results) const;
};

class GraphSystem : public NonlinearSystem
{
public:
  GraphSystem(Graph & residual, SolveArguments arguments)
      : residual_(residual), arguments_(std::move(arguments))
  {
  }

  std::int64_t rows() const override { return arguments_.rows; }
  Groups residual(const Groups & u) const override;

protected:
  Graph & residual_;
  SolveArguments arguments_;
};

/// The graphs of one implicit segment by which its systems are solved; owned by the store.
class SolveGraphs
{
public:
  SolveGraphs(const ImplicitSegmentDescription & description, GraphStore & graphs);

  std::unique_ptr<NonlinearSystem> system(SolveArguments arguments) const;

  /// How many rows are best iterated together, as far as is known, or as measured on these: for
  /// systems on the processor whose rows may be run apart.
  std::int64_t known_chunk_rows() const;
  std::int64_t chunk_rows(const SolveArguments & arguments, const Groups & u) const;

  /// Whether the update of a row depends on nothing that other rows do.
  bool is_row_by_row() const { return !std::holds_alternative<Krylov>(direction_); }

private:
  struct Fused
  {
    Graph * step;
    bool returns_iterate;
  };
  struct Operator
  {
    Graph * jacobian;
    Graph * solve;
  };
  struct Factorised
  {
    Graph * jacobian;
    DirectSolver solver;
  };
  struct Krylov
  {
    Graph * matvec;
    Graph * preconditioner_setup; // null without a preconditioner
    Graph * preconditioner_apply;
    KrylovSettings settings;
  };
  using Direction = std::variant<Fused, Operator, Factorised, Krylov>;

  Graph & dearest() const;

  static Direction direction_of(const ImplicitSegmentDescription & description,
                                GraphStore & graphs);

  Graph * residual_;
  Direction direction_;
};

/// Tensors as graphs need them.
Tensors contiguous(Tensors tensors);

/// The blocks of A at u, row-major, followed by the groups of b. `groups` of unknowns.
Tensors operator_blocks(Graph & jacobian, const Tensors & arguments, std::size_t groups);

} // namespace neml2_aoti_plugin
