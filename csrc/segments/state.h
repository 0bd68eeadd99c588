// The values that segments hand to one another.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <unordered_map>

#include "description/variable.h"

namespace neml2_aoti_plugin
{

struct Value
{
  at::Tensor data; // (rows, *sub, *base), float64, contiguous
  Shape batch;     // the batch the value really depends on; broadcasts to the batch of the call
};

/// Variable name (authored) to value.
using State = std::unordered_map<std::string, Value>;

/// Parameter name (authored) to its float64 value at (*parameter batch, *parameter base), or at
/// (rows, *parameter base) for the rows of a call.
struct ParameterValue
{
  at::Tensor data;
  Shape batch;
  bool is_by_row = false;
};

using ParameterValues = std::unordered_map<std::string, ParameterValue>;

} // namespace neml2_aoti_plugin
