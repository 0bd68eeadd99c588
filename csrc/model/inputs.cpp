#include "model/inputs.h"

#include <ATen/core/Tensor.h>

#include <algorithm>

#include "errors.h"
#include "layout/shapes.h"
#include "model/tensor_checks.h"

namespace neml2_aoti_plugin
{

namespace
{

/// Widens `batch` by that of one more tensor, or says which one does not fit.
Shape common_batch(const Shape & batch, const Shape & next, const std::string & what)
{
  const auto common = broadcast(batch, next);
  if (!common)
    throw InputError(what + " has batch shape " + to_string(next) +
                     ", which does not broadcast with the batch shape " + to_string(batch) +
                     " of the tensors before it");
  return *common;
}

/// Graphs that were traced for one batch read past the end of any other.
void check_fixed_batch(const FixedBatch & fixed, const Shape & batch)
{
  Shape extents;
  std::string shown;
  for (const auto & extent : fixed)
  {
    if (extent)
      extents.push_back(*extent);
    shown += (shown.empty() ? "" : ", ") + (extent ? std::to_string(*extent) : "any");
  }
  const bool varies = extents.size() < fixed.size();
  const auto rows = element_count(batch);
  if (rows > 0 && ends_with(batch, extents) && (varies || rows == element_count(extents)))
    return;
  throw InputError("the inputs have batch shape " + to_string(batch) +
                   ", but the artifact was compiled for the batch shape (" + shown +
                   (fixed.size() == 1 ? ",)" : ")") +
                   " alone. Call it with that batch, or recompile it without "
                   "--no-dynamic-batch and with an --example-batch-shape of one axis.");
}

} // namespace

Inputs::Inputs(const ModelDescription & model, at::ScalarType dtype, at::Device device)
    : variables_(model.inputs), parameters_(model.parameters), fixed_batch_(model.fixed_batch),
      dtype_(dtype), device_(device)
{
}

std::string Inputs::known_names() const
{
  std::string text;
  for (const auto & variable : variables_)
    text += (text.empty() ? "" : ", ") + variable.public_name;
  return text;
}

Inputs::Checked Inputs::check(const BoundaryVariable & variable, const std::string & kind,
                              const at::Tensor & tensor) const
{
  const auto what = kind + " '" + variable.public_name + "'";
  check_kind(what, tensor, dtype_, device_);
  const auto sub = variable.sub_batch_shape.value_or(Shape{});
  return {tensor.detach(), leading_batch(what, tensor, sub, variable.base_shape)};
}

std::vector<Inputs::Checked> Inputs::check_all(const TensorMap & given) const
{
  std::vector<Checked> checked;
  for (const auto & variable : variables_)
  {
    const auto found = given.find(variable.public_name);
    if (found == given.end())
      throw InputError("input '" + variable.public_name + "' is missing; the model takes " +
                       known_names());
    checked.push_back(check(variable, "input", found->second));
  }
  return checked;
}

at::Tensor Inputs::to_rows(const Checked & checked, const Shape & batch, std::int64_t rows) const
{
  const Shape shape = checked.data.sizes().vec();
  const Shape tail(shape.begin() + static_cast<std::ptrdiff_t>(checked.batch.size()), shape.end());
  return checked.data.resolve_neg()
      .expand(concatenate(batch, tail))
      .reshape(concatenate({rows}, tail))
      .to(at::kDouble)
      .contiguous();
}

PreparedInputs Inputs::prepare(const TensorMap & given, const ParameterValues & parameters) const
{
  const auto checked = check_all(given);
  Shape batch;
  for (std::size_t k = 0; k < checked.size(); ++k)
    batch = common_batch(batch, checked[k].batch, "input '" + variables_[k].public_name + "'");
  for (const auto & parameter : parameters_)
    batch = common_batch(batch, parameters.at(parameter.name).batch,
                         "parameter '" + parameter.public_name + "'");

  if (fixed_batch_)
    check_fixed_batch(*fixed_batch_, batch);
  PreparedInputs prepared{batch, element_count(batch), {}};
  for (std::size_t k = 0; k < checked.size(); ++k)
    prepared.state[variables_[k].name] = {to_rows(checked[k], batch, prepared.rows),
                                          checked[k].batch};
  return prepared;
}

std::unordered_map<std::string, at::Tensor>
Inputs::prepare_tangents(const TensorMap & given, const Shape & batch, std::int64_t rows) const
{
  std::unordered_map<std::string, at::Tensor> columns;
  for (const auto & [name, tensor] : given)
  {
    const auto variable =
        std::find_if(variables_.begin(), variables_.end(),
                     [&](const BoundaryVariable & known) { return known.public_name == name; });
    if (variable == variables_.end())
      throw InputError("tangent '" + name + "' is not of an input; the model takes " +
                       known_names());
    const auto checked = check(*variable, "tangent", tensor);
    const auto common = broadcast(batch, checked.batch);
    if (common != batch)
      throw InputError("tangent '" + name + "' has batch shape " + to_string(checked.batch) +
                       ", which does not broadcast to the batch shape " + to_string(batch) +
                       " of the inputs");
    columns[variable->name] =
        to_rows(checked, batch, rows)
            .reshape({rows,
                      element_count(variable->base_shape) *
                          element_count(variable->sub_batch_shape.value_or(Shape{})),
                      1});
  }
  return columns;
}

} // namespace neml2_aoti_plugin
