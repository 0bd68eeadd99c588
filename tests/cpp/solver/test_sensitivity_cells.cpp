#include "check.h"
#include "errors.h"
#include "segments/sensitivity_cells.h"
#include "solver/tensors.h"

namespace neml2_aoti_plugin {
namespace {

/// Two variables: a scalar and a vector of two.
Group dense(const std::string& scalar, const std::string& vector, const Shape& sites = {}) {
  return {Structure::Dense, {}, {{scalar, {}, sites}, {vector, {2}, sites}}};
}

Group block(const std::string& scalar, const std::string& vector, const Shape& sites) {
  return {Structure::Block, sites, {{scalar, {}, sites}, {vector, {2}, sites}}};
}

/// The block of unknown `row` and given `column` (0: the scalar, 1: the vector).
at::Tensor block_of(const Cell& cell, const at::Tensor& tensor, std::size_t row, std::size_t column) {
  return cell_blocks({cell}, {tensor}, tensor.size(0), "ift.pt2").at(2 * row + column);
}

const check::Tests tests{
{"cell_pairs_name_unknowns_slow_and_givens_fast", [] {
  const auto pairs = cell_pairs({{block("p", "q", {3}), block("g", "h", {3})}});
  std::vector<std::string> names;
  for (const auto& pair : pairs)
    names.push_back(pair.output + pair.input);
  check::equal(names, {"pg", "ph", "qg", "qh"});
  check::equal(pairs[3].output_base_shape, {3, 2});
  check::equal(pairs[3].input_base_shape, {3, 2});
}},
{"cell_of_dense_groups_is_cut_at_its_variables", [] {
  const Cell cell{dense("p", "q"), dense("g", "h")};
  const auto tensor = counting({1, 3, 3});
  same(block_of(cell, tensor, 0, 0), tensor_of({0}, {1, 1, 1}));
  same(block_of(cell, tensor, 0, 1), tensor_of({1, 2}, {1, 1, 2}));
  same(block_of(cell, tensor, 1, 0), tensor_of({3, 6}, {1, 2, 1}));
  same(block_of(cell, tensor, 1, 1), tensor_of({4, 5, 7, 8}, {1, 2, 2}));
}},
{"cell_of_dense_groups_holds_whole_values_with_all_their_sites", [] {
  const Cell cell{dense("p", "q", {2}), dense("g", "h")};
  const auto tensor = counting({1, 6, 3});
  same(block_of(cell, tensor, 0, 0), tensor_of({0, 3}, {1, 2, 1}));
  same(block_of(cell, tensor, 1, 0), tensor_of({6, 9, 12, 15}, {1, 4, 1}));
}},
{"cell_of_block_unknowns_has_a_matrix_per_site", [] {
  const Cell cell{block("p", "q", {2}), dense("g", "h")};
  const auto tensor = counting({1, 2, 3, 3});
  same(block_of(cell, tensor, 0, 0), tensor_of({0, 9}, {1, 2, 1}));
  same(block_of(cell, tensor, 1, 0), tensor_of({3, 6, 12, 15}, {1, 4, 1}));  // site slow, base fast
}},
{"cell_of_blocks_over_the_same_sites_couples_no_sites", [] {
  const Cell cell{block("p", "q", {2}), block("g", "h", {2})};
  const auto tensor = counting({1, 2, 3, 3}, 1.0);
  same(block_of(cell, tensor, 0, 0), tensor_of({1, 0, 0, 10}, {1, 2, 2}));
  same(block_of(cell, tensor, 1, 0), tensor_of({4, 0, 7, 0, 0, 13, 0, 16}, {1, 4, 2}));
}},
{"cells_whose_sites_are_joined_by_other_unknowns_are_left_out", [] {
  const std::vector<Cell> cells{{block("p", "q", {2}), block("g", "h", {2})},
                                {block("p", "q", {2}), dense("i", "j")},
                                {dense("r", "s"), block("g", "h", {2})},
                                {dense("r", "s"), dense("i", "j")}};
  check::equal(joined_givens(cells), {"g", "h", "g", "h"});
  std::vector<std::string> names;
  for (const auto& pair : cell_pairs(cells))
    names.push_back(pair.output + pair.input);
  check::equal(names, {"pi", "pj", "qi", "qj", "ri", "rj", "si", "sj"});
  const auto blocks = cell_blocks(
      cells, {counting({1, 2, 3, 3}), counting({1, 2, 3, 3}), counting({1, 2, 3, 3}), counting({1, 3, 3}, 50.0)},
      1, "ift.pt2");
  same(blocks.at(0), tensor_of({0, 9}, {1, 2, 1}));
  same(blocks.at(4), tensor_of({50}, {1, 1, 1}));
}},
{"cell_that_is_the_same_for_all_sites_may_lack_their_axes", [] {
  const Cell cell{block("p", "q", {2}), dense("g", "h")};
  const auto single = block_of(cell, counting({2, 1, 3, 3}), 0, 1);
  same(single, tensor_of({1, 2, 1, 2, 10, 11, 10, 11}, {2, 2, 2}));
  same(block_of(cell, counting({2, 3, 3}), 0, 1), single);
}},
{"cell_of_another_width_is_refused", [] {
  const Cell cell{dense("p", "q"), dense("g", "h")};
  check::throws<ArtifactError>([&] { block_of(cell, counting({1, 3, 4}), 0, 0); },
                               "ift.pt2: returned a derivative of shape (1, 3, 4), expected (1, 3, 3). "
                               "Recompile the model.");
}},
};

}  // namespace
}  // namespace neml2_aoti_plugin
