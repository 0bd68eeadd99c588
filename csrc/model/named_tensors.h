#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace neml2_aoti_plugin
{

/// What a caller passes: public names in any order.
using TensorMap = std::unordered_map<std::string, at::Tensor>;

/// What a caller gets back, in declared order.
using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;

/// Blocks by output, then by input, both in declared order.
using NamedBlocks = std::vector<std::pair<std::string, NamedTensors>>;

} // namespace neml2_aoti_plugin
