// Constructors of the description structs, keyword by keyword as core_bridge.py fills them.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "bindings/bindings.h"
#include "description/model_description.h"

namespace py = pybind11;
using namespace py::literals;

namespace neml2_aoti_plugin
{

namespace
{

void bind_variables(py::module_ & module)
{
  py::class_<BoundaryVariable>(module, "BoundaryVariable")
      .def(py::init([](std::string name, std::string public_name, Shape base_shape,
                       std::optional<Shape> sub_batch_shape)
                    { return BoundaryVariable{name, public_name, base_shape, sub_batch_shape}; }),
           py::kw_only(), "name"_a, "public_name"_a, "base_shape"_a, "sub_batch_shape"_a);
  py::class_<ParameterDescription>(module, "Parameter")
      .def(py::init(
               [](std::string name, std::string public_name, Shape shape, Shape base_shape,
                  std::vector<double> values, std::optional<std::string> dtype)
               {
                 return ParameterDescription{name, public_name, shape, base_shape, values, dtype};
               }),
           py::kw_only(), "name"_a, "public_name"_a, "shape"_a, "base_shape"_a, "values"_a,
           "dtype"_a);
  py::class_<Slot>(module, "Slot")
      .def(py::init([](std::string name, Shape base_shape, Shape sub_batch_shape)
                    { return Slot{name, base_shape, sub_batch_shape}; }),
           py::kw_only(), "name"_a, "base_shape"_a, "sub_batch_shape"_a);
  py::enum_<Structure>(module, "Structure")
      .value("DENSE", Structure::Dense)
      .value("BLOCK", Structure::Block);
  py::class_<Group>(module, "Group")
      .def(py::init([](Structure structure, Shape sub_batch_shape, std::vector<Slot> slots)
                    { return Group{structure, sub_batch_shape, slots}; }),
           py::kw_only(), "structure"_a, "sub_batch_shape"_a, "slots"_a);
  py::class_<InputPair>(module, "InputPair")
      .def(py::init(
               [](std::string output, std::string input, Shape output_base_shape,
                  Shape input_base_shape, Shape input_sub_batch_shape, bool batch_independent)
               {
                 return InputPair{output,
                                  input,
                                  output_base_shape,
                                  input_base_shape,
                                  input_sub_batch_shape,
                                  batch_independent};
               }),
           py::kw_only(), "output"_a, "input"_a, "output_base_shape"_a, "input_base_shape"_a,
           "input_sub_batch_shape"_a, "batch_independent"_a);
}

void bind_settings(py::module_ & module)
{
  py::enum_<LineSearch>(module, "LineSearch")
      .value("BACKTRACKING", LineSearch::Backtracking)
      .value("STRONG_WOLFE", LineSearch::StrongWolfe);
  py::class_<NewtonSettings>(module, "NewtonSettings")
      .def(py::init(
               [](double absolute_tolerance, double relative_tolerance, std::int64_t max_iterations,
                  LineSearch line_search, std::int64_t line_search_max_iterations,
                  double line_search_cutback, double line_search_constant)
               {
                 return NewtonSettings{
                     absolute_tolerance,  relative_tolerance,         max_iterations,
                     line_search,         line_search_max_iterations, line_search_cutback,
                     line_search_constant};
               }),
           py::kw_only(), "absolute_tolerance"_a, "relative_tolerance"_a, "max_iterations"_a,
           "line_search"_a, "line_search_max_iterations"_a, "line_search_cutback"_a,
           "line_search_constant"_a);
}

void bind_forward_segment(py::module_ & module)
{
  py::class_<InputDerivativeGraph>(module, "InputDerivativeGraph")
      .def(py::init([](std::string graph, std::vector<InputPair> pairs, bool stacked)
                    { return InputDerivativeGraph{graph, pairs, stacked}; }),
           py::kw_only(), "graph"_a, "pairs"_a, "stacked"_a);
  py::class_<ForwardSegmentDescription>(module, "ForwardSegment")
      .def(py::init(
               [](std::string label, std::string value, std::vector<std::string> inputs,
                  std::vector<std::string> outputs, std::vector<std::string> parameters,
                  std::optional<InputDerivativeGraph> input_derivatives, bool stored_parameters,
                  std::vector<std::size_t> argument_order, bool whole_batch)
               {
                 return ForwardSegmentDescription{label,
                                                  value,
                                                  inputs,
                                                  outputs,
                                                  parameters,
                                                  input_derivatives,
                                                  stored_parameters,
                                                  argument_order,
                                                  whole_batch};
               }),
           py::kw_only(), "label"_a, "value"_a, "inputs"_a, "outputs"_a, "parameters"_a,
           "input_derivatives"_a, "stored_parameters"_a, "argument_order"_a, "whole_batch"_a);
}

void bind_implicit_segment(py::module_ & module)
{
  py::class_<FusedDirection>(module, "FusedDirection")
      .def(py::init([](std::string step, bool returns_iterate)
                    { return FusedDirection{step, returns_iterate}; }),
           py::kw_only(), "step"_a, "returns_iterate"_a);
  py::class_<OperatorDirection>(module, "OperatorDirection")
      .def(py::init([](std::string jacobian, std::string solve)
                    { return OperatorDirection{jacobian, solve}; }),
           py::kw_only(), "jacobian"_a, "solve"_a);
  py::class_<FusedSensitivity>(module, "FusedSensitivity")
      .def(py::init([](std::string graph, std::vector<InputPair> pairs)
                    { return FusedSensitivity{graph, pairs}; }),
           py::kw_only(), "graph"_a, "pairs"_a);
  py::class_<OperatorSensitivity>(module, "OperatorSensitivity")
      .def(py::init([](std::string jacobian, std::string jacobian_given, std::string solve,
                       std::vector<InputPair> pairs)
                    { return OperatorSensitivity{jacobian, jacobian_given, solve, pairs}; }),
           py::kw_only(), "jacobian"_a, "jacobian_given"_a, "solve"_a, "pairs"_a);
  py::class_<Cell>(module, "Cell")
      .def(py::init([](Group rows, Group columns) { return Cell{rows, columns}; }), py::kw_only(),
           "rows"_a, "columns"_a);
  py::class_<CellSensitivity>(module, "CellSensitivity")
      .def(py::init([](std::string graph, std::vector<Cell> cells)
                    { return CellSensitivity{graph, cells}; }),
           py::kw_only(), "graph"_a, "cells"_a);
  py::class_<PredictorDescription>(module, "Predictor")
      .def(py::init([](std::string graph, std::vector<std::string> inputs,
                       std::vector<std::string> outputs)
                    { return PredictorDescription{graph, inputs, outputs}; }),
           py::kw_only(), "graph"_a, "inputs"_a, "outputs"_a);
  py::enum_<InitialGuess>(module, "InitialGuess")
      .value("ZERO", InitialGuess::Zero)
      .value("STATE", InitialGuess::State);
  py::class_<ImplicitSegmentDescription>(module, "ImplicitSegment")
      .def(py::init(
               [](std::string label, std::vector<Group> unknown_groups,
                  std::vector<Group> given_groups, std::vector<Group> residual_groups,
                  std::vector<std::string> parameters, std::string residual,
                  DirectionDescription direction, std::optional<SensitivityDescription> sensitivity,
                  std::optional<PredictorDescription> predictor, InitialGuess initial_guess,
                  NewtonSettings newton, bool whole_batch)
               {
                 return ImplicitSegmentDescription{label,           unknown_groups, given_groups,
                                                   residual_groups, parameters,     residual,
                                                   direction,       sensitivity,    predictor,
                                                   initial_guess,   newton,         whole_batch};
               }),
           py::kw_only(), "label"_a, "unknown_groups"_a, "given_groups"_a, "residual_groups"_a,
           "parameters"_a, "residual"_a, "direction"_a, "sensitivity"_a, "predictor"_a,
           "initial_guess"_a, "newton"_a, "whole_batch"_a);
}

void bind_model_description(py::module_ & module)
{
  py::class_<ModelDescription>(module, "ModelDescription")
      .def(py::init(
               [](std::string label, std::string device, std::string dtype,
                  std::vector<BoundaryVariable> inputs, std::vector<BoundaryVariable> outputs,
                  std::vector<ParameterDescription> parameters,
                  std::vector<std::pair<std::string, std::string>> derivatives,
                  std::vector<SegmentDescription> segments, std::optional<FixedBatch> fixed_batch,
                  std::map<std::string, std::vector<std::int64_t>> argument_ranks)
               {
                 return ModelDescription{label,       device,        dtype,       inputs,
                                         outputs,     parameters,    derivatives, segments,
                                         fixed_batch, argument_ranks};
               }),
           py::kw_only(), "label"_a, "device"_a, "dtype"_a, "inputs"_a, "outputs"_a, "parameters"_a,
           "derivatives"_a, "segments"_a, "fixed_batch"_a, "argument_ranks"_a);
}

} // namespace

void bind_description(py::module_ & module)
{
  bind_variables(module);
  bind_settings(module);
  bind_forward_segment(module);
  bind_implicit_segment(module);
  bind_model_description(module);
}

} // namespace neml2_aoti_plugin
