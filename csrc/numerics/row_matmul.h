// Products of many small matrices, row by row, whatever their number.
#pragma once

#include <ATen/core/Tensor.h>

namespace neml2_aoti_plugin
{

/// a b with a (rows or 1, n, k) and b (rows or 1, k, m): (rows, n, m), float64. Each row is
/// computed by the same additions in the same order on the processor, also where others are not
/// there.
at::Tensor row_matmul(const at::Tensor & a, const at::Tensor & b);

} // namespace neml2_aoti_plugin
