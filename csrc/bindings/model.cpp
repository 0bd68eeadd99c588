// The operations of a model: dictionaries in and out, the interpreter lock released while graphs
// run.
#include <c10/core/AutogradState.h>
#include <torch/csrc/autograd/python_variable.h>
#include <torch/csrc/utils/pybind.h>

#include <algorithm>
#include <chrono>

#include "bindings/bindings.h"
#include "bindings/in_flight.h"
#include "bindings/observed_model.h"
#include "errors.h"
#include "numerics/convergence_error.h"

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
TensorMap to_inputs(const ObservedModel & model, const py::object & mapping)
{
  const auto entries = to_entries(mapping, "input");
  TensorMap tensors;
  for (const auto & [key, name] : model.input_keys())
  {
    auto * value = PyDict_GetItemWithError(entries.ptr(), key.ptr());
    if (!value && PyErr_Occurred())
      throw py::error_already_set();
    if (value && THPVariable_Check(value))
      tensors[name] = THPVariable_Unpack(value);
    else if (value)
      tensors[name] = to_tensor(value, "input '" + name + "'");
  }
  return tensors;
}

/// All entries: a tangent or the like of something else than the model has is a mistake.
TensorMap to_tensors(const py::object & mapping, const std::string & kind)
{
  TensorMap tensors;
  for (const auto & item : to_entries(mapping, kind))
  {
    if (!py::isinstance<py::str>(item.first))
      throw InputTypeError("the names of " + kind + "s must be str, got " +
                           std::string(py::repr(item.first)));
    const auto name =
        std::string(py::str(item.first.attr("encode")("utf-8", "replace").attr("decode")("utf-8")));
    tensors[name] = to_tensor(item.second, kind + " '" + name + "'");
  }
  return tensors;
}

Request to_request(const ObservedModel & model, const py::object & inputs,
                   const py::object & overrides)
{
  return {to_inputs(model, inputs),
          overrides.is_none() ? TensorMap{} : to_tensors(overrides, "parameter override")};
}

