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

using Names = std::vector<std::string>;
using NamePairs = std::vector<std::pair<std::string, std::string>>;
using OptionalName = std::optional<std::string>;

/// T{fields...}, in the order of its members.
template <typename T, typename... Fields>
auto fields()
{
  return py::init([](Fields... values) { return T{std::move(values)...}; });
}

void bind_variables(py::module_ & module)
{
  py::class_<BoundaryVariable>(module, "BoundaryVariable")
      .def(fields<BoundaryVariable, std::string, std::string, Shape, std::optional<Shape>>(),
           py::kw_only(), "name"_a, "public_name"_a, "base_shape"_a, "sub_batch_shape"_a);
  py::class_<ParameterDescription>(module, "Parameter")
      .def(fields<ParameterDescription, std::string, std::string, Shape, Shape, std::vector<double>,
                  OptionalName>(),
           py::kw_only(), "name"_a, "public_name"_a, "shape"_a, "base_shape"_a, "values"_a,
           "dtype"_a);
  py::class_<Slot>(module, "Slot")
      .def(fields<Slot, std::string, Shape, Shape>(), py::kw_only(), "name"_a, "base_shape"_a,
           "sub_batch_shape"_a);
  py::enum_<Structure>(module, "Structure")
      .value("DENSE", Structure::Dense)
      .value("BLOCK", Structure::Block);
  py::class_<Group>(module, "Group")
      .def(fields<Group, Structure, Shape, std::vector<Slot>>(), py::kw_only(), "structure"_a,
           "sub_batch_shape"_a, "slots"_a);
  py::enum_<Role>(module, "Role")
      .value("OLD_STATE", Role::OldState)
      .value("CUR_FORCE", Role::CurrentForce)
      .value("OLD_FORCE", Role::OldForce)
      .value("INCREMENTAL", Role::Incremental)
      .value("STATIC", Role::Static);
  py::class_<Given>(module, "Given")
      .def(fields<Given, std::string, Role, std::string>(), py::kw_only(), "name"_a, "role"_a,
           "pair"_a);
}

void bind_pairs(py::module_ & module)
{
  py::class_<InputPair>(module, "InputPair")
      .def(fields<InputPair, std::string, std::string, Shape, Shape, Shape, bool, std::int64_t,
                  std::int64_t>(),
           py::kw_only(), "output"_a, "input"_a, "output_base_shape"_a, "input_base_shape"_a,
           "input_sub_batch_shape"_a, "batch_independent"_a, "row_offset"_a, "column_offset"_a);
  py::class_<ParameterPair>(module, "ParameterPair")
      .def(fields<ParameterPair, std::string, std::string, Shape, Shape, std::int64_t,
                  std::int64_t>(),
           py::kw_only(), "output"_a, "parameter"_a, "output_base_shape"_a,
           "parameter_base_shape"_a, "row_offset"_a, "column_offset"_a);
  py::class_<InputDerivativeGraph>(module, "InputDerivativeGraph")
      .def(fields<InputDerivativeGraph, std::string, std::vector<InputPair>, bool>(), py::kw_only(),
           "graph"_a, "pairs"_a, "stacked"_a);
  py::class_<ParameterDerivativeGraph>(module, "ParameterDerivativeGraph")
      .def(fields<ParameterDerivativeGraph, std::string, std::vector<ParameterPair>>(),
           py::kw_only(), "graph"_a, "pairs"_a);
  py::class_<ParameterAdjointGraph>(module, "ParameterAdjointGraph")
      .def(fields<ParameterAdjointGraph, std::string, Names, Names>(), py::kw_only(), "graph"_a,
           "parameters"_a, "outputs"_a);
}

void bind_settings(py::module_ & module)
{
  py::enum_<LineSearch>(module, "LineSearch")
      .value("BACKTRACKING", LineSearch::Backtracking)
      .value("STRONG_WOLFE", LineSearch::StrongWolfe);
  py::class_<NewtonSettings>(module, "NewtonSettings")
      .def(fields<NewtonSettings, double, double, std::int64_t, LineSearch, std::int64_t, double,
                  double, double>(),
           py::kw_only(), "absolute_tolerance"_a, "relative_tolerance"_a, "max_iterations"_a,
           "line_search"_a, "line_search_max_iterations"_a, "line_search_cutback"_a,
           "line_search_constant"_a, "update_tolerance"_a);
  py::enum_<KrylovMethod>(module, "KrylovMethod")
      .value("GMRES", KrylovMethod::Gmres)
      .value("BICGSTAB", KrylovMethod::Bicgstab);
  py::enum_<PreconditionerCache>(module, "PreconditionerCache")
      .value("NONE", PreconditionerCache::None)
      .value("CHORD", PreconditionerCache::Chord)
      .value("MAX_ITS", PreconditionerCache::IterationsTaken);
  py::class_<KrylovSettings>(module, "KrylovSettings")
      .def(fields<KrylovSettings, KrylovMethod, std::int64_t, std::int64_t, double, double,
                  PreconditionerCache, std::int64_t>(),
           py::kw_only(), "method"_a, "restart"_a, "max_iterations"_a, "absolute_tolerance"_a,
           "relative_tolerance"_a, "cache"_a, "cache_max_iterations"_a);
}

