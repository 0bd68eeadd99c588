#include "segments/implicit_segment.h"

#include <ATen/ops/zeros.h>

#include <algorithm>

#include "errors.h"
#include "layout/shapes.h"
#include "numerics/convergence_error.h"
#include "numerics/newton.h"
#include "segments/graph_values.h"
#include "segments/sensitivity_cells.h"

namespace neml2_aoti_plugin
{

namespace
{

SolveGraphs solve_graphs(const ImplicitSegmentDescription & description, GraphStore & graphs)
{
  SolveGraphs result{&graphs.get(description.residual),
                     {},
                     description.unknown_groups.size(),
                     description.whole_batch};
  if (const auto * fused = std::get_if<FusedDirection>(&description.direction))
  {
    result.direction = SolveGraphs::Fused{&graphs.get(fused->step), fused->returns_iterate};
  }
  else
  {
    const auto & split = std::get<OperatorDirection>(description.direction);
    result.direction = SolveGraphs::Operator{&graphs.get(split.jacobian), &graphs.get(split.solve)};
  }
  return result;
}

bool took_no_iterations(const NewtonResult & result)
{
  return std::all_of(result.iterations.begin(), result.iterations.end(),
                     [](auto count) { return count == 0; });
}

} // namespace

ImplicitSegment::ImplicitSegment(ImplicitSegmentDescription description, const ShapeTable & shapes,
                                 GraphStore & graphs)
    : description_(std::move(description)), graphs_(solve_graphs(description_, graphs))
{
  if (description_.predictor)
  {
    predictor_ = &graphs.get(description_.predictor->graph);
    for (const auto & output : description_.predictor->outputs)
      predicted_shapes_.push_back(shapes.find(output));
  }
  if (!description_.sensitivity)
    return;
  if (const auto * fused = std::get_if<FusedSensitivity>(&*description_.sensitivity))
  {
    sensitivity_graphs_ = {&graphs.get(fused->graph)};
    sensitivity_pairs_ = &fused->pairs;
  }
  else if (const auto * cells = std::get_if<CellSensitivity>(&*description_.sensitivity))
  {
    sensitivity_graphs_ = {&graphs.get(cells->graph)};
    cell_pairs_ = cell_pairs(cells->cells);
    joined_givens_ = joined_givens(cells->cells);
    sensitivity_pairs_ = &cell_pairs_;
  }
  else
  {
    const auto & split = std::get<OperatorSensitivity>(*description_.sensitivity);
    sensitivity_graphs_ = {&graphs.get(split.jacobian), &graphs.get(split.jacobian_given),
                           &graphs.get(split.solve)};
    sensitivity_pairs_ = &split.pairs;
  }
}

void ImplicitSegment::run(State & state, const Call & call) const { solve(state, call); }

ImplicitSegment::Solution ImplicitSegment::solve(State & state, const Call & call) const
{
  if (predictor_)
    predict(state, call);
  const auto guess = initial_guess(state, call);
  if (call.rows == 0)
  {
    write_unknowns(guess, false, state, call);
    return {guess, nullptr};
  }
  auto system = std::make_unique<GraphSystem>(graphs_, pack_givens(state, call),
                                              stored_parameters(call), call.rows);
  const auto settings = call.newton.value_or(description_.newton);
  auto result = solve_newton(*system, guess, settings);
  if (!result.all_converged())
  {
    auto last_iterate = named_unknowns(result.unknowns);
    throw ConvergenceError(description_.label, std::move(result), std::move(last_iterate),
                           settings);
  }
  write_unknowns(result.unknowns, took_no_iterations(result), state, call);
  return {std::move(result.unknowns), std::move(system)};
}

void ImplicitSegment::predict(State & state, const Call & call) const
{
  const auto & predictor = *description_.predictor;
  Tensors arguments;
  for (const auto & input : predictor.inputs)
    arguments.push_back(value_of(state, input, description_.label).data);
  const auto batch = batch_of(state, predictor.inputs);
  const auto results =
      run_on_rows(*predictor_, std::move(arguments), predictor.outputs.size(), call.rows);
  for (std::size_t k = 0; k < predictor.outputs.size(); ++k)
  {
    const auto & name = predictor.outputs[k];
    state[name] = value_from(results[k], predicted_shapes_[k], call.rows, batch, name, *predictor_);
  }
}

bool ImplicitSegment::is_predicted(const std::string & variable) const
{
  if (!description_.predictor)
    return false;
  const auto & outputs = description_.predictor->outputs;
  return std::find(outputs.begin(), outputs.end(), variable) != outputs.end();
}

/// Predicted values first, then, where the artifact says so, what the caller or an earlier segment
/// left.
Groups ImplicitSegment::initial_guess(const State & state, const Call & call) const
{
  const auto guess_of = [&](const Slot & slot)
  {
    const bool uses_state =
        description_.initial_guess == InitialGuess::State || is_predicted(slot.name);
    const auto found = state.find(slot.name);
    if (uses_state && found != state.end())
      return found->second.data;
    const auto shape = concatenate(slot.sub_batch_shape, slot.base_shape);
    return at::zeros(concatenate({call.rows}, shape), call.options);
  };
  Groups guess;
  for (const auto & group : description_.unknown_groups)
    guess.push_back(pack(group, call.rows, guess_of));
  return guess;
}

Shape ImplicitSegment::guess_batch(const State & state, const std::string & unknown) const
{
  const bool uses_state =
      description_.initial_guess == InitialGuess::State || is_predicted(unknown);
  const auto found = state.find(unknown);
  return uses_state && found != state.end() ? found->second.batch : Shape{};
}

Groups ImplicitSegment::pack_givens(const State & state, const Call & call) const
{
  Groups givens;
  for (const auto & group : description_.given_groups)
    givens.push_back(pack(group, call.rows, [&](const Slot & slot)
                          { return value_of(state, slot.name, description_.label).data; }));
  return givens;
}

/// The graphs of a solve were traced with one parameter value for all rows.
Tensors ImplicitSegment::stored_parameters(const Call & call) const
{
  Tensors tensors;
  for (const auto & name : description_.parameters)
  {
    const auto & parameter = call.parameters.at(name);
    if (element_count(parameter.batch) != 1)
      throw UnsupportedFeatureError(
          "segment '" + description_.label + "': parameter '" + name + "' has the batch " +
          to_string(parameter.batch) +
          ", but the graphs of this implicit segment take one value for all rows, and per-row "
          "parameters of implicit segments are not supported yet. Set a single value.");
    const Shape shape = parameter.data.sizes().vec();
    const Shape base(shape.begin() + static_cast<std::ptrdiff_t>(parameter.batch.size()),
                     shape.end());
    tensors.push_back(parameter.data.reshape(base).contiguous());
  }
  return tensors;
}

/// As the host's native models do, a solve that accepts its guess keeps the batch of the guess.
void ImplicitSegment::write_unknowns(const Groups & solved, bool at_guess, State & state,
                                     const Call & call) const
{
  Shape solved_batch;
  for (const auto & group : description_.given_groups)
    for (const auto & slot : group.slots)
      solved_batch =
          broadcast(solved_batch, value_of(state, slot.name, description_.label).batch).value();
  for (const auto & name : description_.parameters)
    solved_batch = broadcast(solved_batch, call.parameters.at(name).batch).value();
  for (const auto & group : description_.unknown_groups)
    for (const auto & slot : group.slots)
      solved_batch = broadcast(solved_batch, guess_batch(state, slot.name)).value();

  for (auto & [name, data] : named_unknowns(solved))
  {
    const auto batch = at_guess ? guess_batch(state, name) : solved_batch;
    state[name] = {data.contiguous(), batch};
  }
}

std::vector<std::pair<std::string, at::Tensor>>
ImplicitSegment::named_unknowns(const Groups & unknowns) const
{
  std::vector<std::pair<std::string, at::Tensor>> named;
  for (std::size_t k = 0; k < unknowns.size(); ++k)
  {
    const auto & group = description_.unknown_groups[k];
    const auto values = unpack(group, unknowns[k]);
    for (std::size_t i = 0; i < values.size(); ++i)
      named.emplace_back(group.slots[i].name, values[i]);
  }
  return named;
}

/// One block (rows, |unknown|, |given|) per pair, at the solution.
Tensors ImplicitSegment::sensitivity_blocks(const Solution & solution) const
{
  const auto arguments = solution.system->arguments(solution.unknowns);
  const auto count = sensitivity_pairs_->size();
  if (const auto * split = std::get_if<CellSensitivity>(&*description_.sensitivity))
  {
    auto & graph = *sensitivity_graphs_[0];
    return cell_blocks(split->cells, graph.run(arguments, split->cells.size()),
                       solution.system->rows(), graph.path());
  }
  if (sensitivity_graphs_.size() == 1)
    return sensitivity_graphs_[0]->run(arguments, count);
  auto blocks = GraphSystem::operator_blocks(*sensitivity_graphs_[0], arguments, graphs_.groups);
  blocks.resize(graphs_.groups * graphs_.groups);
  const auto given_blocks =
      sensitivity_graphs_[1]->run(arguments, graphs_.groups * description_.given_groups.size());
  for (const auto & block : given_blocks)
    blocks.push_back(block.contiguous());
  return sensitivity_graphs_[2]->run(blocks, count);
}

/// A prediction is a guess, of which the solution is independent. One that also is a given would
/// need the derivative of the predictor, which no artifact carries.
void ImplicitSegment::drop_predicted_tangents(Tangents & tangents) const
{
  if (!description_.predictor)
    return;
  const auto & inputs = description_.predictor->inputs;
  const bool reached = std::any_of(inputs.begin(), inputs.end(),
                                   [&](const auto & input) { return tangents.has(input); });
  for (const auto & output : description_.predictor->outputs)
  {
    const auto is_of_output = [&](const InputPair & pair) { return pair.input == output; };
    if (reached && sensitivity_pairs_ &&
        std::any_of(sensitivity_pairs_->begin(), sensitivity_pairs_->end(), is_of_output))
      throw UnsupportedFeatureError("segment '" + description_.label + "': '" + output +
                                    "' is computed by the predictor and held fixed by the solve; "
                                    "derivatives through it are not supported");
    tangents.replace(output, {});
  }
}

void ImplicitSegment::refuse_joined_tangents(const Tangents & tangents) const
{
  for (const auto & given : joined_givens_)
    if (tangents.has(given))
      throw UnsupportedFeatureError(
          "segment '" + description_.label + "': derivatives with respect to '" + given +
          "' were compiled as if all its sites moved together, though its unknowns depend on each "
          "of them. Use jvp without it, or recompile the model with neml2 3.1.0.");
}

void ImplicitSegment::run(State & state, Tangents & tangents, const Call & call) const
{
  refuse_joined_tangents(tangents);
  const auto solution = solve(state, call);
  drop_predicted_tangents(tangents);
  std::unordered_map<std::string, SeedTangents> computed;
  const auto is_reached = [&](const InputPair & pair) { return tangents.has(pair.input); };
  if (solution.system && sensitivity_pairs_ &&
      std::any_of(sensitivity_pairs_->begin(), sensitivity_pairs_->end(), is_reached))
  {
    const auto blocks = sensitivity_blocks(solution);
    for (std::size_t k = 0; k < blocks.size(); ++k)
    {
      const auto & pair = (*sensitivity_pairs_)[k];
      const auto matrix = blocks[k].reshape(
          {-1, element_count(pair.output_base_shape), element_count(pair.input_base_shape)});
      accumulate(computed[pair.output], matrix, tangents.of(pair.input));
    }
  }
  for (const auto & group : description_.unknown_groups)
    for (const auto & slot : group.slots)
      tangents.replace(slot.name, std::move(computed[slot.name]));
}

} // namespace neml2_aoti_plugin
