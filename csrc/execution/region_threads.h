// Threads that kernels of graphs start by themselves. Standard library and OpenMP.
#pragma once

#include <cstdint>

#ifdef _OPENMP
#include <omp.h>
#endif

namespace neml2_aoti_plugin
{

/// While it lives, OpenMP regions that this thread enters use at most so many threads. These are
/// not torch's own: kernels and torch may each have brought an OpenMP with them.
class RegionThreads
{
public:
#ifdef _OPENMP
  explicit RegionThreads(std::int64_t threads) : before_(omp_get_max_threads())
  {
    omp_set_num_threads(static_cast<int>(threads));
  }
  ~RegionThreads() { omp_set_num_threads(before_); }

private:
  int before_;
#else
  explicit RegionThreads(std::int64_t) {}
#endif

public:
  RegionThreads(const RegionThreads &) = delete;
  RegionThreads & operator=(const RegionThreads &) = delete;
};

} // namespace neml2_aoti_plugin
