// What a solve took: row by row, and attempt by attempt.
#pragma once

#include <string>
#include <vector>

#include "numerics/newton.h"

namespace neml2_aoti_plugin
{

/// One Newton solve over a part of the increment.
struct SolveAttempt
{
  double begin; // of the part, from 0
  double end;   // to 1
  std::int64_t level;
  std::int64_t active; // rows that were tried
  std::int64_t failed; // of these
  std::vector<IterateTrace> trace;
};

struct SolveRecord
{
  std::string segment;
  bool has_tangents;               // asked for along with the values
  std::vector<std::int64_t> batch; // of which the rows are the product
  NewtonSettings settings;
  NewtonResult rows;                  // without the unknowns; counts are over all attempts
  std::vector<std::int64_t> substeps; // parts into which the increment was divided, 1 for none
  std::vector<SolveAttempt> attempts; // in the order they were made
};

} // namespace neml2_aoti_plugin
