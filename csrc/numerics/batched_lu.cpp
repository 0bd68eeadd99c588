#include "numerics/batched_lu.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <new>

namespace neml2_aoti_plugin
{

namespace
{

// Compilers lower these to the widest registers that a function may use, or to plain arithmetic.
// Handled by reference: how they are passed by value depends on the processor.
template <int width>
struct Vector;

template <>
struct Vector<8>
{
  using Numbers = double __attribute__((vector_size(64)));
  using Integers = std::int64_t __attribute__((vector_size(64)));
};

template <>
struct Vector<2>
{
  using Numbers = double __attribute__((vector_size(16)));
  using Integers = std::int64_t __attribute__((vector_size(16)));
};

template <int width>
using Lanes = typename Vector<width>::Numbers;

template <int width>
using Integers = typename Vector<width>::Integers;

// A lone matrix does not pay for eight lanes.
constexpr int wide = 8;
constexpr int narrow = 2;

constexpr std::int64_t tile = 8; // right-hand sides that are substituted together, in registers

/// Every kernel is written once, and inlined into one function per kind of processor.
#define INLINED [[gnu::always_inline]] inline

template <int width>
INLINED bool is_any(const Integers<width> & mask)
{
  std::int64_t any = 0;
  for (int lane = 0; lane < width; ++lane)
    any |= mask[lane];
  return any != 0;
}

/// Swaps row `row` with the row that each lane chose.
template <int width>
INLINED void swap_rows(Lanes<width> * entries, std::int64_t row, std::int64_t columns,
                       const std::int64_t * chosen)
{
  Integers<width> choice;
  std::memcpy(&choice, chosen, sizeof(choice));
  Integers<width> open = choice != (Integers<width>{} + row);
  while (is_any<width>(open))
  {
    std::int64_t other = 0;
    for (int lane = 0; lane < width; ++lane)
      if (open[lane])
        other = chosen[lane];
    const Integers<width> here = choice == (Integers<width>{} + other);
    for (std::int64_t k = 0; k < columns; ++k)
    {
      Lanes<width> & first = entries[row * columns + k];
      Lanes<width> & second = entries[other * columns + k];
      const Lanes<width> kept = first;
      first = here ? second : first;
      second = here ? kept : second;
    }
    open = open & ~here;
  }
}

/// The row of the largest entry on and below the diagonal, lane by lane. An entry that is not a
/// number is never larger; where it comes first, it stays and spoils its lane, as it must.
template <int width>
INLINED void choose_pivots(const Lanes<width> * a, std::int64_t n, std::int64_t j,
                           std::int64_t * chosen)
{
  Lanes<width> largest{};
  Integers<width> choice = Integers<width>{} + j;
  for (std::int64_t i = j; i < n; ++i)
  {
    const Lanes<width> entry = a[i * n + j];
    const Lanes<width> magnitude = entry < 0.0 ? -entry : entry;
    const Integers<width> is_larger = magnitude > largest;
    largest = is_larger ? magnitude : largest;
    choice = is_larger ? (Integers<width>{} + i) : choice;
  }
  std::memcpy(chosen, &choice, sizeof(choice));
}

/// In place: unit lower and upper factor, the latter with its diagonal inverted. Tells which lanes
/// met a zero pivot.
template <int width>
INLINED void factorise(Lanes<width> * a, std::int64_t n, std::int64_t * pivots,
                       Integers<width> & singular)
{
  singular = Integers<width>{};
  for (std::int64_t j = 0; j < n; ++j)
  {
    choose_pivots<width>(a, n, j, pivots + j * width);
    swap_rows<width>(a, j, n, pivots + j * width);
    const Lanes<width> pivot = a[j * n + j];
    const Integers<width> is_zero = pivot == 0.0;
    singular = singular | is_zero;
    const Lanes<width> scale = 1.0 / (is_zero ? (Lanes<width>{} + 1.0) : pivot);
    for (std::int64_t i = j + 1; i < n; ++i)
    {
      const Lanes<width> factor = a[i * n + j] * scale;
      a[i * n + j] = factor;
      for (std::int64_t k = j + 1; k < n; ++k)
        a[i * n + k] -= factor * a[j * n + k];
    }
    a[j * n + j] = scale;
  }
}

/// x (n, columns) from b to the solution.
template <int width, int columns>
INLINED void substitute(const Lanes<width> * lu, std::int64_t n, const std::int64_t * pivots,
                        Lanes<width> * x)
{
  for (std::int64_t j = 0; j < n; ++j)
    swap_rows<width>(x, j, columns, pivots + j * width);
  const auto eliminate =
      [&](std::int64_t i, std::int64_t begin, std::int64_t end, const Lanes<width> & scale)
  {
    Lanes<width> sums[columns];
    for (int k = 0; k < columns; ++k)
      sums[k] = x[i * columns + k];
    for (std::int64_t j = begin; j < end; ++j)
      for (int k = 0; k < columns; ++k)
        sums[k] -= lu[i * n + j] * x[j * columns + k];
    for (int k = 0; k < columns; ++k)
      x[i * columns + k] = sums[k] * scale;
  };
  const Lanes<width> one = Lanes<width>{} + 1.0;
  for (std::int64_t i = 1; i < n; ++i)
    eliminate(i, 0, i, one);
  for (std::int64_t i = n - 1; i >= 0; --i)
    eliminate(i, i + 1, n, lu[i * n + i]);
}

/// The numbers `size` apart.
INLINED void gather(const double * entry, std::int64_t size, Lanes<8> & lanes)
{
  lanes = Lanes<8>{entry[0],        entry[size],     entry[2 * size], entry[3 * size],
                   entry[4 * size], entry[5 * size], entry[6 * size], entry[7 * size]};
}

INLINED void gather(const double * entry, std::int64_t size, Lanes<2> & lanes)
{
  lanes = Lanes<2>{entry[0], entry[size]};
}

/// Entry (i, k) of up to `width` blocks side by side; `stride` between the rows of a block, `size`
/// between blocks. Lanes without a block hold zeros.
template <int width>
INLINED void interleave(const double * blocks, std::int64_t present, std::int64_t size,
                        std::int64_t rows, std::int64_t columns, std::int64_t stride,
                        Lanes<width> * lanes)
{
  for (std::int64_t i = 0; i < rows; ++i)
    for (std::int64_t k = 0; k < columns; ++k)
    {
      const double * entry = blocks + i * stride + k;
      Lanes<width> & target = lanes[i * columns + k];
      if (present == width)
      {
        gather(entry, size, target);
        continue;
      }
      target = Lanes<width>{};
      for (std::int64_t lane = 0; lane < present; ++lane)
        target[lane] = entry[lane * size];
    }
}

/// The inverse of interleave().
template <int width>
INLINED void separate(const Lanes<width> * lanes, std::int64_t present, std::int64_t size,
                      std::int64_t rows, std::int64_t columns, std::int64_t stride, double * blocks)
{
  for (std::int64_t lane = 0; lane < present; ++lane)
    for (std::int64_t i = 0; i < rows; ++i)
      for (std::int64_t k = 0; k < columns; ++k)
        blocks[lane * size + i * stride + k] = lanes[i * columns + k][lane];
}

/// Lanes without a matrix hold the unit matrix.
template <int width>
INLINED void factorise_lanes(const double * matrices, std::int64_t present, std::int64_t n,
                             Lanes<width> * a, std::int64_t * chosen, Integers<width> & singular)
{
  interleave<width>(matrices, present, n * n, n, n, n, a);
  for (std::int64_t lane = present; lane < width; ++lane)
    for (std::int64_t i = 0; i < n; ++i)
      a[i * n + i][lane] = 1.0;
  factorise<width>(a, n, chosen, singular);
}

/// Up to `width` matrices in place.
template <int width>
INLINED void factorise_pack(double * matrices, std::int64_t present, std::int64_t n,
                            std::int64_t * pivots, bool * is_singular, double * scratch)
{
  auto * a = reinterpret_cast<Lanes<width> *>(scratch);
  auto * chosen = reinterpret_cast<std::int64_t *>(a + n * n);
  Integers<width> singular;
  factorise_lanes<width>(matrices, present, n, a, chosen, singular);
  separate<width>(a, present, n * n, n, n, n, matrices);
  for (std::int64_t lane = 0; lane < present; ++lane)
  {
    for (std::int64_t j = 0; j < n; ++j)
      pivots[lane * n + j] = chosen[j * width + lane];
    is_singular[lane] = singular[lane] != 0;
  }
}

/// Factorises up to `width` matrices and solves for one right-hand side each.
template <int width>
INLINED void solve_pack_once(const double * matrices, std::int64_t present, std::int64_t n,
                             const double * b, double * x, bool * is_singular, double * scratch)
{
  auto * a = reinterpret_cast<Lanes<width> *>(scratch);
  auto * chosen = reinterpret_cast<std::int64_t *>(a + n * n);
  auto * lanes = a + n * n + n;
  Integers<width> singular;
  factorise_lanes<width>(matrices, present, n, a, chosen, singular);
  for (std::int64_t lane = 0; lane < present; ++lane)
    is_singular[lane] = singular[lane] != 0;
  interleave<width>(b, present, n, n, 1, 1, lanes);
  substitute<width, 1>(a, n, chosen, lanes);
  separate<width>(lanes, present, n, n, 1, 1, x);
}

/// `columns` of the `all_columns` right-hand sides.
template <int width, int columns>
INLINED void solve_columns(const Lanes<width> * lu, const std::int64_t * chosen,
                           std::int64_t present, std::int64_t n, const double * b, double * x,
                           std::int64_t all_columns, Lanes<width> * scratch)
{
  interleave<width>(b, present, n * all_columns, n, columns, all_columns, scratch);
  substitute<width, columns>(lu, n, chosen, scratch);
  separate<width>(scratch, present, n * all_columns, n, columns, all_columns, x);
}

template <int width>
INLINED void solve_pack(const double * factors, const std::int64_t * pivots, std::int64_t present,
                        std::int64_t n, const double * b, double * x, std::int64_t columns,
                        double * scratch)
{
  auto * lu = reinterpret_cast<Lanes<width> *>(scratch);
  auto * chosen = reinterpret_cast<std::int64_t *>(lu + n * n);
  auto * lanes = lu + n * n + n;
  interleave<width>(factors, present, n * n, n, n, n, lu);
  for (std::int64_t j = 0; j < n; ++j)
    for (std::int64_t lane = 0; lane < width; ++lane)
      chosen[j * width + lane] = lane < present ? pivots[lane * n + j] : j;
  std::int64_t done = 0;
  for (; done + tile <= columns; done += tile)
    solve_columns<width, tile>(lu, chosen, present, n, b + done, x + done, columns, lanes);
  for (; done < columns; ++done)
    solve_columns<width, 1>(lu, chosen, present, n, b + done, x + done, columns, lanes);
}

/// All matrices of a call, eight by eight.
INLINED void factorise_all(const LuBatch & batch, double * matrices, std::int64_t * pivots,
                           bool * is_singular, double * scratch)
{
  const auto n = batch.order;
  for (std::int64_t first = 0; first < batch.count; first += wide)
  {
    const auto present = std::min<std::int64_t>(wide, batch.count - first);
    auto * a = matrices + first * n * n;
    if (present <= narrow)
      factorise_pack<narrow>(a, present, n, pivots + first * n, is_singular + first, scratch);
    else
      factorise_pack<wide>(a, present, n, pivots + first * n, is_singular + first, scratch);
  }
}

INLINED void solve_all_once(const LuBatch & batch, const double * matrices, const double * b,
                            double * x, bool * is_singular, double * scratch)
{
  const auto n = batch.order;
  for (std::int64_t first = 0; first < batch.count; first += wide)
  {
    const auto present = std::min<std::int64_t>(wide, batch.count - first);
    const auto * a = matrices + first * n * n;
    const auto at = first * n;
    if (present <= narrow)
      solve_pack_once<narrow>(a, present, n, b + at, x + at, is_singular + first, scratch);
    else
      solve_pack_once<wide>(a, present, n, b + at, x + at, is_singular + first, scratch);
  }
}

INLINED void solve_all(const LuBatch & batch, const double * factors, const std::int64_t * pivots,
                       const double * b, double * x, std::int64_t columns, double * scratch)
{
  const auto n = batch.order;
  for (std::int64_t first = 0; first < batch.count; first += wide)
  {
    const auto present = std::min<std::int64_t>(wide, batch.count - first);
    const auto * lu = factors + first * n * n;
    const auto at = first * n * columns;
    if (present <= narrow)
      solve_pack<narrow>(lu, pivots + first * n, present, n, b + at, x + at, columns, scratch);
    else
      solve_pack<wide>(lu, pivots + first * n, present, n, b + at, x + at, columns, scratch);
  }
}

struct Kernels
{
  void (*factorise)(const LuBatch &, double *, std::int64_t *, bool *, double *);
  void (*solve)(const LuBatch &, const double *, const std::int64_t *, const double *, double *,
                std::int64_t, double *);
  void (*solve_once)(const LuBatch &, const double *, const double *, double *, bool *, double *);
};

void solve_once_plain(const LuBatch & batch, const double * matrices, const double * b, double * x,
                      bool * is_singular, double * scratch)
{
  solve_all_once(batch, matrices, b, x, is_singular, scratch);
}

void factorise_plain(const LuBatch & batch, double * matrices, std::int64_t * pivots,
                     bool * is_singular, double * scratch)
{
  factorise_all(batch, matrices, pivots, is_singular, scratch);
}

void solve_plain(const LuBatch & batch, const double * factors, const std::int64_t * pivots,
                 const double * b, double * x, std::int64_t columns, double * scratch)
{
  solve_all(batch, factors, pivots, b, x, columns, scratch);
}

#if defined(__x86_64__)
[[gnu::target("avx2,fma")]] void solve_once_avx2(const LuBatch & batch, const double * matrices,
                                                 const double * b, double * x, bool * is_singular,
                                                 double * scratch)
{
  solve_all_once(batch, matrices, b, x, is_singular, scratch);
}

[[gnu::target("avx2,fma")]] void factorise_avx2(const LuBatch & batch, double * matrices,
                                                std::int64_t * pivots, bool * is_singular,
                                                double * scratch)
{
  factorise_all(batch, matrices, pivots, is_singular, scratch);
}

[[gnu::target("avx2,fma")]] void solve_avx2(const LuBatch & batch, const double * factors,
                                            const std::int64_t * pivots, const double * b,
                                            double * x, std::int64_t columns, double * scratch)
{
  solve_all(batch, factors, pivots, b, x, columns, scratch);
}

[[gnu::target("avx512f,avx512dq,avx512vl")]] void
solve_once_avx512(const LuBatch & batch, const double * matrices, const double * b, double * x,
                  bool * is_singular, double * scratch)
{
  solve_all_once(batch, matrices, b, x, is_singular, scratch);
}

[[gnu::target("avx512f,avx512dq,avx512vl")]] void
factorise_avx512(const LuBatch & batch, double * matrices, std::int64_t * pivots,
                 bool * is_singular, double * scratch)
{
  factorise_all(batch, matrices, pivots, is_singular, scratch);
}

[[gnu::target("avx512f,avx512dq,avx512vl")]] void
solve_avx512(const LuBatch & batch, const double * factors, const std::int64_t * pivots,
             const double * b, double * x, std::int64_t columns, double * scratch)
{
  solve_all(batch, factors, pivots, b, x, columns, scratch);
}

#endif

#undef INLINED

Kernels choose_kernels()
{
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl"))
    return {factorise_avx512, solve_avx512, solve_once_avx512};
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    return {factorise_avx2, solve_avx2, solve_once_avx2};
#endif
  return {factorise_plain, solve_plain, solve_once_plain};
}

const Kernels & kernels()
{
  static const Kernels chosen = choose_kernels();
  return chosen;
}

constexpr std::align_val_t alignment{sizeof(Lanes<wide>)};

struct Free
{
  void operator()(double * numbers) const { ::operator delete[](numbers, alignment); }
};

/// Room for one pack: its matrices, its pivots and its right-hand sides, interleaved.
std::unique_ptr<double[], Free> scratch_for(std::int64_t order, std::int64_t columns)
{
  const auto lanes = order * order + order + order * std::min(columns, tile);
  return std::unique_ptr<double[], Free>(static_cast<double *>(
      ::operator new[](static_cast<std::size_t>(lanes) * sizeof(Lanes<wide>), alignment)));
}

} // namespace

void lu_factorise(const LuBatch & batch, double * matrices, std::int64_t * pivots,
                  bool * is_singular)
{
  const auto scratch = scratch_for(batch.order, 0);
  kernels().factorise(batch, matrices, pivots, is_singular, scratch.get());
}

void lu_solve(const LuBatch & batch, const double * factors, const std::int64_t * pivots,
              const double * b, double * x, std::int64_t columns)
{
  const auto scratch = scratch_for(batch.order, columns);
  kernels().solve(batch, factors, pivots, b, x, columns, scratch.get());
}

void lu_solve_once(const LuBatch & batch, const double * matrices, const double * b, double * x,
                   bool * is_singular)
{
  const auto scratch = scratch_for(batch.order, 1);
  kernels().solve_once(batch, matrices, b, x, is_singular, scratch.get());
}

} // namespace neml2_aoti_plugin
