// What a solve took: row by row, and attempt by attempt.
#pragma once

#include <string>
#include <utility>
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
  // Last iterates by name, (rows, *sub, *base), for the error that a failed row is.
  std::vector<std::pair<std::string, at::Tensor>> unknowns;
  std::int64_t max_substepping_level;
};

/// Attempts of other rows join. Those over the same part of the increment are one attempt; parts
/// come in the order in which one row with all of them would take them.
void merge_attempts(std::vector<SolveAttempt> & all, const std::vector<SolveAttempt> & more);

/// The records of blocks of rows that follow one another, as one.
SolveRecord merged(std::vector<SolveRecord> blocks);

} // namespace neml2_aoti_plugin
