#include "check.h"
#include "errors.h"
#include "model/inputs.h"
#include "solver/tensors.h"

namespace neml2_aoti_plugin {
namespace {

/// strain (2), temperature (), and slip on 3 sites; public names differ from authored ones.
ModelDescription description(bool with_parameter = false) {
  ModelDescription model;
  model.inputs = {{"E", "strain", {2}, std::nullopt},
                  {"T", "temperature", {}, Shape{}},
                  {"s", "slip", {}, Shape{3}}};
  if (with_parameter)
    model.parameters = {{"k", "stiffness", {}, {}, {1.0}, std::nullopt}};
  return model;
}

TensorMap given(const Shape& strain, const Shape& temperature, const Shape& slip) {
  return {{"strain", counting(strain)}, {"temperature", counting(temperature)}, {"slip", counting(slip)}};
}

struct Fixture {
  ModelDescription model = description();
  Inputs inputs{model, at::kDouble, at::Device("cpu")};
};

const check::Tests tests{
{"inputs_broadcast_their_batches", [] {
  const auto prepared = Fixture().inputs.prepare(given({2, 1, 2}, {3}, {3}), {});
  check::equal(prepared.batch, {2, 3});
  check::equal(prepared.rows, 6);
  same(prepared.state.at("E").data, tensor_of({0, 1, 0, 1, 0, 1, 2, 3, 2, 3, 2, 3}, {6, 2}));
  same(prepared.state.at("T").data, tensor_of({0, 1, 2, 0, 1, 2}, {6}));
  same(prepared.state.at("s").data, counting({3}).expand({6, 3}));
}},
{"inputs_remember_the_batch_each_value_depends_on", [] {
  const auto prepared = Fixture().inputs.prepare(given({2, 1, 2}, {3}, {3}), {});
  check::equal(prepared.state.at("E").batch, {2, 1});
  check::equal(prepared.state.at("T").batch, {3});
  check::equal(prepared.state.at("s").batch, {});
}},
{"inputs_are_contiguous", [] {
  const auto prepared = Fixture().inputs.prepare(given({2, 1, 2}, {3}, {3}), {});
  for (const auto& [name, value] : prepared.state)
    check::that(value.data.is_contiguous());
}},
{"inputs_without_batch_have_one_row", [] {
  const auto prepared = Fixture().inputs.prepare(given({2}, {}, {3}), {});
  check::equal(prepared.batch, {});
  check::equal(prepared.rows, 1);
  check::equal(prepared.state.at("T").data.sizes().vec(), {1});
}},
{"inputs_with_an_empty_batch_have_no_rows", [] {
  const auto prepared = Fixture().inputs.prepare(given({0, 2}, {1}, {3}), {});
  check::equal(prepared.rows, 0);
  check::equal(prepared.state.at("s").data.sizes().vec(), {0, 3});
}},
{"inputs_of_float32_models_are_widened", [] {
  const auto model = description();
  auto tensors = given({4, 2}, {}, {3});
  for (auto& [name, tensor] : tensors)
    tensor = tensor.to(at::kFloat);
  const auto prepared = Inputs(model, at::kFloat, at::Device("cpu")).prepare(tensors, {});
  same(prepared.state.at("E").data, counting({4, 2}));
}},
{"inputs_of_another_batch_than_the_fixed_one_are_refused", [] {
  auto model = description();
  model.fixed_batch = FixedBatch{std::nullopt, 3};
  const Inputs inputs(model, at::kDouble, at::Device("cpu"));
  check::equal(inputs.prepare(given({2, 3, 2}, {3}, {3}), {}).rows, 6);
  check::equal(inputs.prepare(given({3, 2}, {}, {3}), {}).rows, 3);
  check::throws<InputError>([&] { inputs.prepare(given({6, 2}, {}, {3}), {}); },
                            "the inputs have batch shape (6,), but the artifact was compiled for the batch shape "
                            "(any, 3) alone. Call it with that batch, or recompile it without --no-dynamic-batch "
                            "and with an --example-batch-shape of one axis.");
}},
{"inputs_do_not_keep_gradients", [] {
  auto tensors = given({2}, {}, {3});
  tensors.at("strain").requires_grad_(true);
  check::that(!Fixture().inputs.prepare(tensors, {}).state.at("E").data.requires_grad());
}},
{"parameters_take_part_in_the_common_batch", [] {
  const auto model = description(true);
  const Inputs inputs(model, at::kDouble, at::Device("cpu"));
  const auto prepared = inputs.prepare(given({2}, {}, {3}), {{"k", {counting({5}), {5}}}});
  check::equal(prepared.batch, {5});
  check::equal(prepared.state.at("E").data.sizes().vec(), {5, 2});
}},
{"inputs_name_the_one_that_is_missing_and_all_that_are_known", [] {
  auto tensors = given({2}, {}, {3});
  tensors.erase("temperature");
  check::throws<InputError>([&] { Fixture().inputs.prepare(tensors, {}); },
                            "input 'temperature' is missing; the model takes strain, temperature, slip");
}},
{"inputs_name_the_one_whose_batch_does_not_fit", [] {
  check::throws<InputError>([] { Fixture().inputs.prepare(given({2, 2}, {3}, {3}), {}); },
                            "input 'temperature' has batch shape (3,), which does not broadcast with the batch "
                            "shape (2,) of the tensors before it");
}},
{"inputs_name_the_parameter_whose_batch_does_not_fit", [] {
  const auto model = description(true);
  const Inputs inputs(model, at::kDouble, at::Device("cpu"));
  check::throws<InputError>(
      [&] { inputs.prepare(given({2, 2}, {}, {3}), {{"k", {counting({5}), {5}}}}); },
      "parameter 'stiffness' has batch shape (5,), which does not broadcast with the batch shape (2,) of the "
      "tensors before it");
}},
{"inputs_name_the_one_whose_shape_is_wrong", [] {
  check::throws<InputError>(
      [] { Fixture().inputs.prepare(given({2}, {}, {4}), {}); },
      "input 'slip' has shape (4,), expected (*batch, *sub_batch, *base) ending with (3,) "
      "(sub-batch (3,), base ()); base and sub-batch axes are never broadcast");
}},
{"inputs_name_the_one_whose_dtype_is_wrong", [] {
  auto tensors = given({2}, {}, {3});
  tensors.at("slip") = tensors.at("slip").to(at::kLong);
  check::throws<InputTypeError>([&] { Fixture().inputs.prepare(tensors, {}); },
                                "input 'slip' has dtype int64, but the artifact takes float64; "
                                "convert it with .to(torch.float64)");
}},

{"tangents_become_one_column_per_row", [] {
  const auto columns = Fixture().inputs.prepare_tangents({{"strain", counting({2})}}, {2, 3}, 6);
  check::equal(columns.size(), std::size_t{1});
  same(columns.at("E"), counting({2}).reshape({1, 2, 1}).expand({6, 2, 1}));
}},
{"tangents_of_sub_batched_inputs_hold_all_sites", [] {
  const auto columns = Fixture().inputs.prepare_tangents({{"slip", counting({2, 3})}}, {2}, 2);
  same(columns.at("s"), counting({2, 3, 1}));
}},
{"tangents_may_be_left_out", [] {
  check::that(Fixture().inputs.prepare_tangents({}, {2}, 2).empty());
}},
{"tangents_of_unknown_inputs_are_refused", [] {
  check::throws<InputError>([] { Fixture().inputs.prepare_tangents({{"stress", counting({2})}}, {}, 1); },
                            "tangent 'stress' is not of an input; the model takes strain, temperature, slip");
}},
{"tangents_do_not_widen_the_batch", [] {
  check::throws<InputError>(
      [] { Fixture().inputs.prepare_tangents({{"strain", counting({5, 2})}}, {}, 1); },
      "tangent 'strain' has batch shape (5,), which does not broadcast to the batch shape () of the inputs");
}},
};

}  // namespace
}  // namespace neml2_aoti_plugin
