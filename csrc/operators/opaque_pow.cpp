#include "operators/opaque_pow.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/pow.h>
#include <torch/library.h>

#include <mutex>

namespace neml2_aoti_plugin
{

namespace
{

at::Tensor opaque_pow(const at::Tensor & base, const at::Tensor & exponent)
{
  return at::pow(base, exponent);
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
  // Never destroyed: loaded graphs hold on to the operator until the process ends.
  static auto * library =
      new torch::Library(torch::Library::FRAGMENT, "neml2", std::nullopt, __FILE__, __LINE__);
  library->def("opaque_pow(Tensor base, Tensor exponent) -> Tensor");
  library->impl("opaque_pow",
                torch::dispatch(c10::DispatchKey::CompositeExplicitAutograd, opaque_pow));
}

} // namespace neml2_aoti_plugin
