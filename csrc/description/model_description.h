// All that the core needs to know about one leaf of an artifact; filled in by core_bridge.py.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "description/segment.h"
#include "description/variable.h"

namespace neml2_aoti_plugin
{

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
};

} // namespace neml2_aoti_plugin
