#include "operators/opaque_pow.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/pow.h>
#include <c10/core/impl/LocalDispatchKeySet.h>
#include <torch/library.h>

#include <algorithm>
#include <mutex>

namespace neml2_aoti_plugin
{

namespace
{

at::Tensor opaque_pow(const at::Tensor & base, const at::Tensor & exponent)
{
  return at::pow(base, exponent);
}

/// Numbers that torch's kernel computes by vector instructions in one turn of its loop, on any
/// processor. It computes what is left over by scalar ones, which round differently.
constexpr std::int64_t turn = 32;

/// The same numbers, followed by ones up to whole turns; (n,).
at::Tensor padded(const at::Tensor & values, std::int64_t count)
{
  auto whole = at::empty({(count + turn - 1) / turn * turn}, values.options());
  auto * numbers = whole.mutable_data_ptr<double>();
  std::copy_n(values.const_data_ptr<double>(), count, numbers);
  std::fill(numbers + count, numbers + whole.numel(), 1.0);
  return whole;
}

/// Each number as if it stood alone, so that the answer for a row does not depend on where it is
/// among others.
at::Tensor pow_by_whole_turns(const at::Tensor & base, const at::Tensor & exponent)
{
  const auto count = base.numel();
  const bool has_one_exponent = exponent.numel() == 1;
  const auto powers = at::pow(padded(base, count),
                              has_one_exponent ? exponent.reshape({}) : padded(exponent, count));
  return powers.narrow(0, 0, count).view(base.sizes());
}

/// Graphs are run below autograd; whoever calls from above, such as a native model, gets what torch
/// would give.
at::Tensor opaque_pow_on_processor(const at::Tensor & base, const at::Tensor & exponent)
{
  const bool is_in_graph =
      c10::impl::tls_is_dispatch_key_excluded(c10::DispatchKey::ADInplaceOrView);
  const bool is_plain = base.scalar_type() == at::kDouble && base.is_contiguous() &&
                        exponent.scalar_type() == at::kDouble && exponent.is_contiguous() &&
                        base.dim() > 0 &&
                        (exponent.numel() == 1 || exponent.sizes() == base.sizes());
  return is_in_graph && is_plain ? pow_by_whole_turns(base, exponent) : at::pow(base, exponent);
}

/// A piece of a library of operators that is never destroyed: loaded graphs hold on to operators
/// until the process ends.
torch::Library & library(torch::Library::Kind kind, std::optional<c10::DispatchKey> key, int line)
{
  return *new torch::Library(kind, "neml2", key, __FILE__, static_cast<std::uint32_t>(line));
}

} // namespace

bool has_opaque_pow()
{
  return c10::Dispatcher::singleton().findSchema({"neml2::opaque_pow", ""}).has_value();
}

void define_opaque_pow()
{
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  if (has_opaque_pow())
    return;
  auto & fragment = library(torch::Library::FRAGMENT, std::nullopt, __LINE__);
  fragment.def("opaque_pow(Tensor base, Tensor exponent) -> Tensor");
  fragment.impl("opaque_pow",
                torch::dispatch(c10::DispatchKey::CompositeExplicitAutograd, opaque_pow));
}

void accelerate_opaque_pow()
{
  static std::once_flag done;
  std::call_once(done,
                 []
                 {
                   library(torch::Library::IMPL, c10::DispatchKey::CPU, __LINE__)
                       .impl("opaque_pow",
                             torch::CppFunction::makeFromUnboxedFunction(opaque_pow_on_processor));
                   library(torch::Library::IMPL, c10::DispatchKey::CUDA, __LINE__)
                       .impl("opaque_pow", torch::CppFunction::makeFromUnboxedFunction(opaque_pow));
                 });
}

} // namespace neml2_aoti_plugin
