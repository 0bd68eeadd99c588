// One stage of a model: reads its inputs from the state, writes its outputs back.
#pragma once

#include <optional>

#include "description/solver_settings.h"
#include "segments/state.h"
#include "segments/tangents.h"

namespace neml2_aoti_plugin
{

/// What is the same for all segments of one call.
struct Call
{
  std::int64_t rows; // product of `batch`
  Shape batch;
  at::TensorOptions options; // float64 on the device of the model
  ParameterValues parameters;
  std::optional<NewtonSettings> newton; // replaces the settings of every implicit segment
};

class Segment
{
public:
  virtual ~Segment() = default;

  virtual void run(State & state, const Call & call) const = 0;

  /// Values and tangents in one pass. The tangents of the outputs replace those of the same names.
  virtual void run(State & state, Tangents & tangents, const Call & call) const = 0;
};

} // namespace neml2_aoti_plugin
