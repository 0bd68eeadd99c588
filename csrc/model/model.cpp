#include "model/model.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>

#include "errors.h"
#include "layout/shape_table.h"
#include "layout/shapes.h"
#include "model/results.h"
#include "model/tensor_checks.h"
#include "numerics/convergence_error.h"
#include "segments/graph_values.h"
#include "segments/implicit_segment.h"

namespace neml2_aoti_plugin
{

namespace
{

at::TensorOptions options_on(const at::Device & device)
{
  return at::TensorOptions().dtype(at::kDouble).device(device);
}

/// What the loader wants: -1 is the current device of the kind, and the only answer for the CPU.
int loader_index(const at::Device & device)
{
  return device.has_index() && !device.is_cpu() ? device.index() : -1;
}

std::map<std::string, BatchAxes> batch_axes(const ModelDescription & description)
{
  std::map<std::string, BatchAxes> axes;
  for (const auto & [graph, ranks] : description.argument_ranks)
    axes[graph] = {description.fixed_batch.value(), ranks};
  return axes;
}

std::unique_ptr<Segment> make_segment(const SegmentDescription & description,
                                      const ShapeTable & shapes, GraphStore & graphs)
{
  if (const auto * forward = std::get_if<ForwardSegmentDescription>(&description))
    return std::make_unique<ForwardSegment>(*forward, shapes, graphs);
  return std::make_unique<ImplicitSegment>(std::get<ImplicitSegmentDescription>(description),
                                           shapes, graphs);
}

} // namespace

/// One call: what stays the same, the values so far, and what results must not share.
struct Model::Prepared
{
  Call call;
  State state;
  ForeignStorage foreign;
};

Model::Model(ModelDescription description)
    : description_(std::move(description)), device_(description_.device),
      dtype_(parse_dtype(description_.dtype)),
      parameters_(description_.parameters, options_on(device_).dtype(dtype_)),
      inputs_(description_, dtype_, device_),
      graphs_(loader_index(device_), batch_axes(description_))
{
  const ShapeTable shapes(description_);
  for (const auto & segment : description_.segments)
    segments_.push_back(make_segment(segment, shapes, graphs_));
  if (segments_.size() == 1)
    only_forward_ = dynamic_cast<const ForwardSegment *>(segments_.front().get());
}

void Model::set_newton(const NewtonSettings & settings)
{
  const std::lock_guard lock(newton_mutex_);
  newton_ = settings;
}

Model::Prepared Model::prepare(const TensorMap & inputs) const
{
  Prepared prepared{{0, {}, options_on(device_), parameters_.values(), {}}, {}, {}};
  auto & call = prepared.call;
  {
    const std::lock_guard lock(newton_mutex_);
    call.newton = newton_;
  }
  auto prepared_inputs = inputs_.prepare(inputs, call.parameters);
  call.rows = prepared_inputs.rows;
  call.batch = std::move(prepared_inputs.batch);
  prepared.state = std::move(prepared_inputs.state);
  for (const auto & [name, value] : prepared.state)
    prepared.foreign.add(value.data);
  for (const auto & [name, parameter] : call.parameters)
    prepared.foreign.add(parameter.data);
  return prepared;
}

void Model::run_segments(Prepared & prepared, Tangents * tangents) const
{
  try
  {
    for (const auto & segment : segments_)
      if (tangents)
        segment->run(prepared.state, *tangents, prepared.call);
      else
        segment->run(prepared.state, prepared.call);
  }
  catch (ConvergenceError & error)
  {
    error.present_as(prepared.call.batch, dtype_);
    throw;
  }
}

const Value & Model::output_value(const Prepared & prepared, const BoundaryVariable & output) const
{
  return value_of(prepared.state, output.name, "the model's outputs");
}

NamedTensors Model::outputs(Prepared & prepared, Batch which) const
{
  NamedTensors named;
  const auto & batch = prepared.call.batch;
  for (const auto & output : description_.outputs)
  {
    const auto & value = output_value(prepared, output);
    auto result = with_batch(value.data, batch);
    if (which == Batch::Natural)
      result = narrowed_to(result, batch, value.batch);
    named.emplace_back(output.public_name, prepared.foreign.own(result.to(dtype_)));
  }
  return named;
}

NamedTensors Model::forward(const TensorMap & inputs) const
{
  const at::NoGradGuard no_grad;
  auto prepared = prepare(inputs);
  run_segments(prepared, nullptr);
  return outputs(prepared, Batch::Full);
}

NamedTensors Model::forward_natural(const TensorMap & inputs) const
{
  const at::NoGradGuard no_grad;
  auto prepared = prepare(inputs);
  run_segments(prepared, nullptr);
  return outputs(prepared, Batch::Natural);
}

void Model::require_derivatives(const char * operation) const
{
  if (description_.derivatives.empty())
    throw DerivativeNotCompiledError(
        std::string(operation) + ": " + description_.label +
        " was compiled without input derivatives; recompile it with neml2-compile -d OUT:IN for "
        "the pairs you need, or -d : for all of them");
}

void Model::require_derivative_of(const std::string & input) const
{
  const auto is_of_input = [&](const auto & pair) { return pair.second == input; };
  if (std::none_of(description_.derivatives.begin(), description_.derivatives.end(), is_of_input))
    throw DerivativeNotCompiledError(
        "jvp: a tangent of '" + input + "' was given, but " + description_.label +
        " was compiled without any derivative with respect to it; recompile it with "
        "neml2-compile -d :" +
        input + " beside the present pairs, or leave the tangent out");
}

/// Inputs that some compiled pair differentiates with respect to, in declared order.
std::vector<const BoundaryVariable *> Model::seeded_inputs() const
{
  std::vector<const BoundaryVariable *> seeded;
  for (const auto & input : description_.inputs)
    if (std::any_of(description_.derivatives.begin(), description_.derivatives.end(),
                    [&](const auto & pair) { return pair.second == input.name; }))
      seeded.push_back(&input);
  return seeded;
}

std::pair<NamedTensors, NamedTensors> Model::jvp(const TensorMap & inputs,
                                                 const TensorMap & tangents) const
{
  require_derivatives("jvp");
  const at::NoGradGuard no_grad;
  auto prepared = prepare(inputs);
  Tangents directions;
  for (auto & [input, column] :
       inputs_.prepare_tangents(tangents, prepared.call.batch, prepared.call.rows))
  {
    require_derivative_of(input);
    directions.seed(input, input, column);
  }
  run_segments(prepared, &directions);

  NamedTensors results;
  for (const auto & output : description_.outputs)
  {
    if (!is_differentiated(output.name))
      continue;
    const auto & value = output_value(prepared, output).data;
    auto total = at::zeros_like(value);
    for (const auto & [input, column] : directions.of(output.name))
      if (is_compiled(output.name, input))
        total += column.expand({value.size(0), -1, 1}).reshape(value.sizes());
    results.emplace_back(output.public_name,
                         prepared.foreign.own(with_batch(total, prepared.call.batch).to(dtype_)));
  }
  return {outputs(prepared, Batch::Full), std::move(results)};
}

bool Model::is_compiled(const std::string & output, const std::string & input) const
{
  const auto & compiled = description_.derivatives;
  return std::find(compiled.begin(), compiled.end(), std::pair{output, input}) != compiled.end();
}

bool Model::is_differentiated(const std::string & output) const
{
  return std::any_of(description_.derivatives.begin(), description_.derivatives.end(),
                     [&](const auto & pair) { return pair.first == output; });
}

std::pair<NamedTensors, NamedBlocks> Model::jacobian(const TensorMap & inputs) const
{
  require_derivatives("jacobian");
  const at::NoGradGuard no_grad;
  auto prepared = prepare(inputs);
  const bool has_block_graph = only_forward_ && only_forward_->has_derivatives();
  auto blocks = has_block_graph ? blocks_from_graph(*only_forward_, prepared)
                                : blocks_from_tangents(prepared);
  return {outputs(prepared, Batch::Full), std::move(blocks)};
}

void Model::require_block(bool is_representable, const BoundaryVariable & output,
                          const BoundaryVariable & input) const
{
  if (!is_representable)
    throw UnsupportedFeatureError("jacobian: the block of output '" + output.public_name +
                                  "' with respect to input '" + input.public_name +
                                  "' involves a sub-batched variable, which is not supported yet; "
                                  "use jvp, or compile without this pair");
}

/// `block_of(output, input)` for every compiled pair, in declared order.
template <typename BlockOf>
NamedBlocks Model::collect_blocks(Prepared & prepared, const BlockOf & block_of) const
{
  NamedBlocks blocks;
  for (const auto & output : description_.outputs)
  {
    NamedTensors row;
    for (const auto & input : description_.inputs)
    {
      if (is_compiled(output.name, input.name))
        row.emplace_back(input.public_name,
                         prepared.foreign.own(block_of(output, input).to(dtype_)));
    }
    if (!row.empty())
      blocks.emplace_back(output.public_name, std::move(row));
  }
  return blocks;
}

/// A lone forward segment: its graph returns the blocks themselves.
NamedBlocks Model::blocks_from_graph(const ForwardSegment & segment, Prepared & prepared) const
{
  const auto graph_blocks = segment.run_with_blocks(prepared.state, prepared.call);
  return collect_blocks(
      prepared,
      [&](const auto & output, const auto & input)
      {
        const auto tail = concatenate(input.sub_batch_shape.value_or(Shape{}),
                                      concatenate(output.base_shape, input.base_shape));
        for (const auto & block : graph_blocks)
        {
          if (block.pair->output != output.name || block.pair->input != input.name)
            continue;
          const auto present = block.data.numel() / element_count(tail);
          require_block(present == 1 || present == prepared.call.rows, output, input);
          const auto rows = block.data.reshape(concatenate({present}, tail));
          if (block.pair->batch_independent)
            return rows.select(0, 0).clone();
          return with_batch(rows.expand(concatenate({prepared.call.rows}, tail)),
                            prepared.call.batch)
              .clone(at::MemoryFormat::Contiguous);
        }
        return at::zeros(concatenate(prepared.call.batch, tail), prepared.call.options);
      });
}

NamedBlocks Model::blocks_from_tangents(Prepared & prepared) const
{
  Tangents tangents;
  for (const auto * input : seeded_inputs())
  {
    const auto width =
        element_count(input->base_shape) * element_count(input->sub_batch_shape.value_or(Shape{}));
    tangents.seed(input->name, input->name, at::eye(width, prepared.call.options).unsqueeze(0));
  }
  run_segments(prepared, &tangents);
  return collect_blocks(
      prepared,
      [&](const auto & output, const auto & input)
      {
        const auto tail = concatenate(output.base_shape, input.base_shape);
        const auto & seeds = tangents.of(output.name);
        const auto found = seeds.find(input.name);
        if (found == seeds.end())
          return at::zeros(concatenate(prepared.call.batch, tail), prepared.call.options);
        const auto & matrix = found->second;
        require_block(matrix.size(1) == element_count(output.base_shape) &&
                          matrix.size(2) == element_count(input.base_shape),
                      output, input);
        return with_batch(matrix.expand({prepared.call.rows, matrix.size(1), matrix.size(2)})
                              .reshape(concatenate({prepared.call.rows}, tail)),
                          prepared.call.batch)
            .contiguous();
      });
}

} // namespace neml2_aoti_plugin
