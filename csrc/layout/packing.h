// Variables to group tensors and back. A group tensor is (rows, *sub_batch_shape, width), see
// Group.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <string>
#include <vector>

#include "description/variable.h"

namespace neml2_aoti_plugin
{

/// One tensor per group, the rows on axis 0.
using Groups = std::vector<at::Tensor>;

/// The value of a named variable at (rows, *sub_batch_shape, *base_shape).
using Lookup = std::function<at::Tensor(const Slot &)>;

/// The group's variables side by side; always fresh storage.
at::Tensor pack(const Group & group, std::int64_t rows, const Lookup & value_of);

/// The value of every slot at (rows, *sub_batch_shape, *base_shape), in slot order; views where
/// possible.
std::vector<at::Tensor> unpack(const Group & group, const at::Tensor & packed);

/// Rows [begin, begin + count) of every group; views.
Groups narrowed(const Groups & groups, std::int64_t begin, std::int64_t count);

/// As many rows more, of zeros.
at::Tensor extended(const at::Tensor & tensor, std::int64_t rows);

/// All groups side by side, (rows, n).
at::Tensor flattened(const Groups & groups);

/// The inverse, with the shapes of `like`.
Groups unflattened(const at::Tensor & flat, const Groups & like);

/// The rows (axis 0) that `rows` (int64, on the same device) lists.
at::Tensor take_rows(const at::Tensor & tensor, const at::Tensor & rows);

/// Writes `values` to these rows of `target`.
void put_rows(at::Tensor & target, const at::Tensor & rows, const at::Tensor & values);

/// The rows of every group tensor that `rows` (int64, on the same device) lists.
Groups select_rows(const Groups & groups, const at::Tensor & rows);

} // namespace neml2_aoti_plugin
