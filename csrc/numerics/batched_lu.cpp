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

/// The columns [j, j + columns) of all rows from j on, and the swaps of whole rows that they ask
/// for.
template <int width>
INLINED void factorise_panel(Lanes<width> * a, std::int64_t n, std::int64_t j, std::int64_t columns,
                             std::int64_t * pivots, Integers<width> & singular)
{
  for (auto c = j; c < j + columns; ++c)
  {
    choose_pivots<width>(a, n, c, pivots + c * width);
    swap_rows<width>(a, c, n, pivots + c * width);
    const Lanes<width> pivot = a[c * n + c];
    const Integers<width> is_zero = pivot == 0.0;
    singular = singular | is_zero;
    const Lanes<width> scale = 1.0 / (is_zero ? (Lanes<width>{} + 1.0) : pivot);
    for (auto i = c + 1; i < n; ++i)
    {
      const Lanes<width> factor = a[i * n + c] * scale;
      a[i * n + c] = factor;
      for (auto k = c + 1; k < j + columns; ++k)
        a[i * n + k] -= factor * a[c * n + k];
    }
    a[c * n + c] = scale;
  }
}

/// What the first `columns` rows of a panel that begins at j take from row i, right of the panel.
template <int width, int columns>
INLINED void eliminate_row(Lanes<width> * a, std::int64_t n, std::int64_t j, std::int64_t i,
                           std::int64_t right)
{
  Lanes<width> factors[columns];
  for (int c = 0; c < columns; ++c)
    factors[c] = a[i * n + j + c];
  for (auto k = right; k < n; ++k)
  {
    Lanes<width> entry = a[i * n + k];
    for (int c = 0; c < columns; ++c)
      entry -= factors[c] * a[(j + c) * n + k];
    a[i * n + k] = entry;
  }
}

/// In place: unit lower and upper factor, the latter with its diagonal inverted. Tells which lanes
/// met a zero pivot. Four columns at a time: every entry takes what it would take column by column,
/// in the same order, but is read and written a quarter as often.
template <int width>
INLINED void factorise(Lanes<width> * a, std::int64_t n, std::int64_t * pivots,
                       Integers<width> & singular)
{
  singular = Integers<width>{};
  for (std::int64_t j = 0; j < n; j += 4)
  {
    const auto right = std::min(j + 4, n);
    factorise_panel<width>(a, n, j, right - j, pivots, singular);
    if (right == n)
      return;
    eliminate_row<width, 1>(a, n, j, j + 1, right);
    eliminate_row<width, 2>(a, n, j, j + 2, right);
    eliminate_row<width, 3>(a, n, j, j + 3, right);
    for (auto i = right; i < n; ++i)
      eliminate_row<width, 4>(a, n, j, i, right);
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

/// The 8 x 8 numbers of `rows` with rows and columns exchanged: in three steps, each of which joins
/// halves of pairs, where the compiler has a word for that.
INLINED void transpose(const Lanes<8> * rows, Lanes<8> * columns)
{
#if __has_builtin(__builtin_shufflevector)
  Lanes<8> pairs[8], quads[8];
  for (int k = 0; k < 8; k += 2)
  {
    pairs[k] = __builtin_shufflevector(rows[k], rows[k + 1], 0, 8, 2, 10, 4, 12, 6, 14);
    pairs[k + 1] = __builtin_shufflevector(rows[k], rows[k + 1], 1, 9, 3, 11, 5, 13, 7, 15);
  }
  for (int k = 0; k < 8; k += 4)
    for (int j = k; j < k + 2; ++j)
    {
      quads[j] = __builtin_shufflevector(pairs[j], pairs[j + 2], 0, 1, 8, 9, 4, 5, 12, 13);
      quads[j + 2] = __builtin_shufflevector(pairs[j], pairs[j + 2], 2, 3, 10, 11, 6, 7, 14, 15);
    }
  for (int j = 0; j < 4; ++j)
  {
    columns[j] = __builtin_shufflevector(quads[j], quads[j + 4], 0, 1, 2, 3, 8, 9, 10, 11);
    columns[j + 4] = __builtin_shufflevector(quads[j], quads[j + 4], 4, 5, 6, 7, 12, 13, 14, 15);
  }
#else
  for (int i = 0; i < 8; ++i)
    for (int j = 0; j < 8; ++j)
      columns[j][i] = rows[i][j];
#endif
}

/// Eight successive numbers of eight blocks, entry by entry.
INLINED void interleave_eight(const double * entries, std::int64_t size, Lanes<8> * lanes)
{
  Lanes<8> rows[8];
  for (int lane = 0; lane < 8; ++lane)
    std::memcpy(&rows[lane], entries + lane * size, sizeof(rows[lane]));
  transpose(rows, lanes);
}

/// The inverse of interleave_eight().
INLINED void separate_eight(const Lanes<8> * lanes, std::int64_t size, double * entries)
{
  Lanes<8> rows[8];
  transpose(lanes, rows);
  for (int lane = 0; lane < 8; ++lane)
    std::memcpy(entries + lane * size, &rows[lane], sizeof(rows[lane]));
}

/// `count` successive numbers of up to `width` blocks side by side, which are `size` apart. Lanes
/// without a block hold zeros.
template <int width>
INLINED void interleave_run(const double * entries, std::int64_t present, std::int64_t size,
                            std::int64_t count, Lanes<width> * lanes)
{
  std::int64_t k = 0;
  if constexpr (width == 8)
    for (; present == width && k + 8 <= count; k += 8)
      interleave_eight(entries + k, size, lanes + k);
  for (; k < count; ++k)
  {
    if (present == width)
    {
      gather(entries + k, size, lanes[k]);
      continue;
    }
    lanes[k] = Lanes<width>{};
    for (std::int64_t lane = 0; lane < present; ++lane)
      lanes[k][lane] = entries[k + lane * size];
  }
}

/// The inverse of interleave_run().
template <int width>
INLINED void separate_run(const Lanes<width> * lanes, std::int64_t present, std::int64_t size,
                          std::int64_t count, double * entries)
{
  std::int64_t k = 0;
  if constexpr (width == 8)
    for (; present == width && k + 8 <= count; k += 8)
      separate_eight(lanes + k, size, entries + k);
  for (; k < count; ++k)
    for (std::int64_t lane = 0; lane < present; ++lane)
      entries[k + lane * size] = lanes[k][lane];
}

/// Blocks of rows that are `stride` apart; see interleave_run().
template <int width>
INLINED void interleave(const double * blocks, std::int64_t present, std::int64_t size,
                        std::int64_t rows, std::int64_t columns, std::int64_t stride,
                        Lanes<width> * lanes)
{
  if (columns == stride)
    return interleave_run<width>(blocks, present, size, rows * columns, lanes);
  for (std::int64_t i = 0; i < rows; ++i)
    interleave_run<width>(blocks + i * stride, present, size, columns, lanes + i * columns);
}

/// The inverse of interleave().
template <int width>
INLINED void separate(const Lanes<width> * lanes, std::int64_t present, std::int64_t size,
                      std::int64_t rows, std::int64_t columns, std::int64_t stride, double * blocks)
{
  if (columns == stride)
    return separate_run<width>(lanes, present, size, rows * columns, blocks);
  for (std::int64_t i = 0; i < rows; ++i)
    separate_run<width>(lanes + i * columns, present, size, columns, blocks + i * stride);
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
