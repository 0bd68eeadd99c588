#include "model/model.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <atomic>

#include "errors.h"
#include "execution/blocks.h"
#include "layout/shape_table.h"
#include "layout/shapes.h"
#include "model/prepared.h"
#include "model/results.h"
#include "model/tensor_checks.h"
#include "numerics/convergence_error.h"
#include "segments/graph_values.h"
#include "segments/implicit_segment.h"
#include "segments/parameter_parts.h"

namespace neml2_aoti_plugin
{

namespace
{

at::TensorOptions options_on(const at::Device & device)
{
  return at::TensorOptions().dtype(at::kDouble).device(device);
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

/// What nothing else holds: a graph may return memory of its own.
at::Tensor unshared(const at::Tensor & tensor)
{
  const bool is_alone = tensor.use_count() == 1 && tensor.storage().use_count() == 1;
  return is_alone ? tensor : tensor.clone();
}

using BlockRecords = std::vector<std::vector<SolveRecord>>;

/// Writes down the solves of all blocks, segment by segment. Throws ConvergenceError for the first
/// segment in which any row failed, unless the call goes on; the segments after it are left out, as
/// not all rows came there.
void report(BlockRecords records, const Call & call, at::ScalarType dtype)
{
  std::size_t segments = 0;
  for (const auto & block : records)
    segments = std::max(segments, block.size());
  for (std::size_t k = 0; k < segments; ++k)
  {
    std::vector<SolveRecord> parts;
    for (auto & block : records)
      parts.push_back(std::move(block[k]));
    const bool has_failed = std::any_of(parts.begin(), parts.end(), [](const SolveRecord & part)
                                        { return !part.rows.all_converged(); });
    if (!has_failed || call.goes_on)
      for (auto & part : parts)
        part.unknowns.clear(); // only an error tells them
    auto record = merged(std::move(parts));
    record.batch = call.batch;
    if (call.records)
      call.records->push_back(record);
    if (!has_failed || call.goes_on)
      continue;
    ConvergenceError error(record.segment, std::move(record.rows), std::move(record.unknowns),
                           record.settings, record.max_substepping_level);
    error.present_as(call.batch, dtype);
    throw error;
  }
}

} // namespace

Model::Model(ModelDescription description, Unpack unpack)
    : description_(std::move(description)), device_(description_.device),
      dtype_(parse_dtype(description_.dtype)), derivatives_(description_.derivatives),
      parameter_derivatives_(description_.parameter_derivatives), shapes_(description_),
      parameters_(description_.parameters, options_on(device_).dtype(dtype_)),
      inputs_(description_, dtype_, device_),
      graphs_(device_, std::move(unpack), batch_axes(description_))
{
  for (const auto & segment : description_.segments)
    segments_.push_back(make_segment(segment, shapes_, graphs_));
  if (segments_.size() == 1)
    only_forward_ = dynamic_cast<const ForwardSegment *>(segments_.front().get());
}

void Model::set_newton(const NewtonSettings & settings)
{
  const std::lock_guard lock(settings_mutex_);
  newton_ = settings;
}

void Model::set_execution(const ExecutionSettings & settings)
{
  const std::lock_guard lock(settings_mutex_);
  execution_ = settings;
}

void Model::set_goes_on(bool goes_on)
{
  const std::lock_guard lock(settings_mutex_);
  goes_on_ = goes_on;
}

bool Model::goes_on() const
{
  const std::lock_guard lock(settings_mutex_);
  return goes_on_;
}

Model::Prepared Model::prepare(const Request & request) const
{
  Prepared prepared{};
  auto & call = prepared.work.call;
  call.options = options_on(device_);
  call.parameters = parameters_.values(request.parameter_overrides);
  call.records = request.records;
  {
    const std::lock_guard lock(settings_mutex_);
    call.newton = newton_;
    call.chunk_rows = execution_.chunk_rows;
    call.max_corrections = execution_.max_corrections;
    call.goes_on = goes_on_;
    const auto threads = execution_.threads > 0 ? execution_.threads : at::get_num_threads();
    call.team = Team(device_.is_cpu() ? threads : 1, request.is_interrupted);
  }
  auto inputs = inputs_.prepare(request.inputs, call.parameters);
  call.rows = inputs.rows;
  call.batch = std::move(inputs.batch);
  prepared.work.block = {0, call.rows};
  prepared.work.state = std::move(inputs.state);
  prepared.foreign.expect(prepared.work.state.size() + call.parameters.size() +
                          description_.outputs.size());
  for (const auto & [name, value] : prepared.work.state)
    prepared.foreign.add(value.data);
  for (auto & [name, parameter] : call.parameters)
  {
    prepared.foreign.add(parameter.data);
    if (element_count(parameter.batch) != 1)
      parameter = {parameter_per_row(parameter, call), parameter.batch, true};
  }
  return prepared;
}

bool Model::is_divisible() const
{
  return device_.is_cpu() &&
         std::all_of(segments_.begin(), segments_.end(),
                     [](const auto & segment) { return segment->is_divisible(); });
}

/// Values alone are computed segment by segment, each of which shares its work among the team; many
/// rows in large blocks one after the other, which bounds what there is beside the results.
/// Tangents of solves take so much more memory that each member has small blocks of its own, which
/// pass all segments before the next one.
std::vector<RowRange> Model::blocks_of(const Call & call, bool has_tangents) const
{
  constexpr std::int64_t many_rows = 1 << 20;
  if (!is_divisible())
    return {{0, call.rows}};
  std::optional<std::int64_t> known;
  for (const auto & segment : segments_)
    if (const auto rows = segment->chunk_rows())
      known = std::min(known.value_or(*rows), *rows);
  if (call.chunk_rows > 0)
    known = call.chunk_rows;
  if (!known)
    return equal_blocks(call.rows, many_rows);
  if (!has_tangents)
    return equal_blocks(call.rows, 128 * *known);
  const auto members = call.team.size();
  return shrinking_blocks(call.rows, shared_rows(call.rows, *known, members), 4 * *known, members);
}

/// All rows through all segments, and what `collect` takes of them.
RowResults Model::run(Prepared & prepared, const Tangents & seeds, const Collect & collect) const
{
  auto & work = prepared.work;
  work.tangents = seeds;
  if (work.call.goes_on && !work.call.records)
    work.call.records = &prepared.unasked;
  const auto & call = work.call;
  const auto blocks = blocks_of(call, work.has_tangents);
  if (blocks.size() == 1)
  {
    try
    {
      auto results = run_segments(work, collect);
      prepared.has_failed_rows = work.failed.any();
      return results;
    }
    catch (ConvergenceError & error)
    {
      error.present_as(call.batch, dtype_);
      throw;
    }
  }
  BlockRecords records(blocks.size());
  std::vector<RowResults> results(blocks.size());
  std::atomic<bool> has_failed_rows = false;
  const auto run_block = [&](std::int64_t number)
  {
    const at::AutoDispatchBelowADInplaceOrView below_autograd;
    const auto block = static_cast<std::size_t>(number);
    auto part = work.part(blocks[block]);
    part.call.records = &records[block];
    if (work.has_tangents)
      part.call.team = Team();
    try
    {
      results[block] = run_segments(part, collect);
      if (part.failed.any())
        has_failed_rows = true;
    }
    catch (const ConvergenceError &)
    {
      // What failed is in the records. The other rows are tried all the same.
    }
  };
  if (work.has_tangents)
    call.team.for_each(static_cast<std::int64_t>(blocks.size()), run_block);
  else
    for (std::size_t block = 0; block < blocks.size(); ++block)
      run_block(static_cast<std::int64_t>(block));
  report(std::move(records), call, dtype_);
  prepared.has_failed_rows = has_failed_rows;
  return joined(std::move(results));
}

RowResults Model::run_segments(Work & work, const Collect & collect) const
{
  if (work.is_recorded)
    work.tape.resize(segments_.size());
  if (!work.is_collected_alone)
    for (std::size_t k = 0; k < segments_.size(); ++k)
      run_segment(k, work);
  auto results = collect(work);
  for (auto & result : results)
    if (result.is_by_row)
      result.data = work.failed.overwritten(result.data, work.failed_value);
  return results;
}

void Model::run_segment(std::size_t k, Work & work) const
{
  auto * records = work.call.records;
  const auto recorded = records ? records->size() : 0;
  segments_[k]->run(work.state, work.has_tangents ? &work.tangents : nullptr,
                    work.is_recorded ? &work.tape[k] : nullptr, work.call);
  if (!work.call.goes_on || records->size() == recorded)
    return;
  work.failed.add(records->back());
  work.failed.stand_in(work.state);
}

const Value & Model::output_value(const State & state, const BoundaryVariable & output) const
{
  return value_of(state, output.name, "the model's outputs");
}

void Model::collect_outputs(const Work & work, RowResults & results) const
{
  results.reserve(results.size() + description_.outputs.size());
  for (const auto & output : description_.outputs)
  {
    const auto & value = output_value(work.state, output);
    results.push_back({value.data.to(dtype_), value.batch});
  }
}

/// The first of the results, by name.
NamedTensors Model::outputs(Prepared & prepared, RowResults & results, Batch which) const
{
  NamedTensors named;
  named.reserve(description_.outputs.size());
  const auto & batch = prepared.work.call.batch;
  for (std::size_t k = 0; k < description_.outputs.size(); ++k)
  {
    auto result = with_batch(results[k].data, batch);
    if (which == Batch::Natural && !prepared.has_failed_rows)
      result = narrowed_to(result, batch, results[k].batch);
    named.emplace_back(description_.outputs[k].public_name, prepared.foreign.own(result));
  }
  return named;
}

NamedTensors Model::forward(const Request & request) const { return values(request, Batch::Full); }

NamedTensors Model::forward_natural(const Request & request) const
{
  return values(request, Batch::Natural);
}

NamedTensors Model::values(const Request & request, Batch which) const
{
  const at::AutoDispatchBelowADInplaceOrView below_autograd;
  auto prepared = prepare(request);
  auto results = run(prepared, {},
                     [this](Work & work)
                     {
                       RowResults collected;
                       collect_outputs(work, collected);
                       return collected;
                     });
  return outputs(prepared, results, which);
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
  const at::AutoDispatchBelowADInplaceOrView below_autograd;
  auto prepared = prepare(request);
  auto & work = prepared.work;
  work.has_tangents = true;
  Tangents directions;
  for (auto & [input, column] : inputs_.prepare_tangents(tangents, work.call.batch, work.call.rows))
  {
    require_derivative_of(input);
    directions.seed(input, input, column);
  }
  auto results = run(prepared, directions,
                     [this](Work & part)
                     {
                       RowResults collected;
                       collect_outputs(part, collected);
                       for (const auto & output : description_.outputs)
                         if (derivatives_.has_output(output.name))
                           collected.push_back({total_tangent(part, output).to(dtype_), {}});
                       return collected;
                     });
  NamedTensors named;
  auto next = description_.outputs.size();
  for (const auto & output : description_.outputs)
    if (derivatives_.has_output(output.name))
      named.emplace_back(output.public_name,
                         prepared.foreign.own(with_batch(results[next++].data, work.call.batch)));
  return {outputs(prepared, results, Batch::Full), std::move(named)};
}

/// Over all inputs that have a tangent and are in a compiled pair.
at::Tensor Model::total_tangent(const Work & work, const BoundaryVariable & output) const
{
  const auto & value = output_value(work.state, output).data;
  auto total = at::zeros_like(value);
  for (const auto & [input, column] : work.tangents.of(output.name))
    if (derivatives_.contains(output.name, input))
      total += column.expand({value.size(0), -1, 1}).reshape(value.sizes());
  return total;
}

std::pair<NamedTensors, NamedBlocks> Model::jacobian(const Request & request) const
{
  require_derivatives("jacobian");
  const at::AutoDispatchBelowADInplaceOrView below_autograd;
  auto prepared = prepare(request);
  const bool has_block_graph = only_forward_ && only_forward_->has_derivatives();
  prepared.work.has_tangents = !has_block_graph;
  prepared.work.is_collected_alone = has_block_graph;
  const auto & inputs = description_.inputs;
  const auto from_graph = [&](Work & work)
  {
    const auto blocks = only_forward_->run_with_blocks(work.state, work.call);
    RowResults collected;
    collect_outputs(work, collected);
    visit_pairs(derivatives_, inputs, [&](const auto & output, const auto & input)
                { collected.push_back(block_from_graph(blocks, work, output, input)); });
    return collected;
  };
  const auto from_tangents = [&](Work & work)
  {
    RowResults collected;
    collect_outputs(work, collected);
    visit_pairs(derivatives_, inputs,
                [&](const auto & output, const auto & input)
                {
                  collected.push_back(block_from(work, input.name, output,
                                                 input.sub_batch_shape.value_or(Shape{}),
                                                 input.base_shape));
                });
    return collected;
  };
  auto results =
      has_block_graph ? run(prepared, {}, from_graph) : run(prepared, input_seeds(), from_tangents);
  auto blocks = named_blocks(prepared, derivatives_, inputs, results);
  return {outputs(prepared, results, Batch::Full), std::move(blocks)};
}

/// Every compiled pair, in declared order.
template <typename Column, typename Visit>
void Model::visit_pairs(const DerivativePairs & pairs, const std::vector<Column> & columns,
                        const Visit & visit) const
{
  for (const auto & output : description_.outputs)
    for (const auto & column : columns)
      if (pairs.contains(output.name, column.name))
        visit(output, column);
}

/// The results that follow the outputs, one per pair.
template <typename Column>
NamedBlocks Model::named_blocks(Prepared & prepared, const DerivativePairs & pairs,
                                const std::vector<Column> & columns, RowResults & results) const
{
  NamedBlocks blocks;
  auto next = description_.outputs.size();
  visit_pairs(pairs, columns,
              [&](const auto & output, const auto & column)
              {
                const auto & result = results[next++];
                auto block = result.is_by_row ? with_batch(result.data, prepared.work.call.batch)
                                              : result.data;
                if (blocks.empty() || blocks.back().first != output.public_name)
                  blocks.emplace_back(output.public_name, NamedTensors{});
                blocks.back().second.emplace_back(column.public_name, prepared.foreign.own(block));
              });
  return blocks;
}

/// As the graph of a lone forward segment returned it.
RowResult Model::block_from_graph(const std::vector<ForwardSegment::Block> & blocks,
                                  const Work & work, const BoundaryVariable & output,
                                  const BoundaryVariable & input) const
{
  const auto tail = concatenate(input.sub_batch_shape.value_or(Shape{}),
                                concatenate(output.base_shape, input.base_shape));
  const auto all_rows = concatenate({work.call.rows}, tail);
  for (const auto & block : blocks)
  {
    if (block.pair->output != output.name || block.pair->input != input.name)
      continue;
    if (!block.pair->batch_independent && block.data.sizes() == at::IntArrayRef(all_rows))
      return {unshared(block.data).contiguous().to(dtype_), {}};
    if (block.pair->batch_independent && block.data.numel() == element_count(tail))
      return {unshared(block.data).reshape(tail).to(dtype_), {}, false};
    const auto rows = block.by_site();
    if (block.pair->batch_independent)
      return {rows.select(0, 0).clone().to(dtype_), {}, false};
    return {rows.expand(all_rows).clone(at::MemoryFormat::Contiguous).to(dtype_), {}};
  }
  return {at::zeros(all_rows, work.call.options.dtype(dtype_)), {}};
}

/// (rows, *sub, *output_base, *input_base); zero where nothing leads from the seed to the output.
RowResult Model::block_from(const Work & work, const std::string & seed,
                            const BoundaryVariable & output, const Shape & input_sub_batch,
                            const Shape & input_base) const
{
  const auto & call = work.call;
  const auto output_sub_batch =
      sub_batch_of(output_value(work.state, output).data, output.base_shape);
  const BlockShape shape{output_sub_batch, output.base_shape, input_sub_batch, input_base};
  if (!shape.is_representable())
    throw UnsupportedFeatureError("the derivative of output '" + output.public_name +
                                  "', with sub-batch " + to_string(output_sub_batch) + ", by '" +
                                  seed + "', with sub-batch " + to_string(input_sub_batch) +
                                  ", has no block; use jvp, or compile without this pair");
  const auto all_rows = concatenate({call.rows}, shape.of_one_row());
  const auto & seeds = work.tangents.of(output.name);
  const auto found = seeds.find(seed);
  if (found == seeds.end())
    return {at::zeros(all_rows, call.options.dtype(dtype_)), {}};
  return {block_of(found->second, shape).expand(all_rows).to(dtype_).contiguous(), {}};
}

Tangents Model::input_seeds() const
{
  Tangents tangents;
  for (const auto & input : description_.inputs)
    if (derivatives_.has_column(input.name))
      tangents.seed(input.name, input.name, unit_columns(input, options_on(device_)));
  return tangents;
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
  const at::AutoDispatchBelowADInplaceOrView below_autograd;
  auto prepared = prepare(request);
  prepared.work.has_tangents = true;
  const auto & parameters = description_.parameters;
  auto results = run(prepared, parameter_seeds(),
                     [&](Work & work)
                     {
                       RowResults collected;
                       collect_outputs(work, collected);
                       visit_pairs(parameter_derivatives_, parameters,
                                   [&](const auto & output, const auto & parameter)
                                   {
                                     collected.push_back(block_from(work, parameter.name, output,
                                                                    {}, parameter.base_shape));
                                   });
                       return collected;
                     });
  auto blocks = named_blocks(prepared, parameter_derivatives_, parameters, results);
  return {outputs(prepared, results, Batch::Full), std::move(blocks)};
}

NamedTensors Model::param_vjp(const Request & request, const TensorMap & cotangents) const
{
  require_parameter_derivatives("param_vjp");
  const at::AutoDispatchBelowADInplaceOrView below_autograd;
  auto prepared = prepare(request);
  const auto & call = prepared.work.call;
  const auto weights = inputs_.prepare_cotangents(
      cotangents,
      [&](const std::string & output)
      {
        const auto known = shapes_.find(output);
        return known ? known->sub_batch : std::nullopt;
      },
      call.batch, call.rows);
  const bool has_adjoint = only_forward_ && only_forward_->adjoint();
  prepared.work.has_tangents = !has_adjoint;
  prepared.work.is_collected_alone = has_adjoint;
  prepared.work.failed_value = 0.0; // they add nothing to the sums
  const auto results =
      run(prepared, has_adjoint ? Tangents() : parameter_seeds(),
          [&](Work & work)
          {
            const auto gradients = gradients_per_row(work, weights);
            RowResults collected;
            for (const auto & parameter : description_.parameters)
            {
              const auto shape = concatenate({work.call.rows}, parameter.base_shape);
              const auto found = gradients.find(parameter.name);
              collected.push_back({found == gradients.end() ? at::zeros(shape, work.call.options)
                                                            : found->second.reshape(shape),
                                   {}});
            }
            return collected;
          });
  NamedTensors named;
  for (std::size_t k = 0; k < description_.parameters.size(); ++k)
  {
    const auto & parameter = description_.parameters[k];
    if (!parameter_derivatives_.has_column(parameter.name))
      continue;
    const auto gradient = parameter_gradient(results[k].data, parameter, call);
    named.emplace_back(parameter.public_name, prepared.foreign.own(gradient.to(dtype_)));
  }
  return named;
}

/// As callers get it: summed over the rows for a parameter without batch axes.
at::Tensor Model::parameter_gradient(const at::Tensor & per_row,
                                     const ParameterDescription & parameter,
                                     const Call & call) const
{
  const bool is_batched = !call.parameters.at(parameter.name).batch.empty();
  return is_batched ? with_batch(per_row, call.batch) : per_row.sum(0);
}

/// By authored name; parameters that no cotangent reaches are left out.
CotangentMap Model::gradients_per_row(const Work & work, const CotangentMap & cotangents) const
{
  const auto of_these_rows = [&](const at::Tensor & cotangent)
  { return cotangent.narrow(0, work.block.begin, work.block.count); };
  if (only_forward_ && only_forward_->adjoint())
  {
    CotangentMap complete;
    for (const auto & output : description_.outputs)
    {
      const auto given = cotangents.find(output.name);
      complete[output.name] =
          given != cotangents.end()
              ? of_these_rows(given->second)
              : at::zeros(concatenate({work.call.rows}, output.base_shape), work.call.options);
    }
    return only_forward_->parameter_gradients(work.state, complete, work.call);
  }
  CotangentMap gradients;
  for (const auto & [output, cotangent] : cotangents)
    for (const auto & [parameter, tangent] : work.tangents.of(output))
    {
      if (!parameter_derivatives_.contains(output, parameter))
        continue;
      accumulate(gradients, parameter, transposed_product(of_these_rows(cotangent), tangent));
    }
  return gradients;
}

} // namespace neml2_aoti_plugin
