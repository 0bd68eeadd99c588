// One stage of a model: reads its inputs from the state, writes its outputs back.
#pragma once

#include <optional>
#include <vector>

#include "description/solver_settings.h"
#include "execution/team.h"
#include "segments/cotangents.h"
#include "segments/solve_record.h"
#include "segments/state.h"
#include "segments/tangents.h"
#include "segments/tape.h"

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
  std::int64_t chunk_rows = 0;                  // that graphs run on at once; 0: as measured
  Team team = Team();                           // that may share the work
  std::int64_t max_corrections = NewtonSettings().max_corrections;
  bool goes_on = false; // with the rows that are solved, where others fail
};

class Segment
{
public:
  virtual ~Segment() = default;

  /// Writes the values of the outputs and, where `tangents` is not null, replaces their tangents.
  /// Where `passage` is not null, it is made what pull_back() needs.
  virtual void run(State & state, Tangents * tangents, Passage * passage,
                   const Call & call) const = 0;

  /// Replaces the cotangents of the outputs by what they contribute to those of the inputs and
  /// parameters, for the rows of a run.
  virtual void pull_back(const Passage & passage, Cotangents & cotangents,
                         const Call & call) const = 0;

  /// Adds the outputs to what moves, or removes them, as the inputs and parameters do or do not.
  virtual void pass_on(Moving & moving) const = 0;

  /// Whether rows may be run apart, with the same results.
  virtual bool is_divisible() const = 0;

  /// How many rows are best run at once, as far as is known; unset where any number is fine.
  virtual std::optional<std::int64_t> chunk_rows() const = 0;
};

} // namespace neml2_aoti_plugin
