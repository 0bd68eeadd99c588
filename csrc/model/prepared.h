// One call of a model: its rows, and what results must not share.
#pragma once

#include "model/model.h"
#include "model/results.h"
#include "model/work.h"

namespace neml2_aoti_plugin
{

struct Model::Prepared
{
  Work work;
  ForeignStorage foreign;
  bool has_failed_rows = false;     // of a call that went on without them
  std::vector<SolveRecord> unasked; // tell such a call which rows failed
};

} // namespace neml2_aoti_plugin
