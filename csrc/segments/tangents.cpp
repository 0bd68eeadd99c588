#include "segments/tangents.h"

#include <ATen/TensorOperators.h>

#include "layout/packing.h"
#include "numerics/row_matmul.h"

namespace neml2_aoti_plugin
{

void accumulate(SeedTangents & total, const std::string & seed, const at::Tensor & tangent)
{
  auto & sum = total[seed];
  sum = sum.defined() ? sum + tangent : tangent;
}

void accumulate(SeedTangents & total, const at::Tensor & block, const SeedTangents & input)
{
  for (const auto & [seed, tangent] : input)
    accumulate(total, seed, row_matmul(block, tangent));
}

SeedTangents combine(double first_weight, const SeedTangents & first, double second_weight,
                     const SeedTangents & second)
{
  SeedTangents total;
  for (const auto & [weight, part] : {std::pair{first_weight, &first}, {second_weight, &second}})
    if (weight != 0.0)
      for (const auto & [seed, tangent] : *part)
        accumulate(total, seed, weight * tangent);
  return total;
}

SeedTangents select_rows(const SeedTangents & tangents, const at::Tensor & rows)
{
  auto selected = tangents;
  for (auto & [seed, tangent] : selected)
    if (tangent.size(0) != 1)
      tangent = take_rows(tangent, rows);
  return selected;
}

ComputedTangents select_rows(const ComputedTangents & tangents, const at::Tensor & rows)
{
  auto selected = tangents;
  for (auto & [variable, seeds] : selected)
    seeds = select_rows(seeds, rows);
  return selected;
}

Tangents Tangents::restricted_to(const at::Tensor & rows) const
{
  auto restricted = *this;
  restricted.by_variable_ = select_rows(by_variable_, rows);
  return restricted;
}

Tangents Tangents::narrowed_to(std::int64_t begin, std::int64_t count) const
{
  auto narrowed = *this;
  for (auto & [variable, seeds] : narrowed.by_variable_)
    for (auto & [seed, tangent] : seeds)
      if (tangent.size(0) != 1)
        tangent = tangent.narrow(0, begin, count);
  return narrowed;
}

} // namespace neml2_aoti_plugin
