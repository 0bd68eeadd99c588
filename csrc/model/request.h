// What a caller asks of a model in one call.
#pragma once

#include <vector>

#include "model/named_tensors.h"
#include "segments/solve_record.h"

namespace neml2_aoti_plugin
{

struct Request
{
  TensorMap inputs;
  TensorMap parameter_overrides;                // in place of the stored values, for this call only
  std::vector<SolveRecord> * records = nullptr; // where solves are written down, if anywhere
};

} // namespace neml2_aoti_plugin
