// The promoted parameters of a model: slots that callers may write to, and the values one call
// sees.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <mutex>
#include <vector>

#include "description/variable.h"
#include "model/named_tensors.h"
#include "segments/state.h"

namespace neml2_aoti_plugin
{

class Parameters
{
public:
  Parameters(const std::vector<ParameterDescription> & descriptions,
             const at::TensorOptions & options);

  /// (public name, slot); the tensors share storage with the slots.
  std::vector<std::pair<std::string, at::Tensor>> slots() const;

  /// Whether any slot is so.
  bool any(const std::function<bool(const at::Tensor & slot)> & is_so) const;

  /// (public name, base shape).
  std::vector<std::pair<std::string, Shape>> base_shapes() const;

  /// The slot becomes `value`, which may have leading batch axes. Throws InputError or
  /// InputTypeError, nothing changed.
  void set(const std::string & public_name, const at::Tensor & value);

  /// Copies of the present values, or of those that override them, as graphs want them: floating
  /// ones in float64. Throws InputError or InputTypeError for an override that does not fit, and
  /// for a slot whose shape or dtype a caller has changed behind our back.
  ParameterValues values(const TensorMap & overrides = {}) const;

private:
  struct Entry
  {
    ParameterDescription description;
    at::Tensor slot;
    at::ScalarType dtype;
    at::Device device;
  };

  Shape check(const Entry & entry, const at::Tensor & value) const;
  void require_known(const std::string & public_name) const;

  std::vector<Entry> entries_;
  // Guards the slots, for no longer than a handle takes to copy: a tensor operation under a Python
  // dispatch mode needs the interpreter lock, which another thread may hold while it waits here.
  mutable std::mutex mutex_;
};

} // namespace neml2_aoti_plugin
