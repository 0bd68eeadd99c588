#include <ATen/ops/full.h>

#include <thread>

#include "check.h"
#include "errors.h"
#include "model/parameters.h"
#include "solver/tensors.h"

namespace neml2_aoti_plugin {
namespace {

Parameters two_parameters(at::ScalarType dtype = at::kDouble) {
  return {{{"E_", "E", {}, {}, {200.0}, std::nullopt}, {"n_", "n", {2}, {2}, {1, 2}, "int64"}},
          at::TensorOptions().dtype(dtype).device(at::kCPU)};
}

const check::Tests tests{
{"parameters_start_at_the_recorded_values", [] {
  const auto parameters = two_parameters();
  const auto values = parameters.values();
  same(values.at("E_").data, tensor_of({200}, {}));
  same(values.at("n_").data, index_of({1, 2}));
  check::equal(values.at("E_").batch, {});
}},
{"parameters_list_public_names_in_order", [] {
  const auto slots = two_parameters().slots();
  check::equal(slots.at(0).first, "E");
  check::equal(slots.at(1).first, "n");
  check::equal(two_parameters().base_shapes().at(1).second, {2});
}},
{"parameters_of_float32_models_are_stored_as_such_and_widened_for_graphs", [] {
  const auto parameters = two_parameters(at::kFloat);
  check::equal(parameters.slots().at(0).second.scalar_type(), at::kFloat);
  check::equal(parameters.values().at("E_").data.scalar_type(), at::kDouble);
  check::equal(parameters.values().at("n_").data.scalar_type(), at::kLong);
}},
{"parameters_written_in_place_are_seen", [] {
  const auto parameters = two_parameters();
  parameters.slots().at(0).second.fill_(300.0);
  same(parameters.values().at("E_").data, tensor_of({300}, {}));
}},
{"parameters_set_may_have_a_batch", [] {
  auto parameters = two_parameters();
  parameters.set("E", counting({4}));
  check::equal(parameters.values().at("E_").batch, {4});
  same(parameters.slots().at(0).second, counting({4}));
}},
{"parameters_set_does_not_change_values_taken_before", [] {
  auto parameters = two_parameters();
  const auto before = parameters.values();
  parameters.set("E", tensor_of({1}, {}));
  same(before.at("E_").data, tensor_of({200}, {}));
}},
{"parameters_refused_leave_the_slot_alone", [] {
  auto parameters = two_parameters();
  check::throws<InputTypeError>([&] { parameters.set("E", tensor_of({1}, {}).to(at::kFloat)); },
                                "parameter 'E' has dtype float32, but the artifact takes float64; "
                                "convert it with .to(torch.float64)");
  check::throws<InputError>([&] { parameters.set("n", index_of({1, 2, 3})); },
                            "parameter 'n' has shape (3,), expected (*batch, *base) ending with (2,); "
                            "base and sub-batch axes are never broadcast");
  same(parameters.values().at("E_").data, tensor_of({200}, {}));
  same(parameters.values().at("n_").data, index_of({1, 2}));
}},
{"parameters_unknown_are_refused_with_the_known_names", [] {
  auto parameters = two_parameters();
  check::throws<InputError>([&] { parameters.set("nu", tensor_of({1}, {})); },
                            "no promoted parameter 'nu'; this artifact has: E, n");
}},
{"parameters_of_an_artifact_without_any_say_how_to_promote", [] {
  Parameters none({}, at::TensorOptions().dtype(at::kDouble));
  check::throws<InputError>([&] { none.set("E", tensor_of({1}, {})); },
                            "no promoted parameter 'E'; this artifact has: none (compile with "
                            "neml2-compile --parameter NAME to promote one)");
}},
{"parameters_damaged_in_place_are_refused_when_read", [] {
  const auto parameters = two_parameters();
  parameters.slots().at(1).second.unsafeGetTensorImpl()->set_sizes_contiguous({1});
  check::throws<InputError>([&] { parameters.values(); },
                            "parameter 'n' has shape (1,), expected (*batch, *base) ending with (2,); "
                            "base and sub-batch axes are never broadcast");
}},
{"parameters_are_read_whole_while_others_set_them", [] {
  auto parameters = two_parameters();
  parameters.set("E", at::full({3}, 1.0, at::kDouble));
  std::thread writer([&] {
    for (int k = 0; k < 500; ++k)
      parameters.set("E", at::full({k % 2 ? 3 : 5}, k % 2 ? 1.0 : 2.0, at::kDouble));
  });
  bool are_whole = true;
  for (int k = 0; k < 500; ++k) {
    const auto value = parameters.values().at("E_");
    const bool is_three = value.batch == Shape{3};
    are_whole = are_whole && at::equal(value.data, at::full({is_three ? 3 : 5}, is_three ? 1.0 : 2.0, at::kDouble));
  }
  writer.join();
  check::that(are_whole);
}},
};

}  // namespace
}  // namespace neml2_aoti_plugin
