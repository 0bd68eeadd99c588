#include "segments/krylov_system.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>

#include "errors.h"

namespace neml2_aoti_plugin
{

namespace
{

std::vector<std::int64_t> counts_on_host(const at::Tensor & counts)
{
  const auto host = counts.to(at::kCPU).contiguous();
  const auto * data = host.const_data_ptr<std::int64_t>();
  return {data, data + host.numel()};
}

std::vector<double> values_on_host(const at::Tensor & values)
{
  const auto host = values.to(at::kCPU).contiguous();
  const auto * data = host.const_data_ptr<double>();
  return {data, data + host.numel()};
}

} // namespace

bool Preconditioner::is_due() const
{
  if (state_.empty() || settings_.cache == PreconditionerCache::None)
    return true;
  return settings_.cache == PreconditionerCache::IterationsTaken &&
         last_iterations_ > settings_.cache_max_iterations;
}

void Preconditioner::prepare(const Tensors & arguments)
{
  if (!setup_ || !is_due())
    return;
  state_ = contiguous(setup_->run(arguments));
  if (state_.empty())
    throw ArtifactError(setup_->path() +
                        ": the graph made no preconditioner. Recompile the model.");
}

at::Tensor Preconditioner::operator()(const at::Tensor & r, const SolveArguments & of) const
{
  if (!apply_)
    return r;
  auto arguments = state_;
  arguments.push_back(of.spread({r.contiguous()}).front());
  return of.own(apply_->run(arguments, 1)).front();
}

/// State of another kind than one entry per row is made anew.
Preconditioner Preconditioner::restricted_to(const at::Tensor & rows,
                                             const SolveArguments & of) const
{
  Preconditioner restricted(setup_, apply_, settings_);
  restricted.last_iterations_ = last_iterations_;
  if (of.placement)
    return restricted;
  const auto is_per_row = [&](const at::Tensor & tensor)
  { return tensor.dim() > 0 && tensor.size(0) == state_.front().size(0); };
  if (std::all_of(state_.begin(), state_.end(), is_per_row))
    restricted.state_ = select_rows(state_, rows);
  return restricted;
}

at::Tensor KrylovSystem::product(const Tensors & arguments, const Groups & like,
                                 const at::Tensor & v) const
{
  auto all = arguments;
  const auto groups = arguments_.spread(unflattened(v, like));
  all.insert(all.end(), groups.begin(), groups.end());
  return flattened(arguments_.own(matvec_.run(all, like.size())));
}

NewtonUpdate KrylovSystem::update(const Groups & u)
{
  const auto arguments = arguments_.with(u);
  const auto b = flattened(residual(u));
  auto setup_arguments = arguments; // traced without parameters
  setup_arguments.resize(u.size() + arguments_.givens.size());
  preconditioner_.prepare(setup_arguments);
  const auto result = solve_krylov([&](const at::Tensor & v) { return product(arguments, u, v); },
                                   [&](const at::Tensor & r)
                                   { return preconditioner_(r, arguments_); }, b, settings_);

  NewtonUpdate update;
  update.du = unflattened(result.x, u);
  update.linear.iterations = counts_on_host(result.iterations);
  const auto missed = result.norm.le(result.target).logical_not(); // true for NaN
  update.linear.excess =
      values_on_host(at::where(missed, result.norm / result.target, at::zeros_like(result.norm)));
  preconditioner_.note_iterations(
      *std::max_element(update.linear.iterations.begin(), update.linear.iterations.end()));
  const auto stuck = missed & result.x.eq(0).all(1);
  update.failed_rows = counts_on_host(stuck.nonzero().flatten());
  if (!update.failed_rows.empty())
    update.failure = "the Krylov method could not reduce the residual of " +
                     std::to_string(update.failed_rows.size()) + " rows at all";
  return update;
}

std::unique_ptr<NonlinearSystem> KrylovSystem::restricted_to(const at::Tensor & rows) const
{
  return std::make_unique<KrylovSystem>(residual_, matvec_,
                                        preconditioner_.restricted_to(rows, arguments_), settings_,
                                        arguments_.restricted_to(rows));
}

} // namespace neml2_aoti_plugin
