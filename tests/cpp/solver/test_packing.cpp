#include <map>

#include "check.h"
#include "layout/packing.h"
#include "solver/tensors.h"

namespace neml2_aoti_plugin {
namespace {

/// Two rows; a vector without sites, and a vector on 3 sites.
const Group dense{Structure::Dense, {}, {{"a", {2}, {}}, {"b", {2}, {3}}}};
/// Two rows of 2 sites; a vector and a number at each.
const Group block{Structure::Block, {2}, {{"v", {3}, {2}}, {"s", {}, {2}}}};

std::map<std::string, at::Tensor> values() {
  return {{"a", counting({2, 2})},
          {"b", counting({2, 3, 2}, 100)},
          {"v", counting({2, 2, 3})},
          {"s", counting({2, 2}, 100)}};
}

at::Tensor packed(const Group& group, const std::map<std::string, at::Tensor>& from = values()) {
  return pack(group, 2, [&](const Slot& slot) { return from.at(slot.name); });
}

const check::Tests tests{
{"pack_puts_dense_slots_side_by_side_with_all_their_sites", [] {
  same(packed(dense), tensor_of({0, 1, 100, 101, 102, 103, 104, 105,
                                 2, 3, 106, 107, 108, 109, 110, 111}, {2, 8}));
}},
{"pack_puts_block_slots_side_by_side_at_each_site", [] {
  same(packed(block), tensor_of({0, 1, 2, 100, 3, 4, 5, 101,
                                 6, 7, 8, 102, 9, 10, 11, 103}, {2, 2, 4}));
}},
{"pack_flattens_bases_of_higher_rank", [] {
  const Group tensors{Structure::Dense, {}, {{"F", {2, 2}, {}}, {"t", {}, {}}}};
  same(packed(tensors, {{"F", counting({2, 2, 2})}, {"t", tensor_of({8, 9}, {2})}}),
       tensor_of({0, 1, 2, 3, 8, 4, 5, 6, 7, 9}, {2, 5}));
}},
{"pack_follows_the_order_of_slots", [] {
  const Group swapped{Structure::Dense, {}, {dense.slots[1], dense.slots[0]}};
  same(packed(swapped).narrow(1, 6, 2), packed(dense).narrow(1, 0, 2));
}},
{"pack_copies_a_single_slot", [] {
  const auto value = counting({2, 2});
  const auto result = packed({Structure::Dense, {}, {{"a", {2}, {}}}}, {{"a", value}});
  same(result, value);
  check::that(!result.is_alias_of(value));
}},
{"pack_copies_several_slots", [] {
  const auto from = values();
  const auto result = packed(dense, from);
  for (const auto& [name, value] : from)
    check::that(!result.is_alias_of(value));
}},
{"pack_makes_contiguous_what_is_not", [] {
  const auto transposed = counting({2, 2}).t();
  const auto result = packed({Structure::Dense, {}, {{"a", {2}, {}}}}, {{"a", transposed}});
  check::that(result.is_contiguous());
  same(result, tensor_of({0, 2, 1, 3}, {2, 2}));
}},
{"unpack_returns_slots_in_order_and_shape", [] {
  const auto dense_values = unpack(dense, packed(dense));
  check::equal(dense_values.size(), std::size_t{2});
  same(dense_values[0], values().at("a"));
  same(dense_values[1], values().at("b"));
}},
{"unpack_undoes_pack_in_block_groups", [] {
  const auto block_values = unpack(block, packed(block));
  same(block_values.at(0), values().at("v"));
  same(block_values.at(1), values().at("s"));
}},
{"unpack_undoes_pack_for_bases_of_higher_rank", [] {
  const Group sites{Structure::Block, {2, 3}, {{"R", {3, 3}, {2, 3}}, {"n", {}, {2, 3}}}};
  const std::map<std::string, at::Tensor> from{{"R", counting({2, 2, 3, 3, 3})}, {"n", counting({2, 2, 3})}};
  const auto result = packed(sites, from);
  check::equal(result.sizes().vec(), {2, 2, 3, 10});
  same(unpack(sites, result).at(0), from.at("R"));
  same(unpack(sites, result).at(1), from.at("n"));
}},
{"pack_and_unpack_accept_zero_rows", [] {
  const Group group{Structure::Dense, {}, {{"a", {2}, {}}, {"b", {}, {3}}}};
  const auto result = pack(group, 0, [](const Slot& slot) {
    return slot.name == "a" ? counting({0, 2}) : counting({0, 3});
  });
  check::equal(result.sizes().vec(), {0, 5});
  check::equal(unpack(group, result).at(1).sizes().vec(), {0, 3});
}},
{"select_rows_takes_the_listed_rows_of_every_group", [] {
  const Groups groups{counting({3, 2}), counting({3, 2, 2})};
  const auto selected = select_rows(groups, index_of({2, 0}));
  same(selected.at(0), tensor_of({4, 5, 0, 1}, {2, 2}));
  same(selected.at(1), tensor_of({8, 9, 10, 11, 0, 1, 2, 3}, {2, 2, 2}));
}},
{"select_rows_copies", [] {
  const Groups groups{counting({2, 2})};
  check::that(!select_rows(groups, index_of({0, 1})).at(0).is_alias_of(groups[0]));
}},
{"select_rows_of_an_empty_list_keeps_the_width", [] {
  check::equal(select_rows({counting({3, 2})}, index_of({})).at(0).sizes().vec(), {0, 2});
}},
};

}  // namespace
}  // namespace neml2_aoti_plugin
