#include "layout/packing.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <cstring>

#include "layout/shapes.h"

namespace neml2_aoti_plugin
{

namespace
{

Shape packed_shape(const Group & group, std::int64_t rows, std::int64_t width)
{
  Shape shape{rows};
  if (group.structure == Structure::Block)
    shape = concatenate(shape, group.sub_batch_shape);
  shape.push_back(width);
  return shape;
}

/// Whether rows are blocks of memory that the processor can copy.
bool is_plain(const at::Tensor & tensor) { return tensor.is_cpu() && tensor.is_contiguous(); }

std::int64_t row_bytes(const at::Tensor & tensor)
{
  const auto rows = tensor.size(0);
  return rows == 0 ? 0 : static_cast<std::int64_t>(tensor.nbytes()) / rows;
}

at::ArrayRef<std::int64_t> listed(const at::Tensor & rows)
{
  return {rows.const_data_ptr<std::int64_t>(), static_cast<std::size_t>(rows.numel())};
}

} // namespace

at::Tensor pack(const Group & group, std::int64_t rows, const Lookup & value_of)
{
  std::vector<at::Tensor> columns;
  columns.reserve(group.slots.size());
  for (const auto & slot : group.slots)
    columns.push_back(value_of(slot).reshape(packed_shape(group, rows, slot_width(group, slot))));
  return columns.size() == 1 ? columns.front().clone(at::MemoryFormat::Contiguous)
                             : at::cat(columns, -1);
}

std::vector<at::Tensor> unpack(const Group & group, const at::Tensor & packed)
{
  std::vector<at::Tensor> values;
  values.reserve(group.slots.size());
  std::int64_t offset = 0;
  for (const auto & slot : group.slots)
  {
    const auto width = slot_width(group, slot);
    const auto tail = concatenate(slot.sub_batch_shape, slot.base_shape);
    values.push_back(packed.narrow(-1, offset, width).reshape(concatenate({packed.size(0)}, tail)));
    offset += width;
  }
  return values;
}

Groups narrowed(const Groups & groups, std::int64_t begin, std::int64_t count)
{
  Groups part;
  for (const auto & group : groups)
    part.push_back(group.narrow(0, begin, count));
  return part;
}

at::Tensor extended(const at::Tensor & tensor, std::int64_t rows)
{
  auto shape = tensor.sizes().vec();
  shape.front() = rows;
  return at::cat({tensor, at::zeros(shape, tensor.options())}, 0);
}

at::Tensor flattened(const Groups & groups)
{
  std::vector<at::Tensor> parts;
  for (const auto & group : groups)
    parts.push_back(group.flatten(1));
  return parts.size() == 1 ? parts.front().contiguous() : at::cat(parts, 1);
}

Groups unflattened(const at::Tensor & flat, const Groups & like)
{
  Groups groups;
  std::int64_t offset = 0;
  for (const auto & group : like)
  {
    const auto width = group.numel() / group.size(0);
    groups.push_back(flat.narrow(1, offset, width).reshape(group.sizes()).contiguous());
    offset += width;
  }
  return groups;
}

at::Tensor take_rows(const at::Tensor & tensor, const at::Tensor & rows)
{
  if (!is_plain(tensor))
    return tensor.index_select(0, rows);
  auto shape = tensor.sizes().vec();
  shape.front() = rows.size(0);
  auto taken = at::empty(shape, tensor.options());
  const auto bytes = row_bytes(tensor);
  const auto * from = static_cast<const char *>(tensor.const_data_ptr());
  auto * to = static_cast<char *>(taken.data_ptr());
  for (const auto row : listed(rows))
  {
    std::memcpy(to, from + row * bytes, bytes);
    to += bytes;
  }
  return taken;
}

void put_rows(at::Tensor & target, const at::Tensor & rows, const at::Tensor & values)
{
  if (!is_plain(target) || !is_plain(values))
  {
    target.index_copy_(0, rows, values);
    return;
  }
  const auto bytes = row_bytes(target);
  const auto * from = static_cast<const char *>(values.const_data_ptr());
  auto * to = static_cast<char *>(target.data_ptr());
  for (const auto row : listed(rows))
  {
    std::memcpy(to + row * bytes, from, bytes);
    from += bytes;
  }
}

Groups select_rows(const Groups & groups, const at::Tensor & rows)
{
  Groups selected;
  selected.reserve(groups.size());
  for (const auto & group : groups)
    selected.push_back(take_rows(group, rows));
  return selected;
}

} // namespace neml2_aoti_plugin
