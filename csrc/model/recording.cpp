// The reverse of a call: what Model::record keeps and Model::pull_back makes of it.
#include "model/recording.h"

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/ops/zeros.h>

#include "errors.h"
#include "layout/shapes.h"
#include "model/model.h"
#include "model/prepared.h"

namespace neml2_aoti_plugin
{

namespace
{

/// Names that are of no input or parameter of the model.
template <typename Described>
void require_known(const std::set<std::string> & names, const std::vector<Described> & described,
                   const std::string & kind)
{
  for (const auto & name : names)
    if (std::none_of(described.begin(), described.end(),
                     [&](const Described & known) { return known.public_name == name; }))
      throw InputError("a gradient by " + kind + " '" + name +
                       "' was asked for, and there is none");
}

void require_gradients(const std::map<std::string, RowList> & singular, const RowRange & block)
{
  if (singular.empty())
    return;
  const auto & [segment, rows] = *singular.begin();
  const auto first = block.begin + *std::min_element(rows.begin(), rows.end());
  throw Error("segment '" + segment + "': the system is singular at the solution of row " +
              std::to_string(first) + " of the batch, flattened" +
              (rows.size() == 1 ? "" : ", and of " + std::to_string(rows.size() - 1) + " more") +
              ", so that its gradient does not exist. Give its results no weight, or have a "
              "gradient that is not a number with set_on_failure(\"nan\").");
}

at::Tensor or_zeros(const at::Tensor & cotangent, std::int64_t rows, const Shape & tail,
                    const at::TensorOptions & options)
{
  const auto shape = concatenate({rows}, tail);
  return cotangent.defined() ? cotangent.reshape(shape) : at::zeros(shape, options);
}

std::int64_t numel_per_row(const at::Tensor & rows)
{
  const Shape shape = rows.sizes().vec();
  return element_count(Shape(shape.begin() + 1, shape.end()));
}

Shape value_shape(const BoundaryVariable & variable)
{
  return concatenate(variable.sub_batch_shape.value_or(Shape{}), variable.base_shape);
}

} // namespace

std::pair<NamedTensors, Recording> Model::record(const Request & request) const
{
  const at::AutoDispatchBelowADInplaceOrView below_autograd;
  auto prepared = prepare(request);
  auto & work = prepared.work;
  work.is_recorded = true;
  Recording recording;
  auto results =
      run(prepared, {},
          [&](Work & part)
          {
            RowResults collected;
            collect_outputs(part, collected);
            recording.blocks.push_back({part.block, part.call, std::move(part.tape), part.failed});
            recording.blocks.back().call.records = nullptr;
            for (const auto & output : description_.outputs)
              recording.sub_batches[output.name] =
                  sub_batch_of(output_value(part.state, output).data, output.base_shape);
            return collected;
          });
  recording.call = work.call;
  recording.call.records = nullptr;
  return {outputs(prepared, results, Batch::Full), std::move(recording)};
}

Gradients Model::pull_back(const Recording & recording, const TensorMap & cotangents,
                           const Wanted & wanted) const
{
  require_known(wanted.inputs, description_.inputs, "input");
  require_known(wanted.parameters, description_.parameters, "parameter");
  require_pairs(cotangents, wanted);
  const at::AutoDispatchBelowADInplaceOrView below_autograd;
  const auto & call = recording.call;
  const auto weights = inputs_.prepare_cotangents(
      cotangents, [&](const std::string & output) { return recording.sub_batches.at(output); },
      call.batch, call.rows);
  const auto what_moves = moving(wanted);
  std::vector<RowResults> blocks;
  for (const auto & block : recording.blocks)
    blocks.push_back(pull_back_block(block, weights, what_moves, wanted));
  const auto results = joined(std::move(blocks));

  Gradients gradients;
  ForeignStorage foreign;
  for (const auto & [name, weight] : weights)
    foreign.add(weight);
  auto next = results.begin();
  for (const auto & input : description_.inputs)
    if (wanted.inputs.count(input.public_name) > 0)
      gradients.inputs.emplace_back(input.public_name,
                                    foreign.own(with_batch((next++)->data, call.batch).to(dtype_)));
  for (const auto & parameter : description_.parameters)
  {
    if (wanted.parameters.count(parameter.public_name) == 0)
      continue;
    const auto gradient = parameter_gradient((next++)->data, parameter, call);
    gradients.parameters.emplace_back(parameter.public_name, foreign.own(gradient.to(dtype_)));
  }
  return gradients;
}

RowResults Model::pull_back_block(const RecordedBlock & block, const CotangentMap & weights,
                                  const Moving & moving, const Wanted & wanted) const
{
  Cotangents cotangents(moving);
  for (const auto & [output, weight] : weights)
  {
    const auto own = weight.narrow(0, block.rows.begin, block.rows.count);
    cotangents.add(output, own.reshape({own.size(0), numel_per_row(weight)}));
  }
  for (std::size_t k = segments_.size(); k-- > 0;)
    segments_[k]->pull_back(block.tape[k], cotangents, block.call);
  if (!block.call.goes_on)
    require_gradients(cotangents.singular(), block.rows);
  RowResults results;
  for (const auto & input : description_.inputs)
    if (wanted.inputs.count(input.public_name) > 0)
      results.push_back({or_zeros(cotangents.take(input.name), block.rows.count, value_shape(input),
                                  block.call.options),
                         {}});
  for (const auto & parameter : description_.parameters)
    if (wanted.parameters.count(parameter.public_name) > 0)
      results.push_back({or_zeros(cotangents.take_parameter(parameter.name), block.rows.count,
                                  parameter.base_shape, block.call.options),
                         {}});
  for (auto & result : results)
    result.data = block.failed.overwritten(result.data, 0.0);
  return results;
}

/// All that moves anywhere in the model with what is wanted.
Moving Model::moving(const Wanted & wanted) const
{
  Moving now;
  for (const auto & input : description_.inputs)
    if (wanted.inputs.count(input.public_name) > 0)
      now.variables.insert(input.name);
  for (const auto & parameter : description_.parameters)
    if (wanted.parameters.count(parameter.public_name) > 0)
      now.parameters.insert(parameter.name);
  auto ever = now;
  for (const auto & segment : segments_)
  {
    segment->pass_on(now);
    ever.variables.insert(now.variables.begin(), now.variables.end());
  }
  return ever;
}

void Model::require_pairs(const TensorMap & cotangents, const Wanted & wanted) const
{
  const auto require = [&](const DerivativePairs & pairs, const BoundaryVariable & output,
                           const auto & column, const std::string & flags)
  {
    if (!pairs.contains(output.name, column.name))
      throw DerivativeNotCompiledError(
          "a gradient of output '" + output.public_name + "' by '" + column.public_name +
          "' was asked for, but " + description_.label +
          " was compiled without this pair; recompile it with neml2-compile " + flags + "-d " +
          output.public_name + ":" + column.public_name +
          " beside the present options, or detach one of the two");
  };
  for (const auto & output : description_.outputs)
  {
    if (cotangents.count(output.public_name) == 0)
      continue;
    for (const auto & input : description_.inputs)
      if (wanted.inputs.count(input.public_name) > 0)
        require(derivatives_, output, input, "");
    for (const auto & parameter : description_.parameters)
      if (wanted.parameters.count(parameter.public_name) > 0)
        require(parameter_derivatives_, output, parameter,
                "--parameter " + parameter.public_name + " ");
  }
}

} // namespace neml2_aoti_plugin
