// A call that gradients can be pulled back through, as often as is wanted.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "execution/blocks.h"
#include "model/failed_rows.h"
#include "model/named_tensors.h"
#include "segments/segment.h"

namespace neml2_aoti_plugin
{

/// Some rows of a call.
struct RecordedBlock
{
  RowRange rows;
  Call call;
  Tape tape;
  FailedRows failed;
};

struct Recording
{
  Call call;                                // of all rows
  std::map<std::string, Shape> sub_batches; // of the outputs, by authored name
  std::vector<RecordedBlock> blocks;
};

/// What gradients are asked for by. Public names.
struct Wanted
{
  std::set<std::string> inputs;
  std::set<std::string> parameters;
};

/// Both in declared order.
struct Gradients
{
  NamedTensors inputs;
  NamedTensors parameters;
};

} // namespace neml2_aoti_plugin
