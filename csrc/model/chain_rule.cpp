#include "model/chain_rule.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/eye.h>

#include "layout/shapes.h"

namespace neml2_aoti_plugin
{

at::Tensor unit_columns(const BoundaryVariable & variable, const at::TensorOptions & options)
{
  const auto sites = element_count(variable.sub_batch_shape.value_or(Shape{}));
  return at::eye(sites * element_count(variable.base_shape), options).unsqueeze(0);
}

Shape BlockShape::of_one_row() const
{
  const auto & sub = output_sub_batch.empty() ? input_sub_batch : output_sub_batch;
  return concatenate(sub, concatenate(output_base, input_base));
}

bool BlockShape::is_representable() const
{
  return output_sub_batch.empty() || input_sub_batch.empty() || output_sub_batch == input_sub_batch;
}

at::Tensor block_of(const at::Tensor & tangent, const BlockShape & shape)
{
  const auto out_sites = element_count(shape.output_sub_batch);
  const auto in_sites = element_count(shape.input_sub_batch);
  const auto out = element_count(shape.output_base);
  const auto in = element_count(shape.input_base);
  const auto by_site = tangent.reshape({tangent.size(0), out_sites, out, in_sites, in});
  const bool is_per_input_site = shape.output_sub_batch.empty() && !shape.input_sub_batch.empty();
  const bool is_per_site = !shape.output_sub_batch.empty() && !shape.input_sub_batch.empty();
  const auto blocks = is_per_site         ? by_site.diagonal(0, 1, 3).permute({0, 3, 1, 2})
                      : is_per_input_site ? by_site.squeeze(1).permute({0, 2, 1, 3})
                                          : by_site.squeeze(3);
  return blocks.reshape(concatenate({tangent.size(0)}, shape.of_one_row()));
}

} // namespace neml2_aoti_plugin
