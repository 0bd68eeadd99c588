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

/// A graph and the blocks it returns, in order.
struct InputDerivativeGraph
{
  std::string graph;
  std::vector<InputPair> pairs;
};

struct ForwardSegmentDescription
{
  std::string label;
  std::string value;
  std::vector<std::string> inputs;
  std::vector<std::string> outputs;
  std::vector<std::string> parameters;
  std::optional<InputDerivativeGraph> input_derivatives;
};

/// step(u, g, p) -> du, b
struct FusedDirection
{
  std::string step;
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

using SensitivityDescription = std::variant<FusedSensitivity, OperatorSensitivity>;

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
};

using SegmentDescription = std::variant<ForwardSegmentDescription, ImplicitSegmentDescription>;

} // namespace neml2_aoti_plugin
