// One stage of a model: reads its inputs from the state, writes its outputs back.
#pragma once

#include <optional>
#include <vector>

#include "description/solver_settings.h"
#include "segments/solve_record.h"
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
  std::optional<NewtonSettings> newton;         // replaces the settings of every implicit segment
  std::vector<SolveRecord> * records = nullptr; // where each solve is written down, if anywhere
};

class Segment
{
public:
  virtual ~Segment() = default;

  /// Writes the values of the outputs and, where `tangents` is not null, replaces their tangents.
  virtual void run(State & state, Tangents * tangents, const Call & call) const = 0;
};

} // namespace neml2_aoti_plugin
