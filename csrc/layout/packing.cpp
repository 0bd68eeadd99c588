#include "layout/packing.h"

#include <ATen/ops/cat.h>

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

Groups select_rows(const Groups & groups, const at::Tensor & rows)
{
  Groups selected;
  selected.reserve(groups.size());
  for (const auto & group : groups)
    selected.push_back(group.index_select(0, rows));
  return selected;
}

} // namespace neml2_aoti_plugin
