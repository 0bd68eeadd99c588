#include "segments/sensitivity.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <iterator>
#include <limits>
#include <map>

#include "errors.h"
#include "layout/shapes.h"
#include "numerics/direct_solver.h"
#include "numerics/row_matmul.h"
#include "segments/sensitivity_cells.h"

namespace neml2_aoti_plugin
{

namespace
{

/// -A^-1 B, (rows, n, m). Where A is singular it is not a number; these rows are added to
/// `singular`.
at::Tensor minus_solved(const at::Tensor & a, const at::Tensor & b, RowList & singular)
{
  const auto [solution, rows] = solve_columns(a, b);
  if (rows.empty())
    return -solution;
  singular.insert(singular.end(), rows.begin(), rows.end());
  return (-solution).index_fill(0, row_index(rows, a.device()),
                                std::numeric_limits<double>::quiet_NaN());
}

template <typename Pair>
Tensors cut_blocks(const at::Tensor & matrix, const std::vector<Pair> & pairs,
                   const std::function<const Shape &(const Pair &)> & column_shape)
{
  Tensors blocks;
  for (const auto & pair : pairs)
    blocks.push_back(matrix.narrow(1, pair.row_offset, element_count(pair.output_base_shape))
                         .narrow(2, pair.column_offset, element_count(column_shape(pair))));
  return blocks;
}

at::Tensor as_matrices(const at::Tensor & block, const Shape & out, const Shape & in)
{
  return block.reshape({-1, element_count(out), element_count(in)});
}

std::vector<InputPair> all_pairs(const Sensitivity::Places & unknowns,
                                 const Sensitivity::Places & givens)
{
  std::vector<InputPair> pairs;
  for (const auto & unknown : unknowns)
    for (const auto & given : givens)
    {
      InputPair pair;
      pair.output = unknown.name;
      pair.input = given.name;
      pair.output_base_shape = unknown.shape;
      pair.input_base_shape = given.shape;
      pair.batch_independent = false;
      pair.row_offset = unknown.offset;
      pair.column_offset = given.offset;
      pairs.push_back(std::move(pair));
    }
  return pairs;
}

/// All unknowns by each parameter that is in any of the pairs.
std::vector<ParameterPair> all_pairs(const Sensitivity::Places & unknowns,
                                     const std::vector<ParameterPair> & known)
{
  std::map<std::string, ParameterPair> by_parameter;
  for (const auto & pair : known)
    by_parameter.emplace(pair.parameter, pair);
  std::vector<ParameterPair> pairs;
  for (const auto & unknown : unknowns)
    for (auto [name, pair] : by_parameter)
    {
      pair.output = unknown.name;
      pair.output_base_shape = unknown.shape;
      pair.row_offset = unknown.offset;
      pairs.push_back(std::move(pair));
    }
  return pairs;
}

bool all_dense(const std::vector<Group> & groups)
{
  return std::all_of(groups.begin(), groups.end(),
                     [](const Group & group) { return group.structure == Structure::Dense; });
}

} // namespace

Sensitivity::Sensitivity(const ImplicitSegmentDescription & description, GraphStore & graphs)
    : label_(description.label), unknown_groups_(description.unknown_groups.size()),
      given_groups_(description.given_groups.size()),
      is_dense_(all_dense(description.unknown_groups) && all_dense(description.given_groups)),
      is_on_processor_(graphs.is_on_processor()), unknowns_(places_of(description.unknown_groups)),
      givens_(places_of(description.given_groups))
{
  const auto optional_graph = [&](const std::optional<std::string> & path)
  { return path ? &graphs.get(*path) : nullptr; };
  if (description.sensitivity)
  {
    if (const auto * fused = std::get_if<FusedSensitivity>(&*description.sensitivity))
    {
      given_pairs_ = fused->pairs;
      given_graphs_ = {{}, &graphs.get(fused->graph)};
    }
    else if (const auto * cells = std::get_if<CellSensitivity>(&*description.sensitivity))
    {
      cells_ = cells->cells;
      given_pairs_ = cell_pairs(cells_);
      joined_givens_ = joined_givens(cells_);
      given_graphs_ = {{}, &graphs.get(cells->graph)};
    }
    else
    {
      const auto & split = std::get<OperatorSensitivity>(*description.sensitivity);
      given_pairs_ = split.pairs;
      given_graphs_ = {{&graphs.get(split.jacobian), &graphs.get(split.jacobian_given)},
                       optional_graph(split.solve)};
    }
  }
  if (description.parameter_sensitivity)
  {
    if (const auto * fused =
            std::get_if<FusedParameterSensitivity>(&*description.parameter_sensitivity))
    {
      parameter_pairs_ = fused->pairs;
      parameter_graphs_ = {{}, &graphs.get(fused->graph)};
    }
    else
    {
      const auto & split =
          std::get<OperatorParameterSensitivity>(*description.parameter_sensitivity);
      parameter_pairs_ = split.pairs;
      parameter_graphs_ = {{&graphs.get(split.residual_jacobians)}, optional_graph(split.solve)};
    }
  }
  if (description.max_substepping_level > 0)
    complete_pairs();
}

/// An artifact carries the pairs that lead to the derivatives asked for when it was compiled. Where
/// an increment is solved in substeps, all do: each substep hands old states and forces on.
void Sensitivity::complete_pairs()
{
  const auto complete = [&](auto & pairs, auto all, Graphs & graphs)
  {
    if (pairs.size() == all.size())
      return true;
    if (pairs.empty() || !is_dense_ || graphs.operators.empty())
      return false;
    pairs = std::move(all);
    graphs.solve = nullptr; // it knows those compiled only
    return true;
  };
  const auto given = complete(given_pairs_, all_pairs(unknowns_, givens_), given_graphs_);
  const auto parameter =
      complete(parameter_pairs_, all_pairs(unknowns_, parameter_pairs_), parameter_graphs_);
  knows_substeps_ = given && parameter;
}

void Sensitivity::refuse_joined(const std::string & given) const
{
  throw UnsupportedFeatureError(
      "segment '" + label_ + "': derivatives with respect to '" + given +
      "' were compiled as if all its sites moved together, though its unknowns depend on each "
      "of them. Leave it out, or recompile the model with neml2 3.1.0.");
}

void Sensitivity::require_known(const Tangents & tangents) const
{
  for (const auto & given : joined_givens_)
    if (tangents.has(given))
      refuse_joined(given);
}

void Sensitivity::require_known(const Moving & wanted) const
{
  for (const auto & given : joined_givens_)
    if (wanted.variables.count(given) > 0)
      refuse_joined(given);
}

void Sensitivity::require_substeps(const Tangents & tangents) const
{
  if (is_reached_by(tangents))
    require_substeps();
}

void Sensitivity::require_substeps() const
{
  if (!knows_substeps_)
    throw UnsupportedFeatureError(
        "segment '" + label_ +
        "': derivatives were asked for where an increment had to be solved in substeps. They need "
        "those of all its unknowns with respect to all its inputs and old states, of which the "
        "artifact carries some only. Recompile the model with neml2-compile -d : beside the "
        "present pairs, or reduce the increment.");
}

bool Sensitivity::differentiates(const std::string & given) const
{
  return std::any_of(given_pairs_.begin(), given_pairs_.end(),
                     [&](const InputPair & pair) { return pair.input == given; });
}

bool Sensitivity::is_reached_through_givens(const Tangents & tangents) const
{
  return std::any_of(given_pairs_.begin(), given_pairs_.end(),
                     [&](const InputPair & pair) { return tangents.has(pair.input); });
}

bool Sensitivity::is_reached_through_parameters(const Tangents & tangents) const
{
  return std::any_of(parameter_pairs_.begin(), parameter_pairs_.end(),
                     [&](const ParameterPair & pair)
                     { return tangents.seeds_parameter(pair.parameter); });
}

bool Sensitivity::is_reached_by(const Tangents & tangents) const
{
  return is_reached_through_givens(tangents) || is_reached_through_parameters(tangents);
}

/// Where variables are along the axis of all groups together.
Sensitivity::Places Sensitivity::places_of(const std::vector<Group> & groups)
{
  Places places;
  std::int64_t offset = 0;
  for (const auto & group : groups)
    for (const auto & slot : group.slots)
    {
      places.push_back({slot.name, concatenate(slot.sub_batch_shape, slot.base_shape), offset});
      offset += places.back().width();
    }
  return places;
}

ComputedTangents Sensitivity::tangents_at(const Groups & u, const SolveArguments & arguments,
                                          const Tangents & tangents, RowList & singular) const
{
  ComputedTangents computed;
  if (is_reached_through_givens(tangents))
  {
    if (solves_for_columns())
      add_solved_columns(computed, u, arguments, tangents, singular);
    else
      add_blocks(computed, u, arguments, tangents);
  }
  if (is_reached_through_parameters(tangents))
    add_parameter_blocks(computed, u, arguments, tangents, singular);
  return computed;
}

/// Whether A and B are at hand as matrices and are solved by us: always on the processor, elsewhere
/// where the artifact leaves it to us.
bool Sensitivity::solves_for_columns() const
{
  return is_dense_ && !given_graphs_.operators.empty() &&
         (is_on_processor_ || !given_graphs_.solve);
}

/// The same for the derivative by parameters.
bool Sensitivity::solves_for_parameters() const
{
  return !parameter_graphs_.operators.empty() && (is_on_processor_ || !parameter_graphs_.solve);
}

/// du = -A^-1 (B dg), with as many right-hand sides as the seeds have columns.
void Sensitivity::add_solved_columns(ComputedTangents & computed, const Groups & u,
                                     const SolveArguments & arguments, const Tangents & tangents,
                                     RowList & singular) const
{
  const auto tensors = arguments.with(u);
  const auto a = system_matrix(tensors, arguments);
  const auto b = given_matrix(tensors, arguments);

  SeedTangents right;
  for (const auto & place : givens_)
    if (differentiates(place.name))
      accumulate(right, b.narrow(2, place.offset, place.width()), tangents.of(place.name));
  Tensors columns;
  for (const auto & [seed, column] : right)
    columns.push_back(column.expand({arguments.rows, -1, -1}));
  const auto solution = minus_solved(a, at::cat(columns, 2), singular);
  std::int64_t offset = 0;
  for (const auto & [seed, column] : right)
  {
    const auto of_seed = solution.narrow(2, offset, column.size(2));
    for (const auto & place : unknowns_)
      accumulate(computed[place.name], seed, of_seed.narrow(1, place.offset, place.width()));
    offset += column.size(2);
  }
}

/// A, (rows, n, n).
at::Tensor Sensitivity::system_matrix(const Tensors & tensors,
                                      const SolveArguments & arguments) const
{
  auto blocks = operator_blocks(*given_graphs_.operators[0], tensors, unknown_groups_);
  blocks.resize(unknown_groups_ * unknown_groups_);
  return arguments.own({assembled(blocks, unknown_groups_, unknown_groups_)}).front();
}

/// B, (rows, n, |g|).
at::Tensor Sensitivity::given_matrix(const Tensors & tensors,
                                     const SolveArguments & arguments) const
{
  const auto blocks =
      contiguous(given_graphs_.operators[1]->run(tensors, unknown_groups_ * given_groups_));
  return arguments.own({assembled(blocks, unknown_groups_, given_groups_)}).front();
}

void Sensitivity::add_blocks(ComputedTangents & computed, const Groups & u,
                             const SolveArguments & arguments, const Tangents & tangents) const
{
  const auto blocks = given_blocks(u, arguments);
  for (std::size_t k = 0; k < blocks.size(); ++k)
  {
    const auto & pair = given_pairs_[k];
    accumulate(computed[pair.output],
               as_matrices(blocks[k], pair.output_base_shape, pair.input_base_shape),
               tangents.of(pair.input));
  }
}

void Sensitivity::add_parameter_blocks(ComputedTangents & computed, const Groups & u,
                                       const SolveArguments & arguments, const Tangents & tangents,
                                       RowList & singular) const
{
  const auto blocks = parameter_blocks(u, arguments, singular);
  for (std::size_t k = 0; k < blocks.size(); ++k)
  {
    const auto & pair = parameter_pairs_[k];
    if (tangents.seeds_parameter(pair.parameter))
      accumulate(computed[pair.output], pair.parameter,
                 as_matrices(blocks[k], pair.output_base_shape, pair.parameter_base_shape));
  }
}

/// One block per pair, each (rows, |unknown|, |given|).
Tensors Sensitivity::given_blocks(const Groups & u, const SolveArguments & arguments) const
{
  const auto count = given_pairs_.size();
  const auto tensors = arguments.with(u);
  if (!cells_.empty())
    return cell_blocks(cells_, arguments.own(given_graphs_.solve->run(tensors, cells_.size())),
                       arguments.rows, given_graphs_.solve->path());
  if (given_graphs_.operators.empty())
    return arguments.own(given_graphs_.solve->run(tensors, count));
  auto a = operator_blocks(*given_graphs_.operators[0], tensors, unknown_groups_);
  a.resize(unknown_groups_ * unknown_groups_);
  const auto b =
      contiguous(given_graphs_.operators[1]->run(tensors, unknown_groups_ * given_groups_));
  if (!given_graphs_.solve)
    throw UnsupportedFeatureError(
        "segment '" + label_ +
        "': derivatives by an iterative solver need dense groups, and this segment has a block "
        "group. Recompile the model with a direct sensitivity solver.");
  a.insert(a.end(), b.begin(), b.end());
  return arguments.own(given_graphs_.solve->run(a, count));
}

SolveArguments Sensitivity::with_parameters_per_row(const SolveArguments & arguments) const
{
  auto per_row = arguments;
  const auto places = arguments.placement ? arguments.placement->places() : arguments.rows;
  for (auto & parameter : per_row.parameters)
    parameter =
        parameter.unsqueeze(0).expand(concatenate({places}, parameter.sizes().vec())).contiguous();
  return per_row;
}

/// One block per pair, each (rows, *unknown, *parameter). These graphs take a value per row.
Tensors Sensitivity::parameter_blocks(const Groups & u, const SolveArguments & arguments,
                                      RowList & singular) const
{
  const auto count = parameter_pairs_.size();
  const auto tensors = with_parameters_per_row(arguments).with(u);
  if (parameter_graphs_.operators.empty())
    return arguments.own(parameter_graphs_.solve->run(tensors, count));
  const auto jacobians = contiguous(parameter_graphs_.operators[0]->run(tensors, 2));
  if (!solves_for_parameters())
    return arguments.own(parameter_graphs_.solve->run(jacobians, count));
  const auto own = arguments.own(jacobians);
  return cut_blocks<ParameterPair>(minus_solved(own[0], own[1], singular), parameter_pairs_,
                                   [](const ParameterPair & pair) -> const Shape &
                                   { return pair.parameter_base_shape; });
}

// --- reverse

PulledBack Sensitivity::pulled_back(const Groups & u, const SolveArguments & arguments,
                                    const CotangentMap & of_unknowns, const Moving & wanted) const
{
  PulledBack result;
  const bool wants_given =
      std::any_of(given_pairs_.begin(), given_pairs_.end(),
                  [&](const InputPair & pair) { return wanted.variables.count(pair.input) > 0; });
  const bool wants_parameter =
      std::any_of(parameter_pairs_.begin(), parameter_pairs_.end(), [&](const ParameterPair & pair)
                  { return wanted.parameters.count(pair.parameter) > 0; });
  at::Tensor lambda; // solved for once, wherever A comes from
  if (wants_parameter)
    lambda = pull_back_to_parameters(result, u, arguments, of_unknowns);
  if (wants_given)
    pull_back_to_givens(result, u, arguments, of_unknowns, wanted, lambda);
  return result;
}

/// -A^-T dL/du, (rows, 1, n). Where L does not depend on u it is zero, whatever A is.
at::Tensor Sensitivity::adjoint(const at::Tensor & a, const CotangentMap & of_unknowns,
                                RowList & singular) const
{
  Tensors parts;
  for (const auto & place : unknowns_)
  {
    const auto found = of_unknowns.find(place.name);
    parts.push_back(found == of_unknowns.end() ? at::zeros({a.size(0), place.width()}, a.options())
                                               : found->second);
  }
  const auto right = at::cat(parts, 1).unsqueeze(2);
  RowList found;
  const auto lambda = minus_solved(a.transpose(1, 2).contiguous(), right, found).transpose(1, 2);
  if (found.empty())
    return lambda;
  const auto is_zero = right.eq(0.0).flatten(1).all(1);
  std::copy_if(found.begin(), found.end(), std::back_inserter(singular),
               [&](std::int64_t row) { return !is_zero[row].item<bool>(); });
  return lambda.masked_fill(is_zero.reshape({-1, 1, 1}), 0.0);
}

/// `lambda` is undefined where it has not been solved for yet.
void Sensitivity::pull_back_to_givens(PulledBack & result, const Groups & u,
                                      const SolveArguments & arguments,
                                      const CotangentMap & of_unknowns, const Moving & wanted,
                                      const at::Tensor & lambda) const
{
  if (solves_for_columns())
  {
    const auto tensors = arguments.with(u);
    const auto multiplier =
        lambda.defined() ? lambda
                         : adjoint(system_matrix(tensors, arguments), of_unknowns, result.singular);
    const auto all = row_matmul(multiplier, given_matrix(tensors, arguments)).squeeze(1);
    for (const auto & place : givens_)
      if (differentiates(place.name))
        result.givens[place.name] = all.narrow(1, place.offset, place.width());
    return;
  }
  const auto blocks = given_blocks(u, arguments);
  for (std::size_t k = 0; k < blocks.size(); ++k)
  {
    const auto & pair = given_pairs_[k];
    const auto found = of_unknowns.find(pair.output);
    if (found == of_unknowns.end() || wanted.variables.count(pair.input) == 0)
      continue;
    accumulate(result.givens, pair.input,
               transposed_product(found->second, as_matrices(blocks[k], pair.output_base_shape,
                                                             pair.input_base_shape)));
  }
}

/// Returns the adjoint if it had to be solved for.
at::Tensor Sensitivity::pull_back_to_parameters(PulledBack & result, const Groups & u,
                                                const SolveArguments & arguments,
                                                const CotangentMap & of_unknowns) const
{
  if (solves_for_parameters())
  {
    const auto tensors = with_parameters_per_row(arguments).with(u);
    const auto jacobians =
        arguments.own(contiguous(parameter_graphs_.operators[0]->run(tensors, 2)));
    const auto lambda = adjoint(jacobians[0], of_unknowns, result.singular);
    const auto all = row_matmul(lambda, jacobians[1]).squeeze(1);
    for (const auto & pair : parameter_pairs_)
      result.parameters[pair.parameter] =
          all.narrow(1, pair.column_offset, element_count(pair.parameter_base_shape));
    return lambda;
  }
  const auto blocks = parameter_blocks(u, arguments, result.singular);
  for (std::size_t k = 0; k < blocks.size(); ++k)
  {
    const auto & pair = parameter_pairs_[k];
    if (const auto found = of_unknowns.find(pair.output); found != of_unknowns.end())
      accumulate(result.parameters, pair.parameter,
                 transposed_product(found->second, as_matrices(blocks[k], pair.output_base_shape,
                                                               pair.parameter_base_shape)));
  }
  return {};
}

} // namespace neml2_aoti_plugin
