// How rows are divided: every row once, in order, in blocks that are neither too large nor empty.
#include <algorithm>

#include "execution/blocks.h"
#include "input.h"

namespace
{

using namespace fuzz;

void check_cover(const std::vector<aoti::RowRange> & blocks, std::int64_t rows, std::int64_t most)
{
  std::int64_t next = 0;
  for (const auto & block : blocks)
  {
    demand(block.begin == next, "blocks follow one another");
    demand(block.count > 0 || rows == 0, "no block is empty");
    demand(block.count <= most, "no block is larger than asked for");
    next += block.count;
  }
  demand(next == rows, "every row is in a block");
  demand(!blocks.empty(), "no rows are a block, too");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t * data, std::size_t size)
{
  Input input(data, size);
  while (!input.is_at_end())
  {
    const auto rows = input.number(0, 1 << 12);
    const auto most = input.number(1, 1 << 12);
    const auto least = input.number(1, most);
    const auto members = input.number(1, 300);
    check_cover(aoti::equal_blocks(rows, most), rows, most);
    const auto shrinking = aoti::shrinking_blocks(rows, least, most, members);
    check_cover(shrinking, rows, most);
    if (members > 1)
      for (std::size_t k = 1; k + 1 < shrinking.size(); ++k)
      {
        demand(shrinking[k].count <= shrinking[k - 1].count, "blocks get smaller");
        demand(shrinking[k].count >= least, "only the last block is smaller than the least");
      }
    const auto shared = aoti::shared_rows(rows, most, members);
    demand(1 <= shared && shared <= most, "a share is at least a row and at most a chunk");
  }
  return 0;
}
