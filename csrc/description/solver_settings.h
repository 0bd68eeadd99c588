// Settings of a Newton solve, with the meaning that users are told:
//   max_iterations             how many Newton updates a row may take;
//   line_search_max_iterations how many trial steps a row may take per update; 1 or less is a full
//   step, no search.
#pragma once

#include <cstdint>

namespace neml2_aoti_plugin
{

enum class LineSearch
{
  Backtracking,
  StrongWolfe
};

struct NewtonSettings
{
  double absolute_tolerance = 1e-10;
  double relative_tolerance = 1e-8;
  std::int64_t max_iterations = 25;
  LineSearch line_search = LineSearch::Backtracking;
  std::int64_t line_search_max_iterations = 1;
  double line_search_cutback = 2.0;
  double line_search_constant = 1e-3;
};

} // namespace neml2_aoti_plugin
