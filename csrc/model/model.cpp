#include "model/model.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
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
      dtype_(parse_dtype(description_.dtype)), derivatives_(description_.derivatives),
      parameter_derivatives_(description_.parameter_derivatives), shapes_(description_),
      parameters_(description_.parameters, options_on(device_).dtype(dtype_)),
      inputs_(description_, dtype_, device_),
      graphs_(loader_index(device_), batch_axes(description_))
{
  for (const auto & segment : description_.segments)
    segments_.push_back(make_segment(segment, shapes_, graphs_));
  if (segments_.size() == 1)
    only_forward_ = dynamic_cast<const ForwardSegment *>(segments_.front().get());
}

void Model::set_newton(const NewtonSettings & settings)
{
  const std::lock_guard lock(newton_mutex_);
  newton_ = settings;
}

Model::Prepared Model::prepare(const Request & request) const
{
  Prepared prepared{{0,
                     {},
                     options_on(device_),
                     parameters_.values(request.parameter_overrides),
                     {},
                     request.records},
                    {},
                    {}};
  auto & call = prepared.call;
  {
    const std::lock_guard lock(newton_mutex_);
    call.newton = newton_;
  }
  auto prepared_inputs = inputs_.prepare(request.inputs, call.parameters);
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
      segment->run(prepared.state, tangents, prepared.call);
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

NamedTensors Model::forward(const Request & request) const
{
  const at::NoGradGuard no_grad;
  auto prepared = prepare(request);
  run_segments(prepared, nullptr);
  return outputs(prepared, Batch::Full);
}

NamedTensors Model::forward_natural(const Request & request) const
{
  const at::NoGradGuard no_grad;
  auto prepared = prepare(request);
  run_segments(prepared, nullptr);
  return outputs(prepared, Batch::Natural);
}

void Model::require_derivatives(const char * operation) const
{
  if (derivatives_.empty())
    throw DerivativeNotCompiledError(
        std::string(operation) + ": " + description_.label +
        " was compiled without input derivatives; recompile it with neml2-compile -d OUT:IN for "
        "the pairs you need, or -d : for all of them");
}

void Model::require_derivative_of(const std::string & input) const
{
  if (!derivatives_.has_column(input))
    throw DerivativeNotCompiledError(
        "jvp: a tangent of '" + input + "' was given, but " + description_.label +
        " was compiled without any derivative with respect to it; recompile it with "
        "neml2-compile -d :" +
        input + " beside the present pairs, or leave the tangent out");
}

void Model::require_parameter_derivatives(const char * operation) const
{
  if (parameter_derivatives_.empty())
    throw DerivativeNotCompiledError(
        std::string(operation) + ": " + description_.label +
        " was compiled without parameter derivatives; recompile it with neml2-compile --parameter "
        "NAME -d OUT:NAME for the pairs you need");
}

std::pair<NamedTensors, NamedTensors> Model::jvp(const Request & request,
                                                 const TensorMap & tangents) const
{
  require_derivatives("jvp");
  const at::NoGradGuard no_grad;
  auto prepared = prepare(request);
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
    if (!derivatives_.has_output(output.name))
      continue;
    const auto & value = output_value(prepared, output).data;
    auto total = at::zeros_like(value);
    for (const auto & [input, column] : directions.of(output.name))
      if (derivatives_.contains(output.name, input))
        total += column.expand({value.size(0), -1, 1}).reshape(value.sizes());
    results.emplace_back(output.public_name,
                         prepared.foreign.own(with_batch(total, prepared.call.batch).to(dtype_)));
  }
  return {outputs(prepared, Batch::Full), std::move(results)};
}

std::pair<NamedTensors, NamedBlocks> Model::jacobian(const Request & request) const
{
  require_derivatives("jacobian");
  const at::NoGradGuard no_grad;
  auto prepared = prepare(request);
  const bool has_block_graph = only_forward_ && only_forward_->has_derivatives();
  auto blocks = has_block_graph ? blocks_from_graph(*only_forward_, prepared)
                                : blocks_from_tangents(prepared);
  return {outputs(prepared, Batch::Full), std::move(blocks)};
}

/// `block_of(output, column)` for every compiled pair, in declared order.
template <typename Column, typename BlockOf>
NamedBlocks Model::collect_blocks(Prepared & prepared, const DerivativePairs & pairs,
                                  const std::vector<Column> & columns,
                                  const BlockOf & block_of) const
{
  NamedBlocks blocks;
  for (const auto & output : description_.outputs)
  {
    NamedTensors row;
    for (const auto & column : columns)
      if (pairs.contains(output.name, column.name))
        row.emplace_back(column.public_name,
                         prepared.foreign.own(block_of(output, column).to(dtype_)));
    if (!row.empty())
      blocks.emplace_back(output.public_name, std::move(row));
  }
  return blocks;
}

/// A lone forward segment: its graph returns the blocks themselves.
NamedBlocks Model::blocks_from_graph(const ForwardSegment & segment, Prepared & prepared) const
{
  const auto graph_blocks = segment.run_with_blocks(prepared.state, prepared.call);
  const auto & call = prepared.call;
  const auto block_of = [&](const BoundaryVariable & output, const BoundaryVariable & input)
  {
    const auto tail = concatenate(input.sub_batch_shape.value_or(Shape{}),
                                  concatenate(output.base_shape, input.base_shape));
    for (const auto & block : graph_blocks)
    {
      if (block.pair->output != output.name || block.pair->input != input.name)
        continue;
      const auto rows = block.by_site();
      if (block.pair->batch_independent)
        return rows.select(0, 0).clone();
      return with_batch(rows.expand(concatenate({call.rows}, tail)), call.batch)
          .clone(at::MemoryFormat::Contiguous);
    }
    return at::zeros(concatenate(call.batch, tail), call.options);
  };
  return collect_blocks(prepared, derivatives_, description_.inputs, block_of);
}

