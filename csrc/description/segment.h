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

struct ForwardSegmentDescription
{
  std::string label;
  std::string value;
  std::vector<std::string> inputs;
  std::vector<std::string> outputs;
  std::vector<std::string> parameters;
  std::optional<InputDerivativeGraph> input_derivatives;
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

using DirectionDescription = std::variant<FusedDirection, OperatorDirection>;

/// graph(u, g, p) -> blocks of du/dg
struct FusedSensitivity
{
  std::string graph;
  std::vector<InputPair> pairs;
};

/// jacobian(u, g, p) -> A, b; jacobian_given(u, g, p) -> B; solve(A, B) -> blocks of du/dg = -A^-1
/// B
struct OperatorSensitivity
{
  std::string jacobian;
  std::string jacobian_given;
  std::string solve;
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

struct PredictorDescription
{
  std::string graph;
  std::vector<std::string> inputs;
  std::vector<std::string> outputs;
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
  std::vector<std::string> parameters;
  std::string residual;
  DirectionDescription direction;
  std::optional<SensitivityDescription> sensitivity;
  std::optional<PredictorDescription> predictor;
  InitialGuess initial_guess;
  NewtonSettings newton;
  bool whole_batch = false; // graphs run on all rows of a call, and on no part of them
};

using SegmentDescription = std::variant<ForwardSegmentDescription, ImplicitSegmentDescription>;

} // namespace neml2_aoti_plugin
