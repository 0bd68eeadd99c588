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
  auto common = broadcast(batch, next);
  if (!common)
    throw InputError(what + " has batch shape " + to_string(next) +
                     ", which does not broadcast with the batch shape " + to_string(batch) +
                     " of the tensors before it");
  return *std::move(common);
}

std::string names_of(const std::vector<BoundaryVariable> & variables)
{
  std::string text;
  for (const auto & variable : variables)
    text += (text.empty() ? "" : ", ") + variable.public_name;
  return text;
}

std::string label_of(const std::string & kind, const std::string & public_name)
{
  return kind + " '" + public_name + "'";
}

/// Null where there is no such variable.
const BoundaryVariable * find(const std::vector<BoundaryVariable> & variables,
                              const std::string & public_name)
{
  const auto found =
      std::find_if(variables.begin(), variables.end(), [&](const BoundaryVariable & known)
                   { return known.public_name == public_name; });
  return found == variables.end() ? nullptr : &*found;
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
    : variables_(model.inputs), outputs_(model.outputs), parameters_(model.parameters),
      fixed_batch_(model.fixed_batch), dtype_(dtype), device_(device)
{
  for (const auto & variable : variables_)
    labels_.push_back(label_of("input", variable.public_name));
  for (const auto & parameter : parameters_)
    parameter_labels_.push_back(label_of("parameter", parameter.public_name));
}

Inputs::Checked Inputs::check(const BoundaryVariable & variable, const std::string & what,
                              const at::Tensor & tensor) const
{
  check_kind(what, tensor, dtype_, device_);
  const auto sub = variable.sub_batch_shape.value_or(Shape{});
  return {tensor.requires_grad() ? tensor.detach() : tensor,
          leading_batch(what, tensor, sub, variable.base_shape)};
}

std::vector<Inputs::Checked> Inputs::check_all(const TensorMap & given) const
{
  std::vector<Checked> checked;
  checked.reserve(variables_.size());
  for (std::size_t k = 0; k < variables_.size(); ++k)
  {
    const auto found = given.find(variables_[k].public_name);
    if (found == given.end())
      throw InputError(labels_[k] + " is missing; the model takes " + names_of(variables_));
    checked.push_back(check(variables_[k], labels_[k], found->second));
  }
  return checked;
}

at::Tensor Inputs::to_rows(const Checked & checked, const Shape & batch, std::int64_t rows) const
{
  const auto & data = checked.data;
  if (batch.size() == 1 && checked.batch == batch && data.scalar_type() == at::kDouble &&
      data.is_contiguous() && !data.is_neg())
    return data; // as it is: most calls are like this
  const Shape shape = data.sizes().vec();
  const Shape tail(shape.begin() + static_cast<std::ptrdiff_t>(checked.batch.size()), shape.end());
  return data.resolve_neg()
      .expand(concatenate(batch, tail))
      .reshape(concatenate({rows}, tail))
      .to(at::kDouble)
      .contiguous();
}

PreparedInputs Inputs::prepare(const TensorMap & given, const ParameterValues & parameters) const
{
  auto checked = check_all(given);
  Shape batch;
  for (std::size_t k = 0; k < checked.size(); ++k)
    batch = common_batch(batch, checked[k].batch, labels_[k]);
  for (std::size_t k = 0; k < parameters_.size(); ++k)
    batch = common_batch(batch, parameters.at(parameters_[k].name).batch, parameter_labels_[k]);

  if (fixed_batch_)
    check_fixed_batch(*fixed_batch_, batch);
  const auto rows = element_count(batch);
  State state;
  for (std::size_t k = 0; k < checked.size(); ++k)
  {
    auto data = to_rows(checked[k], batch, rows);
    state[variables_[k].name] = {std::move(data), std::move(checked[k].batch)};
  }
  return {std::move(batch), rows, std::move(state)};
}

/// A tensor like `variable` whose batch broadcasts to that of the inputs, at (rows, *sub, *base).
at::Tensor Inputs::prepare_direction(const std::string & kind, const BoundaryVariable & variable,
                                     const at::Tensor & tensor, const Shape & batch,
                                     std::int64_t rows) const
{
  const auto what = label_of(kind, variable.public_name);
  const auto checked = check(variable, what, tensor);
  if (broadcast(batch, checked.batch) != batch)
    throw InputError(what + " has batch shape " + to_string(checked.batch) +
                     ", which does not broadcast to the batch shape " + to_string(batch) +
                     " of the inputs");
  return to_rows(checked, batch, rows);
}

std::unordered_map<std::string, at::Tensor>
Inputs::prepare_tangents(const TensorMap & given, const Shape & batch, std::int64_t rows) const
{
  std::unordered_map<std::string, at::Tensor> columns;
  for (const auto & [name, tensor] : given)
  {
    const auto * variable = find(variables_, name);
    if (!variable)
      throw InputError("tangent '" + name + "' is not of an input; the model takes " +
                       names_of(variables_));
    columns[variable->name] =
        prepare_direction("tangent", *variable, tensor, batch, rows)
            .reshape({rows,
                      element_count(variable->base_shape) *
                          element_count(variable->sub_batch_shape.value_or(Shape{})),
                      1});
  }
  return columns;
}

std::unordered_map<std::string, at::Tensor>
Inputs::prepare_cotangents(const TensorMap & given, const SubBatchOf & sub_batch_of,
                           const Shape & batch, std::int64_t rows) const
{
  std::unordered_map<std::string, at::Tensor> prepared;
  for (const auto & [name, tensor] : given)
  {
    const auto * output = find(outputs_, name);
    if (!output)
      throw InputError("cotangent '" + name + "' is not of an output; the model returns " +
                       names_of(outputs_));
    auto variable = *output;
    variable.sub_batch_shape = sub_batch_of(output->name);
    prepared[output->name] = prepare_direction("cotangent", variable, tensor, batch, rows);
  }
  return prepared;
}

} // namespace neml2_aoti_plugin
