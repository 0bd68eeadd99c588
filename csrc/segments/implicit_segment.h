// Unknowns from r(u, g, p) = 0: initial guess, Newton, and where that fails for some rows the same
// again in substeps of their increments. Tangents are consistent with the substeps taken.
#pragma once

#include "description/segment.h"
#include "graphs/graph_store.h"
#include "layout/shape_table.h"
#include "segments/graph_system.h"
#include "segments/increment.h"
#include "segments/outcome.h"
#include "segments/predictor.h"
#include "segments/segment.h"
#include "segments/sensitivity.h"

namespace neml2_aoti_plugin
{

class ImplicitSegment : public Segment
{
public:
  ImplicitSegment(ImplicitSegmentDescription description, const ShapeTable & shapes,
                  GraphStore & graphs);

  /// Throws ConvergenceError after all rows have been tried, if one of them failed and the call
  /// does not go on without it.
  void run(State & state, Tangents * tangents, Passage * passage, const Call & call) const override;
  void pull_back(const Passage & passage, Cotangents & cotangents,
                 const Call & call) const override;
  void pass_on(Moving & moving) const override;

  /// Not for iterative solvers, which decide for all rows together when to renew their
  /// preconditioner.
  bool is_divisible() const override
  {
    return !description_.whole_batch && graphs_.is_row_by_row();
  }

  std::optional<std::int64_t> chunk_rows() const override { return graphs_.known_chunk_rows(); }

private:
  using NamedData = std::vector<std::pair<std::string, at::Tensor>>;

  NewtonSettings settings(const Call & call) const;
  Increment whole_increment(const State & state, const Tangents * tangents,
                            const Call & call) const;

  Outcome solve_parts(const Increment & whole, bool has_tangents, Passage * passage,
                      const Call & call) const;
  /// How a solve is to be done.
  struct Manner
  {
    NewtonSettings settings;
    std::int64_t chunk_rows; // 0: as measured
    Team team;
    Passage * passage = nullptr; // where solutions are written down, if anywhere
  };

  Manner manner(const Call & call) const;
  Outcome integrate(const Increment & increment, const Span & span, std::int64_t level,
                    const Manner & manner) const;
  Outcome solve(Increment part, const Span & span, const Manner & manner) const;
  void add_tangents(Outcome & outcome, const SolveArguments & arguments, const Tangents & tangents,
                    std::int64_t chunk_rows) const;
  ComputedTangents tangents_of(const Outcome & outcome, const RowList & rows,
                               const SolveArguments & arguments, const Tangents & tangents,
                               std::int64_t chunk_rows, RowList & singular) const;

  bool uses_guess_in(const State & state, const std::string & unknown) const;
  Groups initial_guess(const State & values, std::int64_t rows,
                       const at::TensorOptions & options) const;
  Groups pack_givens(const State & values, std::int64_t rows) const;
  Shape guess_batch(const State & state, const std::string & unknown) const;
  void write_unknowns(const Groups & solved, bool is_at_guess, State & state,
                      const Call & call) const;
  NamedData named_unknowns(const Groups & unknowns) const;
  void drop_predicted_tangents(Tangents & tangents) const;
  void require_no_given_predicted(bool is_moving) const;
  CotangentMap taken_of_unknowns(Cotangents & cotangents) const;
  PulledBack pulled_back(const Solution & solution, const CotangentMap & of_unknowns,
                         const Moving & wanted, const Call & call) const;

  ImplicitSegmentDescription description_;
  SolveGraphs graphs_;
  Sensitivity sensitivity_;
  std::optional<Predictor> predictor_;
};

} // namespace neml2_aoti_plugin
