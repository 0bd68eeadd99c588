#include "segments/reverse_increment.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/index_add.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <utility>

namespace neml2_aoti_plugin
{

namespace
{

CotangentMap joined_maps(const std::vector<PulledBack> & parts, CotangentMap PulledBack::* which)
{
  CotangentMap all;
  for (const auto & entry : parts.front().*which)
  {
    std::vector<at::Tensor> rows;
    for (const auto & part : parts)
      rows.push_back((part.*which).at(entry.first));
    all[entry.first] = at::cat(rows, 0);
  }
  return all;
}

} // namespace

PulledBack joined(const std::vector<PulledBack> & parts)
{
  PulledBack whole{
      joined_maps(parts, &PulledBack::givens), joined_maps(parts, &PulledBack::parameters), {}};
  for (const auto & part : parts)
    whole.singular.insert(whole.singular.end(), part.singular.begin(), part.singular.end());
  return whole;
}

ReverseIncrement::ReverseIncrement(const std::vector<Given> & givens, const Call & call,
                                   CotangentMap of_unknowns)
    : roles_(givens), call_(call), unknowns_(std::move(of_unknowns))
{
}

CotangentMap ReverseIncrement::taken(const at::Tensor & rows)
{
  if (!rows.defined())
    return std::exchange(unknowns_, {});
  CotangentMap part;
  for (auto & [name, cotangent] : unknowns_)
  {
    part[name] = take_rows(cotangent, rows);
    cotangent = cotangent.index_fill(0, rows, 0.0);
  }
  return part;
}

Moving ReverseIncrement::widened(const Moving & wanted) const
{
  auto moving = wanted;
  for (const auto & given : roles_)
    moving.variables.insert(given.name);
  return moving;
}

void ReverseIncrement::add(const PulledBack & part, const at::Tensor & rows, const Span & span)
{
  for (const auto & [name, cotangent] : part.givens)
    add_given(name, cotangent, rows, span);
  for (const auto & [name, cotangent] : part.parameters)
    add_rows(parameters_, name, cotangent, rows);
}

/// By the coefficients of Increment::over and Increment::continue_from.
void ReverseIncrement::add_given(const std::string & name, const at::Tensor & cotangent,
                                 const at::Tensor & rows, const Span & span)
{
  const auto role = std::find_if(roles_.begin(), roles_.end(),
                                 [&](const Given & given) { return given.name == name; });
  const auto interpolated =
      [&](const std::string & old_name, const std::string & new_name, double s)
  {
    if (s < 1.0)
      add_rows(givens_, old_name, (1.0 - s) * cotangent, rows);
    if (s > 0.0)
      add_rows(givens_, new_name, s * cotangent, rows);
  };
  if (span.is_whole() || role == roles_.end())
    return add_rows(givens_, name, cotangent, rows);
  switch (role->role)
  {
  case Role::CurrentForce:
    return interpolated(role->pair, name, span.end);
  case Role::OldForce:
    return interpolated(name, role->pair, span.begin);
  case Role::Incremental:
    return add_rows(givens_, name, (span.end - span.begin) * cotangent, rows);
  case Role::OldState:
    if (span.begin > 0.0)
      return add_rows(unknowns_, role->pair, cotangent, rows);
    [[fallthrough]];
  case Role::Static:
    add_rows(givens_, name, cotangent, rows);
  }
}

void ReverseIncrement::add_rows(CotangentMap & total, const std::string & name,
                                const at::Tensor & part, const at::Tensor & rows) const
{
  if (!rows.defined())
    return accumulate(total, name, part);
  auto & sum = total[name];
  if (!sum.defined())
    sum = at::zeros({call_.rows, part.size(1)}, call_.options);
  sum = sum.index_add(0, rows, part);
}

} // namespace neml2_aoti_plugin
