#include "segments/solve_record.h"

#include <ATen/ops/cat.h>

#include <algorithm>

namespace neml2_aoti_plugin
{

namespace
{

template <typename T>
void append(std::vector<T> & all, const std::vector<T> & more)
{
  all.insert(all.end(), more.begin(), more.end());
}

void append_rows(NewtonResult & all, const NewtonResult & more)
{
  append(all.status, more.status);
  append(all.iterations, more.iterations);
  append(all.corrections, more.corrections);
  append(all.initial_norms, more.initial_norms);
  append(all.norms, more.norms);
  append(all.linear_iterations, more.linear_iterations);
  append(all.missed_solves, more.missed_solves);
  append(all.worst_excess, more.worst_excess);
  merge_traces(all.trace, more.trace);
  if (all.linear_failure.empty())
    all.linear_failure = more.linear_failure;
}

} // namespace

void merge_attempts(std::vector<SolveAttempt> & all, const std::vector<SolveAttempt> & more)
{
  const auto comes_before = [](const SolveAttempt & a, const SolveAttempt & b)
  { return a.begin != b.begin ? a.begin < b.begin : a.level < b.level; };
  for (const auto & attempt : more)
  {
    const auto place = std::lower_bound(all.begin(), all.end(), attempt, comes_before);
    if (place == all.end() || comes_before(attempt, *place))
    {
      all.insert(place, attempt);
      continue;
    }
    place->active += attempt.active;
    place->failed += attempt.failed;
    merge_traces(place->trace, attempt.trace);
  }
}

SolveRecord merged(std::vector<SolveRecord> blocks)
{
  auto all = std::move(blocks.front());
  std::vector<std::vector<at::Tensor>> unknowns(all.unknowns.size());
  for (std::size_t k = 0; k < unknowns.size(); ++k)
    unknowns[k].push_back(all.unknowns[k].second);
  for (std::size_t block = 1; block < blocks.size(); ++block)
  {
    const auto & more = blocks[block];
    append_rows(all.rows, more.rows);
    append(all.substeps, more.substeps);
    merge_attempts(all.attempts, more.attempts);
    for (std::size_t k = 0; k < unknowns.size(); ++k)
      unknowns[k].push_back(more.unknowns[k].second);
  }
  if (blocks.size() > 1)
    for (std::size_t k = 0; k < unknowns.size(); ++k)
      all.unknowns[k].second = at::cat(unknowns[k], 0);
  return all;
}

} // namespace neml2_aoti_plugin
