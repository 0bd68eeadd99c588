// What a caller asks of a model in one call.
#pragma once

#include <vector>

#include "execution/team.h"
#include "model/named_tensors.h"
#include "segments/solve_record.h"

namespace neml2_aoti_plugin
{

/// How calls are carried out. Results do not depend on the first two, and on the third within the
/// tolerances of the solves.
struct ExecutionSettings
{
  std::int64_t chunk_rows = 0; // that graphs run on at once; 0: as suits the model
  std::int64_t threads = 0;    // 0: as many as torch uses
  std::int64_t max_corrections = NewtonSettings().max_corrections;
};

struct Request
{
  TensorMap inputs;
  TensorMap parameter_overrides;                // in place of the stored values, for this call only
  std::vector<SolveRecord> * records = nullptr; // where solves are written down, if anywhere
  Poll is_interrupted = {};                     // asked now and then, on the calling thread
};

} // namespace neml2_aoti_plugin
