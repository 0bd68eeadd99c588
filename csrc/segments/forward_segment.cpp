#include "segments/forward_segment.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

#include "errors.h"
#include "execution/blocks.h"
#include "layout/shapes.h"
#include "numerics/row_matmul.h"
#include "segments/chunk_size.h"
#include "segments/graph_values.h"
#include "segments/parameter_parts.h"

namespace neml2_aoti_plugin
{

namespace
{

Tensors in_order(Tensors listed, const std::vector<std::size_t> & order)
{
  if (order.empty())
    return listed;
  Tensors ordered;
  for (const auto position : order)
    ordered.push_back(listed[position]);
  return ordered;
}

/// The blocks of one matrix (rows, sum of outputs, sum of inputs).
std::vector<ForwardSegment::Block> unstacked(const std::vector<InputPair> & pairs,
                                             const at::Tensor & matrix)
{
  std::vector<ForwardSegment::Block> blocks;
  std::int64_t row = 0;
  std::int64_t column = 0;
  for (std::size_t k = 0; k < pairs.size(); ++k)
  {
    const auto & pair = pairs[k];
    const auto height = element_count(pair.output_base_shape);
    const auto width = element_count(pair.input_base_shape);
    const auto block = matrix.narrow(-2, row, height).narrow(-1, column, width);
    const auto tail = concatenate(pair.output_base_shape, pair.input_base_shape);
    blocks.push_back({&pair, block.reshape(concatenate({-1}, tail))});
    column += width;
    if (column == matrix.size(-1))
    {
      column = 0;
      row += height;
    }
  }
  return blocks;
}

/// The block as a matrix per row and site of the input: (rows or 1, sites, out, in).
at::Tensor site_matrices(const ForwardSegment::Block & block)
{
  const auto & pair = *block.pair;
  return block.by_site().reshape({-1, element_count(pair.input_sub_batch_shape),
                                  element_count(pair.output_base_shape),
                                  element_count(pair.input_base_shape)});
}

/// Same-site derivative of a variable with sites: each site's block acts on that site's tangent.
void accumulate_per_site(SeedTangents & total, const at::Tensor & blocks,
                         const SeedTangents & input)
{
  const auto sites = blocks.size(1);
  for (const auto & [seed, tangent] : input)
  {
    const auto columns = tangent.size(-1);
    const auto rows = std::max(blocks.size(0), tangent.size(0));
    const auto flat = [&](const at::Tensor & tensor)
    { return tensor.expand({rows, -1, -1, -1}).flatten(0, 1); };
    const auto per_site = tangent.reshape({tangent.size(0), sites, -1, columns});
    const auto part = row_matmul(flat(blocks), flat(per_site));
    accumulate(total, seed, part.reshape({rows, -1, columns}));
  }
}

/// The transposed blocks on the cotangent of the output, (rows, |output|): (rows, |input|).
at::Tensor pulled_back(const at::Tensor & cotangent, const ForwardSegment::Block & block)
{
  const auto matrices = site_matrices(block);
  const auto rows = cotangent.size(0);
  if (block.pair->input_sub_batch_shape.empty())
    return transposed_product(cotangent, matrices.flatten(1, 2));
  const auto sites = matrices.size(1);
  const auto per_site = cotangent.reshape({rows * sites, 1, -1});
  return row_matmul(per_site, matrices.expand({rows, -1, -1, -1}).flatten(0, 1))
      .reshape({rows, -1});
}

template <typename Described>
Graph * graph_of(const std::optional<Described> & described, GraphStore & graphs)
{
  return described ? &graphs.get(described->graph) : nullptr;
}

} // namespace

at::Tensor ForwardSegment::Block::by_site() const
{
  const auto tail = concatenate(pair->output_base_shape, pair->input_base_shape);
  const auto & sites = pair->input_sub_batch_shape;
  Shape leading = data.sizes().vec();
  const auto fail = [&]
  {
    throw ArtifactError("the derivative of '" + pair->output + "' by '" + pair->input +
                        "' came back as " + to_string(data.sizes().vec()) +
                        ", expected batch and sub-batch " + to_string(sites) + " before " +
                        to_string(tail) + ". Recompile the model.");
  };
  if (!ends_with(leading, tail))
    fail();
  leading.resize(leading.size() - tail.size());
  if (leading.size() <= sites.size())
    leading.insert(leading.begin(), 1);
  for (std::size_t axis = 1; axis < leading.size(); ++axis)
    if (leading[axis] != 1 && (axis > sites.size() || leading[axis] != sites[axis - 1]))
      fail();
  leading.resize(1 + sites.size(), 1);
  return data.reshape(concatenate(leading, tail))
      .expand(concatenate(concatenate({leading.front()}, sites), tail));
}

ForwardSegment::ForwardSegment(ForwardSegmentDescription description, const ShapeTable & shapes,
                               GraphStore & graphs)
    : description_(std::move(description)), value_(graphs.get(description_.value)),
      derivative_(graph_of(description_.input_derivatives, graphs)),
      parameter_derivative_(graph_of(description_.parameter_derivatives, graphs)),
      adjoint_(graph_of(description_.parameter_adjoint, graphs))
{
  for (const auto & output : description_.outputs)
    output_shapes_.push_back(shapes.find(output));
}

/// Inputs and parameters as listed, with the rows on axis 0 but for a parameter that the graphs
/// take at its stored shape.
Tensors ForwardSegment::arguments(const State & state, const Call & call) const
{
  Tensors tensors;
  for (const auto & input : description_.inputs)
    tensors.push_back(value_of(state, input, description_.label).data);
  for (const auto & name : description_.parameters)
  {
    const auto & parameter = call.parameters.at(name);
    const bool is_stored = description_.stored_parameters && !is_run_by_rows(call);
    tensors.push_back(is_stored ? single_parameter(parameter) : parameter_per_row(parameter, call));
  }
  return tensors;
}

/// Whether each row needs a run of its own, as its parameters differ from those of other rows.
bool ForwardSegment::is_run_by_rows(const Call & call) const
{
  const auto differs = [&](const std::string & name)
  { return element_count(call.parameters.at(name).batch) != 1; };
  return description_.stored_parameters &&
         std::any_of(description_.parameters.begin(), description_.parameters.end(), differs);
}

Tensors ForwardSegment::run_graph(Graph & graph, std::size_t blocks, const State & state,
                                  const Call & call) const
{
  const auto expected = description_.outputs.size() + blocks;
  auto tensors = arguments(state, call);
  if (is_run_by_rows(call) && call.rows > 0)
    return run_by_rows(graph, tensors, expected, call.rows);
  return run_in_chunks(graph, std::move(tensors), expected, call);
}

/// All rows, unless the run would take so long that putting parts together again does not matter.
std::int64_t ForwardSegment::chunk_rows_for(Graph & graph, const Call & call,
                                            const std::function<void(std::int64_t)> & run) const
{
  constexpr double long_run = 500e-6; // in seconds
  constexpr double copied_row = 50e-9;
  if (description_.whole_batch || !call.options.device().is_cpu())
    return call.rows;
  if (call.chunk_rows > 0)
    return call.chunk_rows;
  const auto pace = measured_pace(graph, call.rows, run);
  const bool is_worth_it = pace && pace->seconds_per_row > copied_row &&
                           pace->seconds_per_row * static_cast<double>(call.rows) > long_run;
  return is_worth_it ? shared_rows(call.rows, pace->chunk_rows, call.team.size()) : call.rows;
}

/// Some rows at a time, by the members of the team. Results that are the same for all rows are
/// those of the first.
Tensors ForwardSegment::run_in_chunks(Graph & graph, Tensors arguments, std::size_t expected,
                                      const Call & call) const
{
  const auto run = [&](Tensors tensors, std::int64_t rows)
  {
    return run_on_rows(graph, in_order(std::move(tensors), description_.argument_order), expected,
                       rows);
  };
  const auto part = [&](const RowRange & block)
  {
    auto tensors = arguments;
    for (std::size_t k = 0; k < tensors.size(); ++k)
      if (k < description_.inputs.size() || !description_.stored_parameters)
        tensors[k] = tensors[k].narrow(0, block.begin, block.count);
    return tensors;
  };
  const auto chunk_rows =
      chunk_rows_for(graph, call, [&](std::int64_t rows) { run(part({0, rows}), rows); });
  if (call.rows <= chunk_rows)
    return run(std::move(arguments), call.rows);

  const auto blocks = equal_blocks(call.rows, chunk_rows);
  std::vector<Tensors> results(blocks.size());
  call.team.for_each(static_cast<std::int64_t>(blocks.size()),
                     [&](std::int64_t number)
                     {
                       const at::AutoDispatchBelowADInplaceOrView below_autograd;
                       const auto & block = blocks[static_cast<std::size_t>(number)];
                       results[static_cast<std::size_t>(number)] = run(part(block), block.count);
                     });
  Tensors merged;
  for (std::size_t k = 0; k < expected; ++k)
  {
    if (!has_rows(results.front()[k], k, blocks.front().count))
    {
      merged.push_back(results.front()[k]);
      continue;
    }
    Tensors parts;
    for (const auto & result : results)
      parts.push_back(result[k]);
    merged.push_back(at::cat(parts, 0));
  }
  return merged;
}

/// Whether result k of a run on these rows has them on axis 0.
bool ForwardSegment::has_rows(const at::Tensor & result, std::size_t k, std::int64_t rows) const
{
  if (result.dim() == 0 || result.size(0) != rows)
    return false;
  if (k < output_shapes_.size())
    return has_batch_axis(result, output_shapes_[k], rows);
  if (!description_.input_derivatives || description_.input_derivatives->stacked)
    return true;
  const auto & pair = description_.input_derivatives->pairs[k - output_shapes_.size()];
  const auto base_rank = pair.output_base_shape.size() + pair.input_base_shape.size();
  return result.dim() > static_cast<std::int64_t>(base_rank);
}

Tensors ForwardSegment::run_by_rows(Graph & graph, const Tensors & arguments, std::size_t expected,
                                    std::int64_t rows) const
{
  if (description_.whole_batch)
    throw UnsupportedFeatureError(
        "segment '" + description_.label +
        "': parameters differ between rows, but its graphs take one value for all rows and were "
        "compiled for a fixed batch (--no-dynamic-batch). Set single values, or recompile the "
        "model.");
  std::vector<Tensors> by_result(expected);
  for (std::int64_t row = 0; row < rows; ++row)
  {
    Tensors of_row;
    for (std::size_t k = 0; k < arguments.size(); ++k)
      of_row.push_back(k < description_.inputs.size() ? arguments[k].narrow(0, row, 1)
                                                      : arguments[k].select(0, row));
    const auto results =
        graph.run(in_order(std::move(of_row), description_.argument_order), expected);
    for (std::size_t k = 0; k < expected; ++k)
      by_result[k].push_back(of_one_row(results[k], k, graph));
  }
  Tensors merged;
  for (const auto & parts : by_result)
    merged.push_back(at::cat(parts, 0));
  return merged;
}

/// Result k of a run of one row, with that row on axis 0 also where the graph returned no batch.
at::Tensor ForwardSegment::of_one_row(const at::Tensor & result, std::size_t k,
                                      const Graph & graph) const
{
  if (k < output_shapes_.size())
    return value_from(result, output_shapes_[k], 1, {}, description_.outputs[k], graph).data;
  if (description_.input_derivatives->stacked)
    return result;
  const auto & pair = description_.input_derivatives->pairs[k - output_shapes_.size()];
  const auto base_rank = pair.output_base_shape.size() + pair.input_base_shape.size();
  return result.dim() == static_cast<std::int64_t>(base_rank) ? result.unsqueeze(0) : result;
}

std::size_t ForwardSegment::block_count() const
{
  const auto & derivatives = *description_.input_derivatives;
  return derivatives.stacked ? 1 : derivatives.pairs.size();
}

void ForwardSegment::write_outputs(const Tensors & results, const Graph & graph, State & state,
                                   const Call & call) const
{
  auto batch = batch_of(state, description_.inputs);
  for (const auto & parameter : description_.parameters)
    batch = broadcast(batch, call.parameters.at(parameter).batch).value();
  for (std::size_t k = 0; k < description_.outputs.size(); ++k)
  {
    const auto & name = description_.outputs[k];
    state[name] = value_from(results[k], output_shapes_[k], call.rows, batch, name, graph);
  }
}

std::vector<ForwardSegment::Block> ForwardSegment::run_with_blocks(State & state,
                                                                   const Call & call) const
{
  const auto & pairs = description_.input_derivatives->pairs;
  auto results = run_graph(*derivative_, block_count(), state, call);
  write_outputs(results, *derivative_, state, call);
  if (description_.input_derivatives->stacked)
    return unstacked(pairs, results.back());
  std::vector<Block> blocks;
  for (std::size_t k = 0; k < pairs.size(); ++k)
    blocks.push_back({&pairs[k], std::move(results[description_.outputs.size() + k])});
  return blocks;
}

bool ForwardSegment::is_reached_by(const Tangents & tangents) const
{
  return derivative_ && std::any_of(description_.inputs.begin(), description_.inputs.end(),
                                    [&](const auto & input) { return tangents.has(input); });
}

void ForwardSegment::run(State & state, Tangents * tangents, Passage * passage,
                         const Call & call) const
{
  if (passage)
    for (const auto & input : description_.inputs)
      passage->inputs[input] = value_of(state, input, description_.label);
  ComputedTangents computed;
  if (tangents && call.rows > 0)
    add_direct_tangents(computed, state, *tangents, call); // reads what running overwrites
  if (!tangents || call.rows == 0 || !is_reached_by(*tangents))
    write_outputs(run_graph(value_, 0, state, call), value_, state, call);
  else
    for (const auto & block : run_with_blocks(state, call))
    {
      const auto & input = tangents->of(block.pair->input);
      if (input.empty())
        continue;
      auto & total = computed[block.pair->output];
      if (block.pair->input_sub_batch_shape.empty())
        accumulate(total, site_matrices(block).flatten(1, 2), input);
      else
        accumulate_per_site(total, site_matrices(block), input);
    }
  if (tangents)
    for (const auto & output : description_.outputs)
      tangents->replace(output, std::move(computed[output]));
  if (passage)
    for (const auto & output : description_.outputs)
      passage->outputs[output] = state.at(output).data.sizes().vec();
}

void ForwardSegment::add_direct_tangents(ComputedTangents & computed, const State & state,
                                         const Tangents & tangents, const Call & call) const
{
  if (!parameter_derivative_)
    return;
  const auto & pairs = description_.parameter_derivatives->pairs;
  if (std::none_of(pairs.begin(), pairs.end(), [&](const ParameterPair & pair)
                   { return tangents.seeds_parameter(pair.parameter); }))
    return;
  const auto blocks = parameter_derivative_->run(arguments(state, call), pairs.size());
  for (std::size_t k = 0; k < pairs.size(); ++k)
    if (const auto & pair = pairs[k]; tangents.seeds_parameter(pair.parameter))
      accumulate(computed[pair.output], pair.parameter,
                 blocks[k].reshape({-1, element_count(pair.output_base_shape),
                                    element_count(pair.parameter_base_shape)}));
}

void ForwardSegment::pass_on(Moving & moving) const
{
  const bool moves =
      moving.any_variable(description_.inputs) || moving.any_parameter(description_.parameters);
  for (const auto & output : description_.outputs)
    if (moves)
      moving.variables.insert(output);
    else
      moving.variables.erase(output);
}

void ForwardSegment::pull_back(const Passage & passage, Cotangents & cotangents,
                               const Call & call) const
{
  CotangentMap of_outputs;
  for (const auto & output : description_.outputs)
    if (const auto cotangent = cotangents.take(output); cotangent.defined())
      of_outputs[output] = cotangent;
  if (of_outputs.empty() || call.rows == 0)
    return;
  if (cotangents.wanted().any_parameter(description_.parameters))
    pull_back_to_parameters(passage, of_outputs, cotangents, call);
  if (!derivative_ || !cotangents.wanted().any_variable(description_.inputs))
    return;
  auto state = passage.inputs;
  for (const auto & block : run_with_blocks(state, call))
    if (const auto found = of_outputs.find(block.pair->output); found != of_outputs.end())
      cotangents.add(block.pair->input, pulled_back(found->second, block));
}

/// By the reverse pass that the artifact carries for it, else by derivative blocks.
void ForwardSegment::pull_back_to_parameters(const Passage & passage,
                                             const CotangentMap & of_outputs,
                                             Cotangents & cotangents, const Call & call) const
{
  if (adjoint_)
  {
    CotangentMap complete;
    for (const auto & [output, shape] : passage.outputs)
    {
      const auto found = of_outputs.find(output);
      complete[output] = found == of_outputs.end() ? at::zeros(shape, call.options)
                                                   : found->second.reshape(shape).contiguous();
    }
    for (const auto & [parameter, gradient] : parameter_gradients(passage.inputs, complete, call))
      cotangents.add_parameter(parameter, gradient.reshape({call.rows, -1}));
    return;
  }
  if (!parameter_derivative_)
    return;
  const auto & pairs = description_.parameter_derivatives->pairs;
  const auto blocks = parameter_derivative_->run(arguments(passage.inputs, call), pairs.size());
  for (std::size_t k = 0; k < pairs.size(); ++k)
    if (const auto found = of_outputs.find(pairs[k].output); found != of_outputs.end())
      cotangents.add_parameter(
          pairs[k].parameter,
          transposed_product(found->second,
                             blocks[k].reshape({-1, element_count(pairs[k].output_base_shape),
                                                element_count(pairs[k].parameter_base_shape)})));
}

std::unordered_map<std::string, at::Tensor>
ForwardSegment::parameter_gradients(const State & state, const NamedCotangents & cotangents,
                                    const Call & call) const
{
  const auto & described = *description_.parameter_adjoint;
  auto tensors = arguments(state, call);
  for (const auto & output : described.outputs)
    tensors.push_back(cotangents.at(output));
  const auto gradients =
      run_on_rows(*adjoint_, std::move(tensors), described.parameters.size(), call.rows);
  std::unordered_map<std::string, at::Tensor> named;
  for (std::size_t k = 0; k < described.parameters.size(); ++k)
    named[described.parameters[k]] = call.rows > 0 ? gradients[k] : gradients[k].narrow(0, 0, 0);
  return named;
}

} // namespace neml2_aoti_plugin
