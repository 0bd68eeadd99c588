#include "segments/predictor.h"

#include <ATen/ops/zeros.h>

#include <algorithm>

#include "layout/shapes.h"
#include "segments/graph_values.h"

namespace neml2_aoti_plugin
{

Predictor::Predictor(PredictorDescription description, const std::string & segment,
                     const ShapeTable & shapes, GraphStore & graphs)
    : description_(std::move(description)), segment_(segment),
      graph_(graphs.get(description_.graph))
{
  for (const auto & output : description_.outputs)
    output_shapes_.push_back(shapes.find(output));
}

bool Predictor::predicts(const std::string & variable) const
{
  const auto & outputs = description_.outputs;
  return std::find(outputs.begin(), outputs.end(), variable) != outputs.end();
}

void Predictor::run(State & state, std::int64_t rows, const at::TensorOptions & options,
                    const std::optional<Placement> & placement) const
{
  if (!description_.feedback)
    return pass(state, rows, placement);
  const auto & feedback = *description_.feedback;
  state[feedback.input] = {at::zeros(concatenate({rows}, feedback.shape), options), {}};
  for (std::int64_t i = 0; i < feedback.iterations; ++i)
  {
    pass(state, rows, placement);
    state[feedback.input] = state.at(feedback.output);
  }
}

void Predictor::pass(State & state, std::int64_t rows,
                     const std::optional<Placement> & placement) const
{
  Tensors arguments;
  for (const auto & input : description_.inputs)
    arguments.push_back(value_of(state, input, segment_).data);
  const auto batch = batch_of(state, description_.inputs);
  if (placement)
    arguments = placement->spread(arguments);
  auto results = run_on_rows(graph_, std::move(arguments), description_.outputs.size(), rows);
  if (placement)
    results = placement->own(results);
  for (std::size_t k = 0; k < description_.outputs.size(); ++k)
  {
    const auto & name = description_.outputs[k];
    state[name] = value_from(results[k], output_shapes_[k], rows, batch, name, graph_);
  }
}

} // namespace neml2_aoti_plugin
