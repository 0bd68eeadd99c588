#include "segments/increment.h"

#include <ATen/TensorOperators.h>

#include "layout/packing.h"

namespace neml2_aoti_plugin
{

namespace
{

/// old + s (new - old), exact at both ends.
at::Tensor interpolated(const at::Tensor & old_value, const at::Tensor & new_value, double s)
{
  if (s == 0.0)
    return old_value;
  return s == 1.0 ? new_value : old_value + s * (new_value - old_value);
}

} // namespace

Increment Increment::restricted_to(const at::Tensor & kept) const
{
  Increment restricted{{}, tangents.restricted_to(kept), parameters, kept.size(0)};
  for (const auto & [name, value] : values)
    restricted.values[name] = {take_rows(value.data, kept), value.batch};
  if (placement)
    restricted.placement = placement->restricted_to(kept);
  restricted.origin = origin.defined() ? take_rows(origin, kept) : kept;
  return restricted;
}

Increment Increment::over(const Span & span, const std::vector<Given> & givens) const
{
  auto part = *this;
  if (span.is_whole())
    return part;
  const auto interpolate =
      [&](const Given & given, const std::string & old_name, const std::string & new_name, double s)
  {
    part.values.at(given.name).data =
        interpolated(values.at(old_name).data, values.at(new_name).data, s);
    part.tangents.replace(given.name,
                          combine(1.0 - s, tangents.of(old_name), s, tangents.of(new_name)));
  };
  for (const auto & given : givens)
    switch (given.role)
    {
    case Role::CurrentForce:
      interpolate(given, given.pair, given.name, span.end);
      break;
    case Role::OldForce:
      interpolate(given, given.name, given.pair, span.begin);
      break;
    case Role::Incremental:
    {
      const auto length = span.end - span.begin;
      part.values.at(given.name).data = length * values.at(given.name).data;
      part.tangents.replace(given.name, combine(length, tangents.of(given.name), 0.0, {}));
      break;
    }
    case Role::OldState:
    case Role::Static:
      break;
    }
  return part;
}

void Increment::continue_from(const std::vector<std::pair<std::string, at::Tensor>> & solution,
                              const ComputedTangents & solution_tangents,
                              const std::vector<Given> & givens)
{
  for (const auto & [unknown, data] : solution)
  {
    values[unknown].data = data;
    for (const auto & given : givens)
    {
      if (given.role != Role::OldState || given.pair != unknown)
        continue;
      values[given.name].data = data;
      const auto found = solution_tangents.find(unknown);
      tangents.replace(given.name,
                       found == solution_tangents.end() ? SeedTangents{} : found->second);
    }
  }
}

} // namespace neml2_aoti_plugin
