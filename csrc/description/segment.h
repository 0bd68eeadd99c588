// The stages of a model. Graphs are named by their path; a segment's stages say which graphs they
// need by type.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "description/solver_settings.h"
#include "description/variable.h"

namespace neml2_aoti_plugin
{

/// A graph and the blocks it returns, in order: outputs slow, inputs fast.
struct InputDerivativeGraph
{
  std::string graph;
  std::vector<InputPair> pairs;
  bool stacked = false; // one matrix of all blocks: outputs by rows, inputs by columns
};

/// A graph that returns only the blocks of the pairs, in order.
struct ParameterDerivativeGraph
{
  std::string graph;
  std::vector<ParameterPair> pairs;
};

/// graph(inputs, parameters, one cotangent per output) -> one gradient per parameter and row
struct ParameterAdjointGraph
{
  std::string graph;
  std::vector<std::string> parameters;
  std::vector<std::string> outputs;
};

struct ForwardSegmentDescription
{
  std::string label;
  std::string value;
  std::vector<std::string> inputs;
  std::vector<std::string> outputs;
  std::vector<std::string> parameters;
  std::optional<InputDerivativeGraph> input_derivatives;
  std::optional<ParameterDerivativeGraph> parameter_derivatives;
  std::optional<ParameterAdjointGraph> parameter_adjoint;
  bool stored_parameters =
      false; // graphs take parameters at their stored shape, not one value per row
  // Position in inputs and parameters of each argument of the graphs; empty: as listed.
  std::vector<std::size_t> argument_order = {};
  bool whole_batch = false; // graphs run on all rows of a call, and on no part of them
};

/// step(u, g, p) -> du, b; or u + du and the residual there
struct FusedDirection
{
  std::string step;
  bool returns_iterate = false;
};

/// jacobian(u, g, p) -> A, b; solve(A, b) -> du
struct OperatorDirection
{
  std::string jacobian;
  std::string solve;
};

/// setup(u, g) -> state; apply(state, r) -> M^-1 r, with r flattened to (rows, unknowns)
struct PreconditionerGraphs
{
  std::string setup;
  std::string apply;
};

/// matvec(u, g, p, v) -> A v, inside an iterative solve of A du = b
struct KrylovDirection
{
  std::string matvec;
  std::optional<PreconditionerGraphs> preconditioner;
  KrylovSettings settings;
};

using DirectionDescription = std::variant<FusedDirection, OperatorDirection, KrylovDirection>;

/// graph(u, g, p) -> blocks of du/dg
struct FusedSensitivity
{
  std::string graph;
  std::vector<InputPair> pairs;
};

/// jacobian(u, g, p) -> A, b; jacobian_given(u, g, p) -> B; solve(A, B) -> blocks of du/dg, which
/// is -A^-1 B. Without a solve graph the blocks are found by their offsets.
struct OperatorSensitivity
{
  std::string jacobian;
  std::string jacobian_given;
  std::optional<std::string> solve;
  std::vector<InputPair> pairs;
};

/// du/dg of one group with respect to another, see sensitivity_cells.h
struct Cell
{
  Group rows;
  Group columns;
};

/// graph(u, g, p) -> one tensor per cell
struct CellSensitivity
{
  std::string graph;
  std::vector<Cell> cells;
};

using SensitivityDescription = std::variant<FusedSensitivity, OperatorSensitivity, CellSensitivity>;

/// graph(u, g, p per row) -> blocks of du/dp
struct FusedParameterSensitivity
{
  std::string graph;
  std::vector<ParameterPair> pairs;
};

/// residual_jacobians(u, g, p per row) -> dense A, P = dr/dp; solve(A, P) -> blocks of du/dp, which
/// is -A^-1 P. Without a solve graph the blocks are found by their offsets.
struct OperatorParameterSensitivity
{
  std::string residual_jacobians;
  std::optional<std::string> solve;
  std::vector<ParameterPair> pairs;
};

using ParameterSensitivityDescription =
    std::variant<FusedParameterSensitivity, OperatorParameterSensitivity>;

/// The graph is run `iterations` times, with `input` zero at first and then the last `output`.
struct PredictorFeedback
{
  std::string input;
  std::string output;
  Shape shape; // sub-batch and base axes of `input`
  std::int64_t iterations;
};

struct PredictorDescription
{
  std::string graph;
  std::vector<std::string> inputs;
  std::vector<std::string> outputs;
  std::optional<PredictorFeedback> feedback;
};

enum class InitialGuess
{
  Zero,
  State
};

struct ImplicitSegmentDescription
{
  std::string label;
  std::vector<Group> unknown_groups;
  std::vector<Group> given_groups;
  std::vector<Group> residual_groups;
  std::vector<Given> givens; // also those that are in no group: they only shape the substeps
  std::vector<std::string> parameters;
  std::string residual;
  DirectionDescription direction;
  std::optional<SensitivityDescription> sensitivity;
  std::optional<ParameterSensitivityDescription> parameter_sensitivity;
  std::optional<PredictorDescription> predictor;
  InitialGuess initial_guess;
  NewtonSettings newton;
  std::int64_t max_substepping_level = 0; // how often a failing increment may be halved
  bool whole_batch = false; // graphs run on all rows of a call, and on no part of them
};

using SegmentDescription = std::variant<ForwardSegmentDescription, ImplicitSegmentDescription>;

} // namespace neml2_aoti_plugin
