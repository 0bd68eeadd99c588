#include "segments/placement.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/zeros.h>

namespace neml2_aoti_plugin
{

Placement::Placement(std::int64_t places, const at::Device & device)
    : position_(at::arange(places, at::TensorOptions().dtype(at::kLong).device(device))),
      stand_in_(position_)
{
}

Placement Placement::restricted_to(const at::Tensor & rows) const
{
  auto part = *this;
  part.position_ = position_.index_select(0, rows);
  part.stand_in_ = at::zeros({places()}, rows.options())
                       .index_copy(0, part.position_, at::arange(rows.size(0), rows.options()));
  return part;
}

std::vector<at::Tensor> Placement::spread(const std::vector<at::Tensor> & tensors) const
{
  std::vector<at::Tensor> placed;
  for (const auto & tensor : tensors)
    placed.push_back(tensor.index_select(0, stand_in_));
  return placed;
}

std::vector<at::Tensor> Placement::own(const std::vector<at::Tensor> & tensors) const
{
  std::vector<at::Tensor> rows;
  for (const auto & tensor : tensors)
    rows.push_back(tensor.dim() > 0 && tensor.size(0) == places()
                       ? tensor.index_select(0, position_)
                       : tensor);
  return rows;
}

} // namespace neml2_aoti_plugin
