// The operations of a model: dictionaries in and out, the interpreter lock released while graphs
// run.
#include <torch/csrc/autograd/python_variable.h>
#include <torch/csrc/utils/pybind.h>

#include <algorithm>

#include "bindings/bindings.h"
#include "errors.h"
#include "model/model.h"

namespace py = pybind11;
using namespace py::literals;

namespace neml2_aoti_plugin
{

namespace
{

at::Tensor to_tensor(const py::handle & value, const std::string & what)
{
  if (!THPVariable_Check(value.ptr()))
    throw InputTypeError(what + " is of type " +
                         std::string(py::str(py::type::of(value).attr("__name__"))) +
                         ", expected torch.Tensor");
  return THPVariable_Unpack(value.ptr());
}

py::dict to_entries(const py::object & mapping, const std::string & kind)
{
  if (!py::isinstance<py::dict>(mapping) &&
      !py::isinstance(mapping, py::module_::import("collections.abc").attr("Mapping")))
    throw InputTypeError(kind + "s must be a mapping from name to tensor, got " +
                         std::string(py::str(py::type::of(mapping).attr("__name__"))));
  return py::dict(mapping);
}

/// The inputs of the model among the entries; callers may pass a larger state.
TensorMap to_inputs(const Model & model, const py::object & mapping)
{
  const auto entries = to_entries(mapping, "input");
  TensorMap tensors;
  for (const auto & variable : model.description().inputs)
  {
    const py::str name(variable.public_name);
    if (entries.contains(name))
      tensors[variable.public_name] =
          to_tensor(entries[name], "input '" + variable.public_name + "'");
  }
  return tensors;
}

/// All entries: a tangent of something else than an input is a mistake.
TensorMap to_tangents(const py::object & mapping)
{
  TensorMap tensors;
  for (const auto & item : to_entries(mapping, "tangent"))
  {
    if (!py::isinstance<py::str>(item.first))
      throw InputTypeError("the names of tangents must be str, got " +
                           std::string(py::repr(item.first)));
    const auto name =
        std::string(py::str(item.first.attr("encode")("utf-8", "replace").attr("decode")("utf-8")));
    tensors[name] = to_tensor(item.second, "tangent '" + name + "'");
  }
  return tensors;
}

py::dict to_dict(const NamedTensors & tensors)
{
  py::dict result;
  for (const auto & [name, tensor] : tensors)
    result[py::str(name)] = tensor;
  return result;
}

py::dict to_dict(const NamedBlocks & blocks)
{
  py::dict result;
  for (const auto & [name, row] : blocks)
    result[py::str(name)] = to_dict(row);
  return result;
}

py::dict forward(const Model & model, const py::object & inputs)
{
  const auto tensors = to_inputs(model, inputs);
  const auto outputs = [&]
  {
    const py::gil_scoped_release unlocked;
    return model.forward(tensors);
  }();
  return to_dict(outputs);
}

py::dict forward_natural(const Model & model, const py::object & inputs)
{
  const auto tensors = to_inputs(model, inputs);
  const auto outputs = [&]
  {
    const py::gil_scoped_release unlocked;
    return model.forward_natural(tensors);
  }();
  return to_dict(outputs);
}

py::tuple jvp(const Model & model, const py::object & inputs, const py::object & tangents)
{
  const auto tensors = to_inputs(model, inputs);
  const auto directions = to_tangents(tangents);
  const auto [outputs, derivatives] = [&]
  {
    const py::gil_scoped_release unlocked;
    return model.jvp(tensors, directions);
  }();
  return py::make_tuple(to_dict(outputs), to_dict(derivatives));
}

py::tuple jacobian(const Model & model, const py::object & inputs)
{
  const auto tensors = to_inputs(model, inputs);
  const auto [outputs, blocks] = [&]
  {
    const py::gil_scoped_release unlocked;
    return model.jacobian(tensors);
  }();
  return py::make_tuple(to_dict(outputs), to_dict(blocks));
}

py::list names(const std::vector<BoundaryVariable> & variables)
{
  py::list result;
  for (const auto & variable : variables)
    result.append(variable.public_name);
  return result;
}

py::list base_shapes(const std::vector<BoundaryVariable> & variables)
{
  py::list result;
  for (const auto & variable : variables)
    result.append(py::cast(variable.base_shape));
  return result;
}

py::dict parameter_base_shapes(const Model & model)
{
  py::dict result;
  for (const auto & [name, shape] : model.parameters().base_shapes())
    result[py::str(name)] = py::cast(shape);
  return result;
}

void set_parameter(Model & model, const std::string & name, const py::object & value)
{
  model.parameters().set(name, to_tensor(value, "parameter '" + name + "'"));
}

py::object dtype(const Model & model)
{
  return py::module_::import("torch").attr(model.dtype() == at::kFloat ? "float32" : "float64");
}

} // namespace

void bind_model(py::module_ & module)
{
  py::class_<Model>(module, "Model")
      .def(py::init<ModelDescription>(), "description"_a)
      .def_property_readonly("device", &Model::device)
      .def_property_readonly("dtype", &dtype)
      .def_property_readonly("input_names",
                             [](const Model & model) { return names(model.description().inputs); })
      .def_property_readonly("output_names",
                             [](const Model & model) { return names(model.description().outputs); })
      .def_property_readonly("input_base_shapes", [](const Model & model)
                             { return base_shapes(model.description().inputs); })
      .def_property_readonly("output_base_shapes", [](const Model & model)
                             { return base_shapes(model.description().outputs); })
      .def_property_readonly("parameter_base_shapes", &parameter_base_shapes)
      .def("forward", &forward, "inputs"_a)
      .def("forward_natural", &forward_natural, "inputs"_a)
      .def("jvp", &jvp, "inputs"_a, "tangents"_a)
      .def("jacobian", &jacobian, "inputs"_a)
      .def("named_parameters",
           [](const Model & model) { return to_dict(model.parameters().slots()); })
      .def("set_parameter", &set_parameter, "name"_a, "value"_a)
      .def("set_newton", &Model::set_newton, "settings"_a);
}

} // namespace neml2_aoti_plugin
