// How the rows of a call are divided. Standard library only.
#pragma once

#include <cstdint>
#include <vector>

namespace neml2_aoti_plugin
{

/// Rows that graphs run on at once where nothing better is known: intermediate results of so many
/// rows of a usual model stay in the cache of a core.
constexpr std::int64_t default_chunk_rows = 256;

/// Rows [begin, begin + count).
struct RowRange
{
  std::int64_t begin;
  std::int64_t count;
};

/// How many of the rows one of `members` threads should take at a time: at most `chunk_rows`, fewer
/// where others would stand idle, but no handful that is not worth a thread.
std::int64_t shared_rows(std::int64_t rows, std::int64_t chunk_rows, std::int64_t members);

/// Blocks of at most `most` rows that cover all rows in order; one, empty, for no rows.
std::vector<RowRange> equal_blocks(std::int64_t rows, std::int64_t most);

/// Blocks for `members` threads that each take the next one when they are done: large at first and
/// smaller towards the end, so that all end together; of at least `least` rows (but the last) and
/// at most `most`.
std::vector<RowRange> shrinking_blocks(std::int64_t rows, std::int64_t least, std::int64_t most,
                                       std::int64_t members);

} // namespace neml2_aoti_plugin
