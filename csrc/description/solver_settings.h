// Settings of the solvers, with the meaning that users are told.
#pragma once

#include <cstdint>
#include <limits>

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
  std::int64_t max_iterations = 25; // updates that a row may take
  LineSearch line_search = LineSearch::Backtracking;
  std::int64_t line_search_max_iterations =
      1; // trials per update; 1 or less: full steps, no search
  double line_search_cutback = 2.0;
  double line_search_constant = 1e-3;
  // Relative size of the last update that the relative test asks for as well; infinite: any.
  double update_tolerance = std::numeric_limits<double>::infinity();
  // Steps that a row may take on the matrix of one update, see numerics/corrector.h; 0: none.
  std::int64_t max_corrections = 0;
};

enum class KrylovMethod
{
  Gmres,
  Bicgstab
};

/// When the preconditioner of a Newton solve is made anew.
enum class PreconditionerCache
{
  None,            // for every update
  Chord,           // once
  IterationsTaken, // when the linear solve before took more than cache_max_iterations
};

struct KrylovSettings
{
  KrylovMethod method = KrylovMethod::Gmres;
  std::int64_t restart = 40;          // directions that GMRES keeps
  std::int64_t max_iterations = 1000; // directions in all
  double absolute_tolerance = 0.0;
  double relative_tolerance = 1e-4;
  PreconditionerCache cache = PreconditionerCache::None;
  std::int64_t cache_max_iterations = 10;
};

} // namespace neml2_aoti_plugin
