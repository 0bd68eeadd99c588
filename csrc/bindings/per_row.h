// Row by row facts as tensors of the shape of the batch.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/tensor.h>

#include <vector>

#include "numerics/newton.h"

namespace neml2_aoti_plugin
{

template <typename T>
at::Tensor per_row(const std::vector<T> & values, at::ScalarType dtype,
                   const std::vector<std::int64_t> & batch)
{
  return at::tensor(values, dtype).reshape(batch);
}

/// As numbers of neml2_aoti_plugin.solves.RowStatus.
inline at::Tensor row_status(const NewtonResult & rows, const std::vector<std::int64_t> & batch)
{
  std::vector<std::int64_t> status;
  for (const auto each : rows.status)
    status.push_back(static_cast<std::int64_t>(each));
  return per_row(status, at::kChar, batch);
}

inline at::Tensor converged_mask(const NewtonResult & rows, const std::vector<std::int64_t> & batch)
{
  std::vector<std::int64_t> mask;
  for (const auto status : rows.status)
    mask.push_back(status == RowStatus::Converged);
  return per_row(mask, at::kLong, batch).to(at::kBool);
}

} // namespace neml2_aoti_plugin
