#include "segments/tangents.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/matmul.h>

namespace neml2_aoti_plugin
{

void accumulate(SeedTangents & total, const at::Tensor & block, const SeedTangents & input)
{
  for (const auto & [seed, tangent] : input)
  {
    const auto part = at::matmul(block, tangent);
    auto & sum = total[seed];
    sum = sum.defined() ? sum + part : part;
  }
}

} // namespace neml2_aoti_plugin
