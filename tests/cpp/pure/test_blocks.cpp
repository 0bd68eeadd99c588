#include "check.h"
#include "execution/blocks.h"

namespace neml2_aoti_plugin {
namespace {

/// Whether the ranges follow one another from 0 to `rows`.
bool covers(const std::vector<RowRange>& ranges, std::int64_t rows) {
  std::int64_t next = 0;
  for (const auto& range : ranges) {
    if (range.begin != next)
      return false;
    next += range.count;
  }
  return next == rows;
}

std::vector<std::int64_t> counts(const std::vector<RowRange>& ranges) {
  std::vector<std::int64_t> all;
  for (const auto& range : ranges)
    all.push_back(range.count);
  return all;
}

const check::Tests tests{
{"equal_blocks_differ_by_one_row_at_most", [] {
  check::equal(counts(equal_blocks(10, 4)), {3, 3, 4});
  check::equal(counts(equal_blocks(8, 4)), {4, 4});
  check::equal(counts(equal_blocks(3, 4)), {3});
}},
{"equal_blocks_of_no_rows_are_one_empty_block", [] { check::equal(counts(equal_blocks(0, 4)), {0}); }},
{"blocks_cover_all_rows", [] {
  for (const std::int64_t rows : {0, 1, 7, 256, 1000, 100003})
    for (const std::int64_t members : {1, 2, 5}) {
      check::that(covers(equal_blocks(rows, 64), rows));
      check::that(covers(shrinking_blocks(rows, 64, 1024, members), rows));
    }
}},
{"shrinking_blocks_get_smaller_down_to_the_least", [] {
  const auto found = counts(shrinking_blocks(10000, 64, 1024, 2));
  check::equal(found.front(), std::int64_t{1024});
  for (std::size_t k = 1; k < found.size(); ++k) {
    check::that(found[k] <= found[k - 1]);
    check::that(found[k] >= 64 || k + 1 == found.size());
  }
}},
{"shared_rows_leave_no_member_idle_and_hand_out_no_handful", [] {
  check::equal(shared_rows(200, 256, 2), std::int64_t{100});
  check::equal(shared_rows(80, 256, 2), std::int64_t{64});
  check::equal(shared_rows(100000, 256, 2), std::int64_t{256});
}},
};

}  // namespace
}  // namespace neml2_aoti_plugin
