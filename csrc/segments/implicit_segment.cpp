#include "segments/implicit_segment.h"

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <limits>

#include "errors.h"
#include "execution/blocks.h"
#include "layout/shapes.h"
#include "numerics/convergence_error.h"
#include "segments/graph_values.h"
#include "segments/parameter_parts.h"
#include "segments/reverse_increment.h"

namespace neml2_aoti_plugin
{

namespace
{

/// What is kept of the rows that were solved.
Solution solution_of(const Outcome & outcome, const RowList & solved,
                     const SolveArguments & arguments, const at::Tensor & origin, const Span & span)
{
  const auto & unknowns = outcome.newton.unknowns;
  if (outcome.newton.all_converged())
    return {origin, span, arguments, unknowns};
  const auto index = row_index(solved, unknowns.front().device());
  return {origin.defined() ? take_rows(origin, index) : index, span, arguments.restricted_to(index),
          select_rows(unknowns, index)};
}

/// The numbers in the segment of some rows of a solution.
RowList rows_of(const Solution & solution, const RowList & places)
{
  if (!solution.rows.defined() || places.empty())
    return places;
  return row_list(take_rows(solution.rows, row_index(places, solution.rows.device())));
}

bool took_no_iterations(const NewtonResult & result)
{
  return std::all_of(result.iterations.begin(), result.iterations.end(),
                     [](auto count) { return count == 0; });
}

} // namespace

ImplicitSegment::ImplicitSegment(ImplicitSegmentDescription description, const ShapeTable & shapes,
                                 GraphStore & graphs)
    : description_(std::move(description)), graphs_(description_, graphs),
      sensitivity_(description_, graphs)
{
  if (description_.predictor)
    predictor_.emplace(*description_.predictor, description_.label, shapes, graphs);
}

void ImplicitSegment::run(State & state, Tangents * tangents, Passage * passage,
                          const Call & call) const
{
  if (predictor_)
    predictor_->run(state, call.rows, call.options, {});
  if (tangents)
  {
    drop_predicted_tangents(*tangents);
    sensitivity_.require_known(*tangents);
  }
  Outcome outcome;
  if (call.rows == 0)
    outcome.newton.unknowns = initial_guess(state, 0, call.options);
  else
    outcome =
        solve_parts(whole_increment(state, tangents, call), tangents != nullptr, passage, call);
  const bool is_at_guess = call.rows > 0 && took_no_iterations(outcome.newton);
  write_unknowns(outcome.newton.unknowns, is_at_guess, state, call);
  if (!tangents)
    return;
  for (const auto & group : description_.unknown_groups)
    for (const auto & slot : group.slots)
      tangents->replace(slot.name, std::move(outcome.tangents[slot.name]));
}

/// Only a segment that may take substeps asks for a small last update: a row that fails this test
/// is solved in substeps, and would fail for good without them.
NewtonSettings ImplicitSegment::settings(const Call & call) const
{
  auto settings = call.newton.value_or(description_.newton);
  settings.max_corrections = call.max_corrections;
  if (description_.max_substepping_level == 0)
    settings.update_tolerance = std::numeric_limits<double>::infinity();
  return settings;
}

ImplicitSegment::Manner ImplicitSegment::manner(const Call & call) const
{
  if (!is_divisible() || !call.options.device().is_cpu())
    return {settings(call), all_at_once, call.team.undivided()};
  return {settings(call), call.chunk_rows, call.team};
}

Increment ImplicitSegment::whole_increment(const State & state, const Tangents * tangents,
                                           const Call & call) const
{
  Increment whole{{}, {}, {}, call.rows};
  if (description_.whole_batch)
    whole.placement.emplace(call.rows, call.options.device());
  const auto take = [&](const std::string & name)
  { whole.values[name] = value_of(state, name, description_.label); };
  for (const auto & given : description_.givens)
    take(given.name);
  for (const auto & group : description_.given_groups)
    for (const auto & slot : group.slots)
      take(slot.name);
  if (predictor_)
    for (const auto & input : predictor_->inputs())
      take(input);
  for (const auto & group : description_.unknown_groups)
    for (const auto & slot : group.slots)
      if (uses_guess_in(state, slot.name))
        take(slot.name);
  if (tangents)
    whole.tangents = *tangents;
  return whole;
}

// --- solving

Outcome ImplicitSegment::solve_parts(const Increment & whole, bool has_tangents, Passage * passage,
                                     const Call & call) const
{
  auto how = manner(call);
  how.passage = passage;
  const auto parts = parts_by_parameters(description_.parameters, call);
  Outcome outcome;
  if (parts.size() == 1)
  {
    auto increment = whole;
    increment.parameters = parts.front().values;
    outcome = integrate(increment, {}, 0, how);
  }
  else
  {
    outcome.newton = untouched_rows(static_cast<std::size_t>(call.rows));
    outcome.newton.unknowns = initial_guess(whole.values, call.rows, call.options);
    outcome.substeps.assign(outcome.newton.rows(), 0);
    for (const auto & part : parts)
    {
      auto increment = whole.restricted_to(row_index(part.rows, call.options.device()));
      increment.parameters = part.values;
      outcome.supersede(part.rows, integrate(increment, {}, 0, how), false);
    }
  }
  auto unknowns = named_unknowns(outcome.newton.unknowns);
  if (call.records)
  {
    auto rows = outcome.newton;
    rows.unknowns.clear();
    call.records->push_back({description_.label, has_tangents, call.batch, how.settings,
                             std::move(rows), outcome.substeps, outcome.attempts, unknowns,
                             description_.max_substepping_level});
  }
  if (!outcome.newton.all_converged() && !call.goes_on)
    throw ConvergenceError(description_.label, std::move(outcome.newton), std::move(unknowns),
                           how.settings, description_.max_substepping_level);
  return outcome;
}

/// The rows that fail over the span are solved over its halves, one after the other; a row that
/// fails in the first half is not tried in the second.
Outcome ImplicitSegment::integrate(const Increment & increment, const Span & span,
                                   std::int64_t level, const Manner & manner) const
{
  auto part = increment.over(span, description_.givens);
  if (predictor_ && !span.is_whole())
    predictor_->run(part.values, part.rows, part.values.begin()->second.data.options(),
                    part.placement);
  auto outcome = solve(std::move(part), span, manner);
  const auto failed = outcome.rows_with(false);
  outcome.attempts.push_back({span.begin, span.end, level, increment.rows,
                              static_cast<std::int64_t>(failed.size()), outcome.newton.trace});
  if (failed.empty() || level >= description_.max_substepping_level)
    return outcome;

  const auto device = outcome.newton.unknowns.front().device();
  const auto rest = increment.restricted_to(row_index(failed, device));
  sensitivity_.require_substeps(rest.tangents);
  auto halves = integrate(rest, span.first_half(), level + 1, manner);
  const auto going_on = halves.rows_with(true);
  if (!going_on.empty())
  {
    const auto index = row_index(going_on, device);
    auto second = rest.restricted_to(index);
    second.continue_from(named_unknowns(select_rows(halves.newton.unknowns, index)),
                         select_rows(halves.tangents, index), description_.givens);
    halves.supersede(going_on, integrate(second, span.second_half(), level + 1, manner), false);
  }
  outcome.supersede(failed, halves, true);
  return outcome;
}

/// One Newton solve, and the tangents of the rows that it solved. A row without tangents fails.
Outcome ImplicitSegment::solve(Increment part, const Span & span, const Manner & manner) const
{
  const auto options = part.values.begin()->second.data.options();
  const SolveArguments arguments{pack_givens(part.values, part.rows), part.parameters, part.rows,
                                 part.placement};
  const auto system = graphs_.system(arguments);
  const auto guess = initial_guess(part.values, part.rows, options);
  const auto chunk_rows =
      manner.chunk_rows > 0 ? manner.chunk_rows : graphs_.chunk_rows(arguments, guess);
  Outcome outcome;
  outcome.newton =
      solve_newton(*system, guess, manner.settings,
                   shared_rows(part.rows, chunk_rows, manner.team.size()), manner.team);
  outcome.substeps.assign(outcome.newton.rows(), 1);
  if (sensitivity_.is_reached_by(part.tangents))
    add_tangents(outcome, arguments, part.tangents, chunk_rows);
  const auto solved = outcome.rows_with(true);
  if (manner.passage && !solved.empty())
    manner.passage->solutions.push_back(solution_of(outcome, solved, arguments, part.origin, span));
  return outcome;
}

/// To the rows that are solved; those that have no tangents become failed.
void ImplicitSegment::add_tangents(Outcome & outcome, const SolveArguments & arguments,
                                   const Tangents & tangents, std::int64_t chunk_rows) const
{
  const auto solved = outcome.rows_with(true);
  if (solved.empty())
    return;
  RowList singular;
  auto computed = tangents_of(outcome, solved, arguments, tangents, chunk_rows, singular);
  for (const auto place : singular)
    outcome.newton.status[static_cast<std::size_t>(solved[static_cast<std::size_t>(place)])] =
        RowStatus::NoTangent;
  if (outcome.newton.all_converged())
  {
    outcome.tangents = std::move(computed);
    return;
  }
  RowList places;
  for (std::size_t place = 0; place < solved.size(); ++place)
    if (outcome.newton.status[static_cast<std::size_t>(solved[place])] == RowStatus::Converged)
      places.push_back(static_cast<std::int64_t>(place));
  if (places.empty())
    return;
  const auto device = outcome.newton.unknowns.front().device();
  outcome.adopt_tangents(row_index(pick(solved, places), device),
                         select_rows(computed, row_index(places, device)));
}

/// Of these rows, some at a time. Places among them that have no tangents are added to `singular`.
ComputedTangents ImplicitSegment::tangents_of(const Outcome & outcome, const RowList & rows,
                                              const SolveArguments & arguments,
                                              const Tangents & tangents, std::int64_t chunk_rows,
                                              RowList & singular) const
{
  const auto & unknowns = outcome.newton.unknowns;
  const auto count = static_cast<std::int64_t>(rows.size());
  if (outcome.newton.all_converged() && count <= chunk_rows)
    return sensitivity_.tangents_at(unknowns, arguments, tangents, singular);
  std::unordered_map<std::string, std::map<std::string, Tensors>> parts;
  for (const auto & block : equal_blocks(count, chunk_rows))
  {
    const auto begin = rows.begin() + block.begin;
    const auto index = row_index({begin, begin + block.count}, unknowns.front().device());
    RowList singular_of_block;
    const auto computed =
        sensitivity_.tangents_at(select_rows(unknowns, index), arguments.restricted_to(index),
                                 tangents.restricted_to(index), singular_of_block);
    for (const auto row : singular_of_block)
      singular.push_back(block.begin + row);
    for (const auto & [unknown, seeds] : computed)
      for (const auto & [seed, tangent] : seeds)
        parts[unknown][seed].push_back(tangent.expand({block.count, -1, -1}));
  }
  ComputedTangents joined;
  for (const auto & [unknown, seeds] : parts)
    for (const auto & [seed, tensors] : seeds)
      joined[unknown][seed] = tensors.size() == 1 ? tensors.front() : at::cat(tensors, 0);
  return joined;
}

// --- unknowns and givens by name

bool ImplicitSegment::uses_guess_in(const State & state, const std::string & unknown) const
{
  const bool is_allowed = description_.initial_guess == InitialGuess::State ||
                          (predictor_ && predictor_->predicts(unknown));
  return is_allowed && state.count(unknown) > 0;
}

/// Predicted values first, then, where the artifact says so, what the caller or an earlier segment
/// left; zero otherwise.
Groups ImplicitSegment::initial_guess(const State & values, std::int64_t rows,
                                      const at::TensorOptions & options) const
{
  const auto guess_of = [&](const Slot & slot)
  {
    if (uses_guess_in(values, slot.name))
      return values.at(slot.name).data;
    const auto shape = concatenate(slot.sub_batch_shape, slot.base_shape);
    return at::zeros(concatenate({rows}, shape), options);
  };
  Groups guess;
  for (const auto & group : description_.unknown_groups)
    guess.push_back(pack(group, rows, guess_of));
  return guess;
}

Groups ImplicitSegment::pack_givens(const State & values, std::int64_t rows) const
{
  Groups givens;
  for (const auto & group : description_.given_groups)
    givens.push_back(
        pack(group, rows, [&](const Slot & slot) { return values.at(slot.name).data; }));
  return givens;
}

Shape ImplicitSegment::guess_batch(const State & state, const std::string & unknown) const
{
  return uses_guess_in(state, unknown) ? state.at(unknown).batch : Shape{};
}

/// As the host's native models do, a solve that accepts its guess keeps the batch of the guess.
void ImplicitSegment::write_unknowns(const Groups & solved, bool is_at_guess, State & state,
                                     const Call & call) const
{
  Shape solved_batch;
  const auto widen = [&](const Shape & batch)
  { solved_batch = broadcast(solved_batch, batch).value(); };
  for (const auto & group : description_.given_groups)
    for (const auto & slot : group.slots)
      widen(value_of(state, slot.name, description_.label).batch);
  for (const auto & name : description_.parameters)
    widen(call.parameters.at(name).batch);
  for (const auto & group : description_.unknown_groups)
    for (const auto & slot : group.slots)
      widen(guess_batch(state, slot.name));

  for (auto & [name, data] : named_unknowns(solved))
  {
    const auto batch = is_at_guess ? guess_batch(state, name) : solved_batch;
    state[name] = {data.contiguous(), batch};
  }
}

ImplicitSegment::NamedData ImplicitSegment::named_unknowns(const Groups & unknowns) const
{
  NamedData named;
  for (std::size_t k = 0; k < unknowns.size(); ++k)
  {
    const auto & group = description_.unknown_groups[k];
    const auto values = unpack(group, unknowns[k]);
    for (std::size_t i = 0; i < values.size(); ++i)
      named.emplace_back(group.slots[i].name, values[i]);
  }
  return named;
}

/// A prediction is a guess, of which the solution is independent. One that also is a given would
/// need the derivative of the predictor, which no artifact carries.
void ImplicitSegment::drop_predicted_tangents(Tangents & tangents) const
{
  if (!predictor_)
    return;
  const auto & inputs = predictor_->inputs();
  require_no_given_predicted(std::any_of(inputs.begin(), inputs.end(),
                                         [&](const auto & input) { return tangents.has(input); }));
  for (const auto & output : predictor_->outputs())
    tangents.replace(output, {});
}

void ImplicitSegment::require_no_given_predicted(bool is_moving) const
{
  for (const auto & output : predictor_->outputs())
    if (is_moving && sensitivity_.differentiates(output))
      throw UnsupportedFeatureError("segment '" + description_.label + "': '" + output +
                                    "' is computed by the predictor and held fixed by the solve; "
                                    "derivatives through it are not supported");
}

// --- reverse

void ImplicitSegment::pass_on(Moving & moving) const
{
  if (predictor_)
    for (const auto & output : predictor_->outputs())
      moving.variables.erase(output);
  bool moves = moving.any_parameter(description_.parameters);
  for (const auto & group : description_.given_groups)
    for (const auto & slot : group.slots)
      moves = moves || moving.variables.count(slot.name) > 0;
  for (const auto & group : description_.unknown_groups)
    for (const auto & slot : group.slots)
      if (moves)
        moving.variables.insert(slot.name);
      else
        moving.variables.erase(slot.name);
}

CotangentMap ImplicitSegment::taken_of_unknowns(Cotangents & cotangents) const
{
  CotangentMap taken;
  for (const auto & group : description_.unknown_groups)
    for (const auto & slot : group.slots)
      if (const auto cotangent = cotangents.take(slot.name); cotangent.defined())
        taken[slot.name] = cotangent;
  return taken;
}

/// From the last substep of each row to its first: the cotangent of an old state is that of the
/// solution before.
void ImplicitSegment::pull_back(const Passage & passage, Cotangents & cotangents,
                                const Call & call) const
{
  auto of_unknowns = taken_of_unknowns(cotangents);
  if (of_unknowns.empty() || call.rows == 0)
    return;
  const auto & wanted = cotangents.wanted();
  sensitivity_.require_known(wanted);
  ReverseIncrement reverse(description_.givens, call, std::move(of_unknowns));
  for (auto solution = passage.solutions.rbegin(); solution != passage.solutions.rend(); ++solution)
  {
    if (!solution->span.is_whole())
      sensitivity_.require_substeps();
    const auto part = reverse.taken(solution->rows);
    const auto needed = solution->span.is_whole() ? wanted : reverse.widened(wanted);
    const auto found = pulled_back(*solution, part, needed, call);
    cotangents.add_singular(description_.label, rows_of(*solution, found.singular));
    reverse.add(found, solution->rows, solution->span);
  }
  if (predictor_)
  {
    const auto & inputs = predictor_->inputs();
    require_no_given_predicted(wanted.any_variable(inputs));
  }
  for (const auto & [given, cotangent] : reverse.givens())
    cotangents.add(given, cotangent);
  for (const auto & [parameter, cotangent] : reverse.parameters())
    cotangents.add_parameter(parameter, cotangent);
}

/// Some rows at a time, by the members of the team.
PulledBack ImplicitSegment::pulled_back(const Solution & solution, const CotangentMap & of_unknowns,
                                        const Moving & wanted, const Call & call) const
{
  const auto how = manner(call);
  const auto rows = solution.arguments.rows;
  const auto chunk_rows = how.chunk_rows > 0 ? how.chunk_rows : graphs_.known_chunk_rows();
  const auto blocks = equal_blocks(rows, shared_rows(rows, chunk_rows, how.team.size()));
  if (blocks.size() == 1)
    return sensitivity_.pulled_back(solution.unknowns, solution.arguments, of_unknowns, wanted);

  std::vector<PulledBack> parts(blocks.size());
  how.team.for_each(static_cast<std::int64_t>(blocks.size()),
                    [&](std::int64_t number)
                    {
                      const at::AutoDispatchBelowADInplaceOrView below_autograd;
                      const auto & block = blocks[static_cast<std::size_t>(number)];
                      const auto index = at::arange(block.begin, block.begin + block.count,
                                                    call.options.dtype(at::kLong));
                      CotangentMap of_block;
                      for (const auto & [unknown, cotangent] : of_unknowns)
                        of_block[unknown] = cotangent.narrow(0, block.begin, block.count);
                      parts[static_cast<std::size_t>(number)] = sensitivity_.pulled_back(
                          select_rows(solution.unknowns, index),
                          solution.arguments.restricted_to(index), of_block, wanted);
                      for (auto & row : parts[static_cast<std::size_t>(number)].singular)
                        row += block.begin;
                    });
  return joined(parts);
}

} // namespace neml2_aoti_plugin
