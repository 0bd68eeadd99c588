// Lists of rows on the host and as index tensors.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/tensor.h>

#include <vector>

namespace neml2_aoti_plugin
{

using RowList = std::vector<std::int64_t>;

inline at::Tensor row_index(const RowList & rows, const at::Device & device)
{
  return at::tensor(rows, at::TensorOptions().dtype(at::kLong)).to(device);
}

/// The reverse of row_index().
inline RowList row_list(const at::Tensor & index)
{
  const auto host = index.cpu().contiguous();
  const auto * rows = host.const_data_ptr<std::int64_t>();
  return {rows, rows + host.numel()};
}

/// The entries of `values` at `positions`.
template <typename T>
std::vector<T> pick(const std::vector<T> & values, const RowList & positions)
{
  std::vector<T> picked;
  picked.reserve(positions.size());
  for (const auto position : positions)
    picked.push_back(values[static_cast<std::size_t>(position)]);
  return picked;
}

} // namespace neml2_aoti_plugin
