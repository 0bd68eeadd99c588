#include "model/parameters.h"

#include <ATen/ops/tensor.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>

#include "errors.h"
#include "layout/shapes.h"
#include "model/tensor_checks.h"

namespace neml2_aoti_plugin
{

namespace
{

at::Tensor initial_value(const ParameterDescription & description,
                         const at::TensorOptions & options)
{
  const auto dtype = description.dtype ? parse_dtype(*description.dtype)
                                       : c10::typeMetaToScalarType(options.dtype());
  return at::tensor(description.values, at::kDouble)
      .reshape(description.shape)
      .to(options.dtype(dtype))
      .clone();
}

std::string known_names(const std::vector<std::pair<std::string, at::Tensor>> & slots)
{
  std::string text;
  for (const auto & [name, slot] : slots)
    text += (text.empty() ? "" : ", ") + name;
  return text.empty() ? "none (compile with neml2-compile --parameter NAME to promote one)" : text;
}

} // namespace

Parameters::Parameters(const std::vector<ParameterDescription> & descriptions,
                       const at::TensorOptions & options)
{
  const c10::InferenceMode ordinary_tensors(false); // callers may write to slots outside that mode
  for (const auto & description : descriptions)
  {
    const auto slot = initial_value(description, options);
    entries_.push_back({description, slot, slot.scalar_type(), options.device()});
  }
}

std::vector<std::pair<std::string, at::Tensor>> Parameters::slots() const
{
  std::vector<std::pair<std::string, at::Tensor>> named;
  named.reserve(entries_.size());
  const std::lock_guard lock(mutex_);
  for (const auto & entry : entries_)
    named.emplace_back(entry.description.public_name, entry.slot);
  return named;
}

bool Parameters::any(const std::function<bool(const at::Tensor & slot)> & is_so) const
{
  const std::lock_guard lock(mutex_);
  return std::any_of(entries_.begin(), entries_.end(),
                     [&](const Entry & entry) { return is_so(entry.slot); });
}

std::vector<std::pair<std::string, Shape>> Parameters::base_shapes() const
{
  std::vector<std::pair<std::string, Shape>> named;
  for (const auto & entry : entries_)
    named.emplace_back(entry.description.public_name, entry.description.base_shape);
  return named;
}

/// Returns the batch of the value.
Shape Parameters::check(const Entry & entry, const at::Tensor & value) const
{
  const auto what = "parameter '" + entry.description.public_name + "'";
  check_kind(what, value, entry.dtype, entry.device);
  return leading_batch(what, value, {}, entry.description.base_shape);
}

void Parameters::require_known(const std::string & public_name) const
{
  for (const auto & entry : entries_)
    if (entry.description.public_name == public_name)
      return;
  throw InputError("no promoted parameter '" + public_name +
                   "'; this artifact has: " + known_names(slots()));
}

void Parameters::set(const std::string & public_name, const at::Tensor & value)
{
  require_known(public_name);
  for (auto & entry : entries_)
  {
    if (entry.description.public_name != public_name)
      continue;
    check(entry, value);
    const c10::InferenceMode ordinary_tensors(false);
    auto slot = (value.requires_grad() ? value : value.detach()).contiguous();
    const std::lock_guard lock(mutex_);
    std::swap(entry.slot, slot);
    return;
  }
}

ParameterValues Parameters::values(const TensorMap & overrides) const
{
  for (const auto & [name, value] : overrides)
    require_known(name);
  const auto present = slots();
  ParameterValues values;
  for (std::size_t k = 0; k < entries_.size(); ++k)
  {
    const auto & entry = entries_[k];
    const auto override_of = overrides.find(entry.description.public_name);
    const auto & value = override_of == overrides.end() ? present[k].second : override_of->second;
    const auto batch = check(entry, value);
    const auto dtype = at::isFloatingType(entry.dtype) ? at::kDouble : entry.dtype;
    const auto copy = value.detach().resolve_neg().to(dtype, /*non_blocking=*/false, /*copy=*/true);
    values[entry.description.name] = {copy.contiguous(), batch};
  }
  return values;
}

} // namespace neml2_aoti_plugin
