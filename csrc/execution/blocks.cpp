#include "execution/blocks.h"

#include <algorithm>

namespace neml2_aoti_plugin
{

std::int64_t shared_rows(std::int64_t rows, std::int64_t chunk_rows, std::int64_t members)
{
  constexpr std::int64_t handful = 64;
  const auto share = (rows + members - 1) / std::max<std::int64_t>(members, 1);
  return std::min(chunk_rows, std::max(handful, share));
}

std::vector<RowRange> equal_blocks(std::int64_t rows, std::int64_t most)
{
  const auto count = std::max<std::int64_t>(1, (rows + most - 1) / most);
  std::vector<RowRange> blocks;
  for (std::int64_t k = 0; k < count; ++k)
  {
    const auto begin = rows * k / count;
    blocks.push_back({begin, rows * (k + 1) / count - begin});
  }
  return blocks;
}

std::vector<RowRange> shrinking_blocks(std::int64_t rows, std::int64_t least, std::int64_t most,
                                       std::int64_t members)
{
  if (members <= 1)
    return equal_blocks(rows, most);
  std::vector<RowRange> blocks;
  for (std::int64_t begin = 0; begin < rows;)
  {
    const auto rest = rows - begin;
    const auto share = rest / (2 * members);
    const auto count = std::min(rest, std::clamp(share, least, most));
    blocks.push_back({begin, count});
    begin += count;
  }
  if (blocks.empty())
    blocks.push_back({0, 0});
  return blocks;
}

} // namespace neml2_aoti_plugin