void bind_forward_segment(py::module_ & module)
{
  py::class_<ForwardSegmentDescription>(module, "ForwardSegment")
      .def(fields<ForwardSegmentDescription, std::string, std::string, Names, Names, Names,
                  std::optional<InputDerivativeGraph>, std::optional<ParameterDerivativeGraph>,
                  std::optional<ParameterAdjointGraph>, bool, std::vector<std::size_t>, bool>(),
           py::kw_only(), "label"_a, "value"_a, "inputs"_a, "outputs"_a, "parameters"_a,
           "input_derivatives"_a, "parameter_derivatives"_a, "parameter_adjoint"_a,
           "stored_parameters"_a, "argument_order"_a, "whole_batch"_a);
}

void bind_directions(py::module_ & module)
{
  py::class_<FusedDirection>(module, "FusedDirection")
      .def(fields<FusedDirection, std::string, bool>(), py::kw_only(), "step"_a,
           "returns_iterate"_a);
  py::class_<OperatorDirection>(module, "OperatorDirection")
      .def(fields<OperatorDirection, std::string, std::string>(), py::kw_only(), "jacobian"_a,
           "solve"_a);
  py::class_<PreconditionerGraphs>(module, "Preconditioner")
      .def(fields<PreconditionerGraphs, std::string, std::string>(), py::kw_only(), "setup"_a,
           "apply"_a);
  py::class_<KrylovDirection>(module, "KrylovDirection")
      .def(fields<KrylovDirection, std::string, std::optional<PreconditionerGraphs>,
                  KrylovSettings>(),
           py::kw_only(), "matvec"_a, "preconditioner"_a, "settings"_a);
}

void bind_sensitivities(py::module_ & module)
{
  py::class_<FusedSensitivity>(module, "FusedSensitivity")
      .def(fields<FusedSensitivity, std::string, std::vector<InputPair>>(), py::kw_only(),
           "graph"_a, "pairs"_a);
  py::class_<OperatorSensitivity>(module, "OperatorSensitivity")
      .def(fields<OperatorSensitivity, std::string, std::string, OptionalName,
                  std::vector<InputPair>>(),
           py::kw_only(), "jacobian"_a, "jacobian_given"_a, "solve"_a, "pairs"_a);
  py::class_<Cell>(module, "Cell")
      .def(fields<Cell, Group, Group>(), py::kw_only(), "rows"_a, "columns"_a);
  py::class_<CellSensitivity>(module, "CellSensitivity")
      .def(fields<CellSensitivity, std::string, std::vector<Cell>>(), py::kw_only(), "graph"_a,
           "cells"_a);
  py::class_<FusedParameterSensitivity>(module, "FusedParameterSensitivity")
      .def(fields<FusedParameterSensitivity, std::string, std::vector<ParameterPair>>(),
           py::kw_only(), "graph"_a, "pairs"_a);
  py::class_<OperatorParameterSensitivity>(module, "OperatorParameterSensitivity")
      .def(fields<OperatorParameterSensitivity, std::string, OptionalName,
                  std::vector<ParameterPair>>(),
           py::kw_only(), "residual_jacobians"_a, "solve"_a, "pairs"_a);
}

void bind_implicit_segment(py::module_ & module)
{
  py::class_<PredictorFeedback>(module, "PredictorFeedback")
      .def(fields<PredictorFeedback, std::string, std::string, Shape, std::int64_t>(),
           py::kw_only(), "input"_a, "output"_a, "shape"_a, "iterations"_a);
  py::class_<PredictorDescription>(module, "Predictor")
      .def(fields<PredictorDescription, std::string, Names, Names,
                  std::optional<PredictorFeedback>>(),
           py::kw_only(), "graph"_a, "inputs"_a, "outputs"_a, "feedback"_a);
  py::enum_<InitialGuess>(module, "InitialGuess")
      .value("ZERO", InitialGuess::Zero)
      .value("STATE", InitialGuess::State);
  py::class_<ImplicitSegmentDescription>(module, "ImplicitSegment")
      .def(fields<ImplicitSegmentDescription, std::string, std::vector<Group>, std::vector<Group>,
                  std::vector<Group>, std::vector<Given>, Names, std::string, DirectionDescription,
                  std::optional<SensitivityDescription>,
                  std::optional<ParameterSensitivityDescription>,
                  std::optional<PredictorDescription>, InitialGuess, NewtonSettings, std::int64_t,
                  bool>(),
           py::kw_only(), "label"_a, "unknown_groups"_a, "given_groups"_a, "residual_groups"_a,
           "givens"_a, "parameters"_a, "residual"_a, "direction"_a, "sensitivity"_a,
           "parameter_sensitivity"_a, "predictor"_a, "initial_guess"_a, "newton"_a,
           "max_substepping_level"_a, "whole_batch"_a);
}

void bind_model_description(py::module_ & module)
{
  py::class_<ModelDescription>(module, "ModelDescription")
      .def(fields<ModelDescription, std::string, std::string, std::string,
                  std::vector<BoundaryVariable>, std::vector<BoundaryVariable>,
                  std::vector<ParameterDescription>, NamePairs, NamePairs,
                  std::vector<SegmentDescription>, std::optional<FixedBatch>,
                  std::map<std::string, std::vector<std::int64_t>>>(),
           py::kw_only(), "label"_a, "device"_a, "dtype"_a, "inputs"_a, "outputs"_a, "parameters"_a,
           "derivatives"_a, "parameter_derivatives"_a, "segments"_a, "fixed_batch"_a,
           "argument_ranks"_a);
}

} // namespace

void bind_description(py::module_ & module)
{
  bind_variables(module);
  bind_pairs(module);
  bind_settings(module);
  bind_forward_segment(module);
  bind_directions(module);
  bind_sensitivities(module);
  bind_implicit_segment(module);
  bind_model_description(module);
}

} // namespace neml2_aoti_plugin
