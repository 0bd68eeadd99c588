#include "segments/graph_values.h"

#include <ATen/ops/arange.h>

#include "errors.h"
#include "layout/shapes.h"

namespace neml2_aoti_plugin
{

namespace
{

/// One row of arbitrary numbers in place of none; they only have to keep matrices regular.
at::Tensor stand_in_row(const at::Tensor & empty)
{
  auto shape = empty.sizes().vec();
  shape.front() = 1;
  const auto count = element_count(shape);
  return at::arange(1, count + 1, empty.options().dtype(at::kDouble))
      .reciprocal()
      .reshape(shape)
      .to(empty.scalar_type());
}

} // namespace

const Value & value_of(const State & state, const std::string & variable,
                       const std::string & segment)
{
  const auto found = state.find(variable);
  if (found == state.end())
    throw ArtifactError("segment '" + segment + "' reads '" + variable +
                        "', which is neither a model input nor an output of an earlier segment");
  return found->second;
}

Shape batch_of(const State & state, const std::vector<std::string> & variables)
{
  Shape batch;
  for (const auto & variable : variables)
    if (const auto found = state.find(variable); found != state.end())
      batch = broadcast(std::move(batch), found->second.batch).value();
  return batch;
}

bool has_batch_axis(const at::Tensor & raw, const std::optional<KnownShape> & known,
                    std::int64_t rows)
{
  if (known)
  {
    const auto value_rank = known->base.size() + (known->sub_batch ? known->sub_batch->size() : 0);
    if (raw.dim() <= static_cast<std::int64_t>(value_rank))
      return false;
    if (known->sub_batch)
      return true;
  }
  return raw.dim() > 0 && (raw.size(0) == rows || raw.size(0) == 1);
}

Tensors run_on_rows(Graph & graph, Tensors arguments, std::size_t expected, std::int64_t rows)
{
  if (rows == 0)
    for (auto & argument : arguments)
      argument = stand_in_row(argument);
  return graph.run(arguments, expected);
}

Value value_from(const at::Tensor & raw, const std::optional<KnownShape> & known, std::int64_t rows,
                 const Shape & batch, const std::string & variable, const Graph & graph)
{
  if (rows == 0)
  {
    auto stand_in = value_from(raw, known, 1, batch, variable, graph);
    return {stand_in.data.narrow(0, 0, 0), stand_in.batch};
  }
  const Shape shape = raw.sizes().vec();
  if (known && !ends_with(shape, known->base))
    throw ArtifactError(graph.path() + ": returned '" + variable + "' with shape " +
                        to_string(shape) + ", expected one that ends with " +
                        to_string(known->base) + ". Recompile the model.");
  const bool batched = has_batch_axis(raw, known, rows);
  if (batched && raw.size(0) == rows)
    return {raw.contiguous(), batch};
  if (batched && raw.size(0) != 1)
    throw ArtifactError(graph.path() + ": returned '" + variable + "' with " +
                        std::to_string(raw.size(0)) + " rows for a batch of " +
                        std::to_string(rows) +
                        ". If the artifact was compiled for a fixed batch size "
                        "(--no-dynamic-batch), call it with that size; else recompile it.");
  const auto single = batched ? raw : raw.unsqueeze(0);
  auto expanded = shape;
  if (batched)
    expanded.front() = rows;
  else
    expanded.insert(expanded.begin(), rows);
  return {single.expand(expanded).clone(at::MemoryFormat::Contiguous), batched ? batch : Shape{}};
}

} // namespace neml2_aoti_plugin
