// What is kept of a run so that gradients can be pulled back through it: where each segment was
// evaluated, and no matrix, which costs less to evaluate again than to keep.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "layout/packing.h"
#include "segments/graph_system.h"
#include "segments/increment.h"
#include "segments/state.h"

namespace neml2_aoti_plugin
{

/// Rows of an implicit segment that were solved together, over the increment or a part of it.
struct Solution
{
  at::Tensor rows; // their numbers among those of the segment; undefined for all, in order
  Span span;
  SolveArguments arguments;
  Groups unknowns;
};

/// Of one segment.
struct Passage
{
  State inputs;                                   // of a forward segment
  std::unordered_map<std::string, Shape> outputs; // shapes of its values
  std::vector<Solution> solutions; // of an implicit one, in the order in which they followed
};

/// By segment.
using Tape = std::vector<Passage>;

} // namespace neml2_aoti_plugin
