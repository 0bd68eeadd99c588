// Unknowns from r(u, g, p) = 0: initial guess, Newton, and tangents by the implicit function
// theorem,
//   du/dg = -A^-1 B,  A = dr/du,  B = dr/dg, both at the solution.
#pragma once

#include "description/segment.h"
#include "graphs/graph_store.h"
#include "layout/shape_table.h"
#include "segments/graph_system.h"
#include "segments/segment.h"

namespace neml2_aoti_plugin
{

class ImplicitSegment : public Segment
{
public:
  ImplicitSegment(ImplicitSegmentDescription description, const ShapeTable & shapes,
                  GraphStore & graphs);

  /// Throws ConvergenceError after all rows have been tried, if one of them failed.
  void run(State & state, const Call & call) const override;
  void run(State & state, Tangents & tangents, const Call & call) const override;

private:
  struct Solution
  {
    Groups unknowns;
    std::unique_ptr<GraphSystem> system; // null for an empty batch
  };

  Solution solve(State & state, const Call & call) const;
  void predict(State & state, const Call & call) const;
  Groups initial_guess(const State & state, const Call & call) const;
  Shape guess_batch(const State & state, const std::string & unknown) const;
  Groups pack_givens(const State & state, const Call & call) const;
  Tensors stored_parameters(const Call & call) const;
  void write_unknowns(const Groups & solved, bool at_guess, State & state, const Call & call) const;
  Tensors sensitivity_blocks(const Solution & solution) const;
  void drop_predicted_tangents(Tangents & tangents) const;
  void refuse_joined_tangents(const Tangents & tangents) const;

  bool is_predicted(const std::string & variable) const;
  std::vector<std::pair<std::string, at::Tensor>> named_unknowns(const Groups & unknowns) const;

  ImplicitSegmentDescription description_;
  SolveGraphs graphs_;
  Graph * predictor_ = nullptr;
  std::vector<std::optional<KnownShape>> predicted_shapes_;
  std::vector<Graph *> sensitivity_graphs_;
  std::vector<InputPair> cell_pairs_; // where the graph returns cells instead of pairs
  std::vector<std::string> joined_givens_;
  const std::vector<InputPair> * sensitivity_pairs_ = nullptr;
};

} // namespace neml2_aoti_plugin
