// Derivatives of the unknowns of an implicit segment at a solution, by the implicit function
// theorem:
//   du/dg = -A^-1 B,  du/dp = -A^-1 P,  A = dr/du,  B = dr/dg,  P = dr/dp.
#pragma once

#include <optional>

#include "description/segment.h"
#include "graphs/graph_store.h"
#include "layout/shapes.h"
#include "numerics/rows.h"
#include "segments/cotangents.h"
#include "segments/graph_system.h"
#include "segments/tangents.h"

namespace neml2_aoti_plugin
{

/// What a cotangent of the unknowns contributes to those of what the solve held fixed.
struct PulledBack
{
  CotangentMap givens;
  CotangentMap parameters;
  RowList singular; // A is singular there, so that these rows of both are not a number
};

class Sensitivity
{
public:
  /// Where a variable is along the axis of all groups together.
  struct Place
  {
    std::string name;
    Shape shape; // sub-batch and base axes
    std::int64_t offset;

    std::int64_t width() const { return element_count(shape); }
  };
  using Places = std::vector<Place>;

  Sensitivity(const ImplicitSegmentDescription & description, GraphStore & graphs);

  /// Throws UnsupportedFeatureError for a tangent of a given by which the graphs do not tell the
  /// derivatives.
  void require_known(const Tangents & tangents) const;

  /// Throws UnsupportedFeatureError where tangents of an increment that is solved in substeps
  /// cannot be told from what the artifact carries.
  void require_substeps(const Tangents & tangents) const;

  /// Whether any unknown moves with what the tangents seed.
  bool is_reached_by(const Tangents & tangents) const;

  /// Tangents of the unknowns at the solution `u`, given those of the givens. Rows of which A is
  /// singular there have none: theirs are not a number, and the rows are added to `singular`.
  ComputedTangents tangents_at(const Groups & u, const SolveArguments & arguments,
                               const Tangents & tangents, RowList & singular) const;

  /// The transposed: dL/dg = -B^T lambda and dL/dp = -P^T lambda with A^T lambda = dL/du, one
  /// right-hand side however many givens and parameters there are. `of_unknowns` by name,
  /// (rows, |u|); only what is `wanted` is computed.
  PulledBack pulled_back(const Groups & u, const SolveArguments & arguments,
                         const CotangentMap & of_unknowns, const Moving & wanted) const;

  /// Throws UnsupportedFeatureError where nothing can be pulled back through substeps.
  void require_substeps() const;

  /// Throws UnsupportedFeatureError where the graphs do not tell the derivatives by a given that is
  /// wanted.
  void require_known(const Moving & wanted) const;

  /// Whether a derivative with respect to this given is carried.
  bool differentiates(const std::string & given) const;

private:
  [[noreturn]] void refuse_joined(const std::string & given) const;
  bool is_reached_through_givens(const Tangents & tangents) const;
  bool is_reached_through_parameters(const Tangents & tangents) const;
  bool solves_for_columns() const;
  bool solves_for_parameters() const;
  at::Tensor adjoint(const at::Tensor & a, const CotangentMap & of_unknowns,
                     RowList & singular) const;
  at::Tensor system_matrix(const Tensors & tensors, const SolveArguments & arguments) const;
  at::Tensor given_matrix(const Tensors & tensors, const SolveArguments & arguments) const;
  void pull_back_to_givens(PulledBack & result, const Groups & u, const SolveArguments & arguments,
                           const CotangentMap & of_unknowns, const Moving & wanted,
                           const at::Tensor & lambda) const;
  at::Tensor pull_back_to_parameters(PulledBack & result, const Groups & u,
                                     const SolveArguments & arguments,
                                     const CotangentMap & of_unknowns) const;
  SolveArguments with_parameters_per_row(const SolveArguments & arguments) const;
  void add_solved_columns(ComputedTangents & computed, const Groups & u,
                          const SolveArguments & arguments, const Tangents & tangents,
                          RowList & singular) const;
  void add_blocks(ComputedTangents & computed, const Groups & u, const SolveArguments & arguments,
                  const Tangents & tangents) const;
  void add_parameter_blocks(ComputedTangents & computed, const Groups & u,
                            const SolveArguments & arguments, const Tangents & tangents,
                            RowList & singular) const;
  Tensors given_blocks(const Groups & u, const SolveArguments & arguments) const;
  Tensors parameter_blocks(const Groups & u, const SolveArguments & arguments,
                           RowList & singular) const;

  /// The graphs of one kind of derivative. With `operators` A and the derivative of r come from
  /// them, and `solve` may be null: then we solve. Without, `solve` takes u, g, p and does it all.
  struct Graphs
  {
    std::vector<Graph *> operators;
    Graph * solve = nullptr;
  };

  static Places places_of(const std::vector<Group> & groups);
  void complete_pairs();

  std::string label_;
  std::size_t unknown_groups_;
  std::size_t given_groups_;
  bool is_dense_; // all groups are
  bool is_on_processor_;
  Places unknowns_; // rows of A
  Places givens_;   // columns of B
  std::vector<InputPair> given_pairs_;
  std::vector<Cell> cells_; // where the graph returns cells in place of pairs
  std::vector<std::string> joined_givens_;
  std::vector<ParameterPair> parameter_pairs_;
  Graphs given_graphs_;
  Graphs parameter_graphs_;
  bool knows_substeps_ = false; // how the solution of one substep moves with that before
};

} // namespace neml2_aoti_plugin
