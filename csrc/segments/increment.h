// The problem that an implicit segment solves for some rows: from the old state to the new one.
//
// An increment may be solved in substeps. Over the part [begin, end] of it, forces f with an old
// value f~1 go along a straight line,
//   f(s) = f~1 + s (f - f~1),
// the old state of a substep is the solution of the one before, and the rest is held. Tangents are
// transformed with the same coefficients, so that those of the last substep are consistent with all
// of them.
#pragma once

#include <optional>
#include <vector>

#include "description/variable.h"
#include "graphs/graph.h"
#include "segments/placement.h"
#include "segments/state.h"
#include "segments/tangents.h"

namespace neml2_aoti_plugin
{

/// A part of the increment [0, 1].
struct Span
{
  double begin = 0.0;
  double end = 1.0;

  bool is_whole() const { return begin == 0.0 && end == 1.0; }
  double middle() const { return 0.5 * (begin + end); }
  Span first_half() const { return {begin, middle()}; }
  Span second_half() const { return {middle(), end}; }
};

struct Increment
{
  State values; // what the solve holds fixed, what the predictor reads, and guesses of unknowns
  Tangents tangents;
  Tensors parameters; // one value for all rows
  std::int64_t rows;
  std::optional<Placement> placement = {}; // where graphs run on more rows than these
  at::Tensor origin = {};                  // numbers of the rows in the segment; undefined: all

  Increment restricted_to(const at::Tensor & kept) const;

  /// Values and tangents over one span; old states are those at its start already.
  Increment over(const Span & span, const std::vector<Given> & givens) const;

  /// The old states that follow a substep with this solution, which also is the next guess.
  void continue_from(const std::vector<std::pair<std::string, at::Tensor>> & solution,
                     const ComputedTangents & solution_tangents, const std::vector<Given> & givens);
};

} // namespace neml2_aoti_plugin
