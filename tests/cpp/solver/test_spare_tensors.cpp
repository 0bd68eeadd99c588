#include <ATen/core/LegacyTypeDispatch.h>
#include <c10/core/InferenceMode.h>

#include <thread>

#include "check.h"
#include "graphs/spare_tensors.h"
#include "solver/tensors.h"

namespace neml2_aoti_plugin {
namespace {

using Owner = std::unique_ptr<at::Tensor>;

const void* memory_of(const Owner& tensor) { return tensor->data_ptr(); }

/// A tensor that `spare` has made and been given back; where its values were.
const void* given_back(SpareTensors& spare, at::IntArrayRef sizes, at::IntArrayRef strides) {
  auto tensor = spare.own(sizes, strides);
  const auto* memory = memory_of(tensor);
  spare.keep(std::move(tensor));
  return memory;
}

const check::Tests tests{
{"spare_tensors_have_the_shape_that_was_asked_for", [] {
  SpareTensors spare;
  for (int round = 0; round < 2; ++round) {
    auto tensor = spare.own({3, 2}, {1, 3});
    check::equal(tensor->sizes().vec(), {3, 2});
    check::equal(tensor->strides().vec(), {1, 3});
    check::equal(tensor->storage_offset(), std::int64_t{0});
    check::equal(tensor->storage().nbytes(), 6 * sizeof(double));
    check::that(tensor->dtype() == at::kDouble && tensor->is_cpu() && !tensor->requires_grad());
    same(tensor->fill_(2.0), at::full({3, 2}, 2.0, at::kDouble));
    spare.keep(std::move(tensor));
  }
}},
{"spare_tensors_are_used_again_for_whatever_fits", [] {
  SpareTensors spare;
  const auto* memory = given_back(spare, {100, 6}, {6, 1});
  auto other = spare.own({6, 99}, {99, 1});  // a row has left
  check::that(memory_of(other) == memory);
  check::equal(other->storage().nbytes(), 6 * 99 * sizeof(double));
  check::that(memory_of(spare.own({100, 6}, {6, 1})) != memory);  // that one is taken
}},
{"spare_tensors_of_no_elements_are_tensors", [] {
  SpareTensors spare;
  auto tensor = spare.own({0, 6}, {6, 1});
  check::equal(tensor->numel(), std::int64_t{0});
  spare.keep(std::move(tensor));
  check::equal(spare.own({}, {})->numel(), std::int64_t{1});
}},
{"spare_tensors_leave_what_somebody_holds", [] {
  SpareTensors spare;
  auto tensor = spare.own({64}, {1});
  const auto held = *tensor;
  held.fill_(1.0);
  spare.keep(std::move(tensor));
  spare.own({64}, {1})->fill_(2.0);
  same(held, at::ones({64}, at::kDouble));
}},
{"spare_tensors_leave_memory_that_a_view_holds", [] {
  SpareTensors spare;
  auto tensor = spare.own({8, 8}, {8, 1});
  const auto view = tensor->fill_(1.0).select(0, 3);
  spare.keep(std::move(tensor));
  spare.own({8, 8}, {8, 1})->fill_(2.0);
  same(view, at::ones({8}, at::kDouble));
}},
{"spare_tensors_leave_what_is_not_like_theirs", [] {
  SpareTensors spare;
  for (const auto& foreign : {at::ones({8}, at::kLong), at::ones({8}, at::kDouble).requires_grad_(true),
                              at::Tensor()})
    spare.keep(std::make_unique<at::Tensor>(foreign));
  const auto base = at::ones({8}, at::kDouble);
  check::that(!spare.view(base, {4}, {1}, 0));
  same(*spare.own({8}, {1}) = at::zeros({8}, at::kDouble), at::zeros({8}, at::kDouble));
}},
{"spare_tensors_never_hand_out_memory_of_others", [] {
  SpareTensors spare;
  std::vector<double> numbers(64, 1.0);  // as constants of a graph are: not to be let go of
  spare.keep(std::make_unique<at::Tensor>(at::from_blob(numbers.data(), {64}, at::kDouble)));
  auto next = spare.own({64}, {1});
  next->fill_(2.0);
  check::equal(numbers, std::vector<double>(64, 1.0));
}},
{"spare_views_are_in_the_memory_of_their_base", [] {
  const at::AutoDispatchBelowADInplaceOrView as_in_graphs;
  SpareTensors spare;
  const auto first = counting({4, 6}), second = counting({5, 6});
  spare.keep(std::make_unique<at::Tensor>(first.select(0, 1).view({6})));
  const auto view = spare.view(second, {2, 3}, {6, 2}, 7);
  check::that(view != nullptr);
  same(*view, second.as_strided({2, 3}, {6, 2}, 7));
  check::that(view->is_alias_of(second) && view->storage_offset() == 7);
  check::that(!spare.view(second, {1}, {1}, 0));  // there was one
}},
{"spare_views_hold_no_memory", [] {
  const at::AutoDispatchBelowADInplaceOrView as_in_graphs;
  SpareTensors spare;
  const auto base = counting({4, 6});
  const auto held = base.storage().use_count();
  auto view = std::make_unique<at::Tensor>(base.select(0, 1));
  check::that(base.storage().use_count() == held + 1);
  spare.keep(std::move(view));
  check::that(base.storage().use_count() == held);
  check::that(spare.view(base, {6}, {1}, 0) != nullptr);
}},
{"spare_tensors_are_bounded", [] {
  SpareTensors spare;
  check::that(!spare.own({(1 << 17) + 1}, {1}));  // more than a MiB
  std::vector<Owner> many;
  for (int k = 0; k < 40; ++k)
    many.push_back(spare.own({1 << 16}, {1}));  // half a MiB each
  std::vector<const void*> memory;
  for (auto& tensor : many) {
    memory.push_back(memory_of(tensor));
    spare.keep(std::move(tensor));
  }
  // Of the forty, 16 MiB were kept, and come back in turn: the last first.
  for (int k = 31; k >= 0; --k) {
    many[static_cast<std::size_t>(k)] = spare.own({1 << 16}, {1});
    check::that(memory_of(many[static_cast<std::size_t>(k)]) == memory[static_cast<std::size_t>(k)]);
  }
}},
{"spare_tensors_are_not_for_inference_mode", [] {
  SpareTensors spare;
  given_back(spare, {64}, {1});
  const c10::InferenceMode mode;
  check::that(!spare.own({64}, {1}));
  const auto base = at::ones({64}, at::kDouble);
  check::that(!spare.view(base, {8}, {1}, 0));
}},
{"spare_tensors_may_be_given_up_by_another_thread", [] {
  auto spare = std::make_unique<SpareTensors>();
  auto tensor = spare->own({64}, {1});
  std::thread([&] { SpareTensors().keep(std::move(tensor)); }).join();
  spare.reset();
  check::that(!tensor);
}},
};

}  // namespace
}  // namespace neml2_aoti_plugin