NamedBlocks Model::blocks_from_tangents(Prepared & prepared) const
{
  Tangents tangents;
  for (const auto & input : description_.inputs)
    if (derivatives_.has_column(input.name))
      tangents.seed(input.name, input.name, unit_columns(input, prepared.call.options));
  run_segments(prepared, &tangents);
  const auto block_of = [&](const BoundaryVariable & output, const BoundaryVariable & input)
  {
    return block_from(tangents, input.name, output, input.sub_batch_shape.value_or(Shape{}),
                      input.base_shape, prepared);
  };
  return collect_blocks(prepared, derivatives_, description_.inputs, block_of);
}

/// The block at (*batch, *sub, *output_base, *input_base); zero where nothing leads from the seed
/// to the output.
at::Tensor Model::block_from(const Tangents & tangents, const std::string & seed,
                             const BoundaryVariable & output, const Shape & input_sub_batch,
                             const Shape & input_base, const Prepared & prepared) const
{
  const auto & call = prepared.call;
  const Shape value = output_value(prepared, output).data.sizes().vec();
  const Shape output_sub_batch(value.begin() + 1,
                               value.end() - static_cast<std::ptrdiff_t>(output.base_shape.size()));
  const BlockShape shape{output_sub_batch, output.base_shape, input_sub_batch, input_base};
  if (!shape.is_representable())
    throw UnsupportedFeatureError("the derivative of output '" + output.public_name +
                                  "', with sub-batch " + to_string(output_sub_batch) + ", by '" +
                                  seed + "', with sub-batch " + to_string(input_sub_batch) +
                                  ", has no block; use jvp, or compile without this pair");
  const auto & seeds = tangents.of(output.name);
  const auto found = seeds.find(seed);
  if (found == seeds.end())
    return at::zeros(concatenate(call.batch, shape.of_one_row()), call.options);
  const auto block = block_of(found->second, shape);
  return with_batch(block.expand(concatenate({call.rows}, shape.of_one_row())), call.batch)
      .contiguous();
}

Tangents Model::parameter_seeds() const
{
  Tangents tangents;
  for (const auto & parameter : description_.parameters)
    if (parameter_derivatives_.has_column(parameter.name))
      tangents.seed_parameter(parameter.name);
  return tangents;
}

std::pair<NamedTensors, NamedBlocks> Model::param_jacobian(const Request & request) const
{
  require_parameter_derivatives("param_jacobian");
  const at::NoGradGuard no_grad;
  auto prepared = prepare(request);
  auto tangents = parameter_seeds();
  run_segments(prepared, &tangents);
  const auto block_of = [&](const BoundaryVariable & output, const ParameterDescription & parameter)
  { return block_from(tangents, parameter.name, output, {}, parameter.base_shape, prepared); };
  auto blocks = collect_blocks(prepared, parameter_derivatives_, description_.parameters, block_of);
  return {outputs(prepared, Batch::Full), std::move(blocks)};
}

NamedTensors Model::param_vjp(const Request & request, const TensorMap & cotangents) const
{
  require_parameter_derivatives("param_vjp");
  const at::NoGradGuard no_grad;
  auto prepared = prepare(request);
  const auto & call = prepared.call;
  const auto gradients = gradients_per_row(
      prepared, inputs_.prepare_cotangents(cotangents, shapes_, call.batch, call.rows));
  NamedTensors results;
  for (const auto & parameter : description_.parameters)
  {
    if (!parameter_derivatives_.has_column(parameter.name))
      continue;
    const auto found = gradients.find(parameter.name);
    const auto per_row =
        (found == gradients.end()
             ? at::zeros({call.rows, element_count(parameter.base_shape)}, call.options)
             : found->second)
            .reshape(concatenate({call.rows}, parameter.base_shape));
    const bool is_batched = !call.parameters.at(parameter.name).batch.empty();
    const auto gradient = is_batched ? with_batch(per_row, call.batch) : per_row.sum(0);
    results.emplace_back(parameter.public_name, prepared.foreign.own(gradient.to(dtype_)));
  }
  return results;
}

/// By authored name; parameters that no cotangent reaches are left out.
std::unordered_map<std::string, at::Tensor>
Model::gradients_per_row(Prepared & prepared,
                         const std::unordered_map<std::string, at::Tensor> & cotangents) const
{
  if (only_forward_ && only_forward_->adjoint())
  {
    auto complete = cotangents;
    for (const auto & output : description_.outputs)
      if (complete.count(output.name) == 0)
        complete[output.name] =
            at::zeros(concatenate({prepared.call.rows}, output.base_shape), prepared.call.options);
    return only_forward_->parameter_gradients(prepared.state, complete, prepared.call);
  }
  auto tangents = parameter_seeds();
  run_segments(prepared, &tangents);
  std::unordered_map<std::string, at::Tensor> gradients;
  for (const auto & [output, cotangent] : cotangents)
    for (const auto & [parameter, tangent] : tangents.of(output))
    {
      if (!parameter_derivatives_.contains(output, parameter))
        continue;
      auto & total = gradients[parameter];
      const auto part = contracted(cotangent, tangent);
      total = total.defined() ? total + part : part;
    }
  return gradients;
}

} // namespace neml2_aoti_plugin