/// Outputs, whose names are at hand as Python has them.
py::dict to_outputs(const ObservedModel & model, const NamedTensors & tensors)
{
  py::dict result;
  for (std::size_t k = 0; k < tensors.size(); ++k)
    result[model.output_keys()[k]] = tensors[k].second;
  return result;
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

/// Whether what happens to the tensor is to be differentiated or transformed.
bool is_tracked(const at::Tensor & tensor)
{
  constexpr c10::DispatchKeySet transforms(
      {c10::DispatchKey::FuncTorchBatched, c10::DispatchKey::FuncTorchGradWrapper});
  if (tensor.key_set().has_any(transforms))
    return true;
  const auto & modes = c10::AutogradState::get_tls_state();
  return (modes.get_grad_mode() && tensor.requires_grad()) ||
         (modes.get_fw_grad_mode() && tensor._fw_grad(0).defined());
}

bool is_tracked(const ObservedModel & model, const Request & request)
{
  const auto any = [](const auto & named)
  {
    return std::any_of(named.begin(), named.end(),
                       [](const auto & entry) { return is_tracked(entry.second); });
  };
  return any(request.inputs) || any(request.parameter_overrides) ||
         model.parameters().any([](const at::Tensor & slot) { return is_tracked(slot); });
}

/// Lets Python handle signals, such as that of Ctrl-C, now and then. True if the handler raised,
/// and when Python exits.
bool is_to_end()
{
  if (is_to_stand_still())
    return true;
  using Clock = std::chrono::steady_clock;
  constexpr auto interval = std::chrono::milliseconds(50);
  thread_local Clock::time_point last;
  const auto now = Clock::now();
  if (now - last < interval)
    return false;
  last = now;
  const py::gil_scoped_acquire locked;
  return PyErr_CheckSignals() != 0;
}

/// Calls `operation` without the interpreter lock. Solves are recorded for the caller's list, also
/// those of a call that fails, and for the observer of the model.
template <typename Operation>
auto run(const ObservedModel & observed, Request & request, const py::object & solves,
         const Operation & operation)
{
  std::vector<SolveRecord> records;
  request.records = &records;
  request.is_interrupted = is_to_end;
  const auto report = [&]
  {
    if (!records.empty())
      observed.report(records, solves);
  };
  try
  {
    auto results = [&]
    {
      const CallInFlight in_flight;
      const py::gil_scoped_release unlocked;
      return operation();
    }();
    report();
    return results;
  }
  catch (const ConvergenceError &)
  {
    report();
    throw;
  }
  catch (const Interrupted &)
  {
    if (is_to_stand_still())
      stand_still();
    throw py::error_already_set(); // what the signal's handler raised
  }
}

template <NamedTensors (Model::*operation)(const Request &) const>
py::dict values(const ObservedModel & model, const py::object & inputs,
                const py::object & overrides, const py::object & solves)
{
  auto request = to_request(model, inputs, overrides);
  if (!model.differentiate().is_none() && is_tracked(model, request))
    return model.differentiate()(py::cast(model, py::return_value_policy::reference), inputs,
                                 overrides, solves);
  return to_outputs(model,
                    run(model, request, solves, [&] { return (model.*operation)(request); }));
}

template <typename Pair>
py::tuple to_tuple(const Pair & results)
{
  return py::make_tuple(to_dict(results.first), to_dict(results.second));
}

py::tuple jvp(const ObservedModel & model, const py::object & inputs, const py::object & tangents,
              const py::object & overrides, const py::object & solves)
{
  auto request = to_request(model, inputs, overrides);
  const auto directions = to_tensors(tangents, "tangent");
  return to_tuple(run(model, request, solves, [&] { return model.jvp(request, directions); }));
}

template <std::pair<NamedTensors, NamedBlocks> (Model::*operation)(const Request &) const>
py::tuple blocks(const ObservedModel & model, const py::object & inputs,
                 const py::object & overrides, const py::object & solves)
{
  auto request = to_request(model, inputs, overrides);
  return to_tuple(run(model, request, solves, [&] { return (model.*operation)(request); }));
}

py::dict param_vjp(const ObservedModel & model, const py::object & inputs,
                   const py::object & cotangents, const py::object & overrides,
                   const py::object & solves)
{
  auto request = to_request(model, inputs, overrides);
  const auto weights = to_tensors(cotangents, "cotangent");
  return to_dict(run(model, request, solves, [&] { return model.param_vjp(request, weights); }));
}

py::tuple record(const ObservedModel & model, const py::object & inputs,
                 const py::object & overrides, const py::object & solves)
{
  auto request = to_request(model, inputs, overrides);
  auto [outputs, recording] = run(model, request, solves, [&] { return model.record(request); });
  return py::make_tuple(to_dict(outputs), std::make_shared<Recording>(std::move(recording)));
}

py::tuple pull_back(const ObservedModel & model, const std::shared_ptr<Recording> & recording,
                    const py::object & cotangents, std::set<std::string> inputs,
                    std::set<std::string> parameters)
{
  const auto weights = to_tensors(cotangents, "cotangent");
  const Wanted wanted{std::move(inputs), std::move(parameters)};
  Request request;
  const auto gradients =
      run(model, request, py::none(), [&] { return model.pull_back(*recording, weights, wanted); });
  return py::make_tuple(to_dict(gradients.inputs), to_dict(gradients.parameters));
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

py::dict parameter_base_shapes(const ObservedModel & model)
{
  py::dict result;
  for (const auto & [name, shape] : model.parameters().base_shapes())
    result[py::str(name)] = py::cast(shape);
  return result;
}

void set_parameter(ObservedModel & model, const std::string & name, const py::object & value)
{
  model.parameters().set(name, to_tensor(value, "parameter '" + name + "'"));
}

py::object dtype(const ObservedModel & model)
{
  return py::module_::import("torch").attr(model.dtype() == at::kFloat ? "float32" : "float64");
}

} // namespace

void bind_model(py::module_ & module)
{
  const auto overrides = "param_overrides"_a = py::none();
  const auto solves = "solves"_a = py::none();
  py::class_<Recording, std::shared_ptr<Recording>>(module, "Recording");
  py::class_<ObservedModel>(module, "Model")
      .def(py::init<ModelDescription, py::object, py::object, py::object>(), "description"_a,
           "observer"_a, "unpack"_a = py::none(), "differentiate"_a = py::none())
      .def_property_readonly("device", [](const ObservedModel & model) { return model.device(); })
      .def_property_readonly("dtype", &dtype)
      .def_property_readonly("input_names", [](const ObservedModel & model)
                             { return names(model.description().inputs); })
      .def_property_readonly("output_names", [](const ObservedModel & model)
                             { return names(model.description().outputs); })
      .def_property_readonly("input_base_shapes", [](const ObservedModel & model)
                             { return base_shapes(model.description().inputs); })
      .def_property_readonly("output_base_shapes", [](const ObservedModel & model)
                             { return base_shapes(model.description().outputs); })
      .def_property_readonly("parameter_base_shapes", &parameter_base_shapes)
      .def("forward", &values<&Model::forward>, "inputs"_a, overrides, solves)
      .def("forward_natural", &values<&Model::forward_natural>, "inputs"_a, overrides, solves)
      .def("jvp", &jvp, "inputs"_a, "tangents"_a, overrides, solves)
      .def("jacobian", &blocks<&Model::jacobian>, "inputs"_a, overrides, solves)
      .def("param_jacobian", &blocks<&Model::param_jacobian>, "inputs"_a, overrides, solves)
      .def("param_vjp", &param_vjp, "inputs"_a, "cotangents"_a, overrides, solves)
      .def("record", &record, "inputs"_a, overrides, solves)
      .def("pull_back", &pull_back, "recording"_a, "cotangents"_a, "inputs"_a, "parameters"_a)
      .def("named_parameters",
           [](const ObservedModel & model) { return to_dict(model.parameters().slots()); })
      .def("set_parameter", &set_parameter, "name"_a, "value"_a)
      .def(
          "set_execution",
          [](ObservedModel & model, std::int64_t chunk_rows, std::int64_t threads,
             std::int64_t max_corrections)
          { model.set_execution({chunk_rows, threads, max_corrections}); },
          "chunk_rows"_a, "threads"_a, "max_corrections"_a)
      .def(
          "set_goes_on", [](ObservedModel & model, bool goes_on) { model.set_goes_on(goes_on); },
          "goes_on"_a)
      .def(
          "set_newton", [](ObservedModel & model, const NewtonSettings & settings)
          { model.set_newton(settings); }, "settings"_a);
}

} // namespace neml2_aoti_plugin
