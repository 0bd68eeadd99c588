#include <ATen/ops/empty.h>

#include "check.h"
#include "errors.h"
#include "model/tensor_checks.h"
#include "solver/tensors.h"

namespace neml2_aoti_plugin {
namespace {

void check_input(const at::Tensor& tensor, const char* device = "cpu") {
  check_kind("input 'strain'", tensor, at::kDouble, at::Device(device));
}

const check::Tests tests{
{"check_kind_accepts_a_plain_tensor", [] {
  check_input(counting({2, 6}));
  check_input(counting({0, 6}));
  check_input(counting({2, 6}).t());
}},
{"check_kind_accepts_any_index_where_none_is_pinned", [] { check_input(counting({2}), "cpu"); }},
{"check_kind_names_both_dtypes", [] {
  check::throws<InputTypeError>([] { check_input(counting({2}).to(at::kFloat)); },
                                "input 'strain' has dtype float32, but the artifact takes float64; "
                                "convert it with .to(torch.float64)");
}},
{"check_kind_names_both_devices", [] {
  check::throws<InputTypeError>(
      [] { check_input(counting({2}), "cuda:1"); },
      "input 'strain' is on device cpu, but the artifact was compiled for cuda:1; "
      "move it with .to('cuda:1'), or load the cpu leaf of the artifact");
}},
{"check_kind_refuses_an_undefined_tensor", [] {
  check::throws<InputTypeError>([] { check_input({}); },
                                "input 'strain' is an undefined tensor; pass a dense float64 tensor");
}},
{"check_kind_refuses_a_sparse_tensor", [] {
  check::throws<InputTypeError>([] { check_input(counting({2, 2}).to_sparse()); },
                                "input 'strain' is not a dense tensor; pass one (for example with .to_dense())");
}},
{"check_kind_refuses_a_meta_tensor", [] {
  check::throws<InputTypeError>(
      [] { check_input(at::empty({2}, at::TensorOptions().dtype(at::kDouble).device(at::kMeta))); },
      "input 'strain' holds no data of its own (a meta, fake, nested or wrapped tensor, or one inside a "
      "torch.func transform); pass a plain dense tensor");
}},
{"check_kind_refuses_a_storage_that_is_too_small", [] {
  const auto tensor = counting({4});
  tensor.storage().unsafeGetStorageImpl()->set_nbytes(8);
  check::throws<InputTypeError>(
      [&] { check_input(tensor); },
      "input 'strain' holds no data of its own (a meta, fake, nested or wrapped tensor, or one inside a "
      "torch.func transform); pass a plain dense tensor");
}},

{"leading_batch_is_what_precedes_sub_batch_and_base", [] {
  check::equal(leading_batch("input 'a'", counting({5, 2, 4, 3}), {4}, {3}), {5, 2});
  check::equal(leading_batch("input 'a'", counting({3}), {}, {3}), {});
  check::equal(leading_batch("input 'a'", counting({7}), {}, {}), {7});
}},
{"leading_batch_names_found_and_expected_shape", [] {
  check::throws<InputError>([] { leading_batch("input 'a'", counting({2, 5}), {}, {6}); },
                            "input 'a' has shape (2, 5), expected (*batch, *base) ending with (6,); "
                            "base and sub-batch axes are never broadcast");
}},
{"leading_batch_names_the_sub_batch", [] {
  check::throws<InputError>(
      [] { leading_batch("input 'a'", counting({5, 3}), {4}, {3}); },
      "input 'a' has shape (5, 3), expected (*batch, *sub_batch, *base) ending with (4, 3) "
      "(sub-batch (4,), base (3,)); base and sub-batch axes are never broadcast");
}},
{"leading_batch_does_not_broadcast_the_base", [] {
  check::throws<InputError>([] { leading_batch("input 'a'", counting({2, 1}), {}, {6}); },
                            "input 'a' has shape (2, 1), expected (*batch, *base) ending with (6,); "
                            "base and sub-batch axes are never broadcast");
}},

{"parse_dtype_undoes_dtype_name", [] {
  for (const auto dtype : {at::kDouble, at::kFloat, at::kLong, at::kInt, at::kBool})
    check::equal(parse_dtype(dtype_name(dtype)), dtype);
}},
{"dtype_name_is_as_python_spells_it", [] {
  check::equal(dtype_name(at::kDouble), "float64");
  check::equal(dtype_name(at::kBool), "bool");
}},
{"dtype_name_falls_back_on_torch_for_others", [] { check::equal(dtype_name(at::kHalf), "Half"); }},
{"parse_dtype_refuses_an_unknown_name", [] {
  check::throws<ArtifactError>([] { parse_dtype("float16"); }, "unknown dtype 'float16'");
}},
};

}  // namespace
}  // namespace neml2_aoti_plugin
