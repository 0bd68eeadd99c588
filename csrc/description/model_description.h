// All that the core needs to know about one leaf of an artifact; filled in by core_bridge.py.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "description/segment.h"
#include "description/variable.h"

namespace neml2_aoti_plugin
{

/// The batch shape that graphs were traced with; unset for an extent that may vary.
using FixedBatch = std::vector<std::optional<std::int64_t>>;

struct ModelDescription
{
  std::string label;  // for messages: the artifact as the user named it
  std::string device; // torch device string; an index pins the device
  std::string dtype;  // float64 or float32: what callers see (graphs are float64 inside)
  std::vector<BoundaryVariable> inputs;
  std::vector<BoundaryVariable> outputs;
  std::vector<ParameterDescription> parameters;
  std::vector<std::pair<std::string, std::string>> derivatives; // (output, input), authored names
  std::vector<std::pair<std::string, std::string>> parameter_derivatives; // (output, parameter)
  std::vector<SegmentDescription> segments;
  std::optional<FixedBatch> fixed_batch = {}; // unset: graphs run on any number of rows
  // By graph, the rank of every argument with its batch axes; only where those are not one axis.
  std::map<std::string, std::vector<std::int64_t>> argument_ranks = {};
};

} // namespace neml2_aoti_plugin
