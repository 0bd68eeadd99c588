// Batched LU with any doubles: a matrix among others is treated as it is alone, bit by bit.
#include <memory>
#include <vector>

#include "input.h"
#include "numerics/batched_lu.h"

namespace
{

using namespace fuzz;
using Numbers = std::vector<double>;

struct Solved
{
  Numbers x;
  std::vector<bool> is_singular;
};

std::size_t unsign(std::int64_t count) { return static_cast<std::size_t>(count); }

Solved solve(const Numbers & matrices, const Numbers & b, aoti::LuBatch batch, std::int64_t columns)
{
  Numbers factors = matrices;
  std::vector<std::int64_t> pivots(unsign(batch.count * batch.order), -1);
  const std::unique_ptr<bool[]> is_singular(new bool[unsign(batch.count)]);
  aoti::lu_factorise(batch, factors.data(), pivots.data(), is_singular.get());
  for (std::int64_t k = 0; k < batch.count * batch.order; ++k)
    demand(k % batch.order <= pivots[unsign(k)] && pivots[unsign(k)] < batch.order,
           "a pivot is a row at or below the diagonal");
  Numbers x = b;
  aoti::lu_solve(batch, factors.data(), pivots.data(), x.data(), x.data(), columns);
  return {x, std::vector<bool>(is_singular.get(), is_singular.get() + batch.count)};
}

bool are_same(const double * first, const double * second, std::int64_t count)
{
  for (std::int64_t k = 0; k < count; ++k)
    if (first[k] != second[k] && !(first[k] != first[k] && second[k] != second[k]))
      return false;
  return true;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t * data, std::size_t size)
{
  Input input(data, size);
  const auto count = input.number(1, 20), order = input.number(1, 12), columns = input.number(1, 4);
  Numbers matrices(unsign(count * order * order)), b(unsign(count * order * columns));
  for (auto & entry : matrices)
    entry = input.real();
  for (auto & entry : b)
    entry = input.real();
  const auto together = solve(matrices, b, {count, order}, columns);
  for (std::int64_t k = 0; k < count; ++k)
  {
    const auto * matrix = matrices.data() + k * order * order;
    const auto * right = b.data() + k * order * columns;
    const auto alone = solve(Numbers(matrix, matrix + order * order),
                             Numbers(right, right + order * columns), {1, order}, columns);
    demand(alone.is_singular[0] == together.is_singular[unsign(k)],
           "whether a matrix is singular does not depend on the others");
    if (!alone.is_singular[0])
      demand(are_same(alone.x.data(), together.x.data() + k * order * columns, order * columns),
             "nor does its solution");
  }
  return 0;
}
