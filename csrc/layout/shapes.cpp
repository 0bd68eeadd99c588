#include "layout/shapes.h"

#include <algorithm>
#include <functional>
#include <numeric>

namespace neml2_aoti_plugin
{

std::int64_t element_count(const Shape & shape)
{
  return std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>());
}

Shape concatenate(const Shape & first, const Shape & second)
{
  Shape result = first;
  result.insert(result.end(), second.begin(), second.end());
  return result;
}

std::optional<Shape> broadcast(Shape first, const Shape & second)
{
  if (first.size() < second.size())
    first.insert(first.begin(), second.size() - first.size(), 1);
  const std::size_t offset = first.size() - second.size();
  for (std::size_t axis = 0; axis < second.size(); ++axis)
  {
    auto & extent = first[offset + axis];
    if (extent == 1)
      extent = second[axis];
    else if (second[axis] != 1 && second[axis] != extent)
      return std::nullopt;
  }
  return first;
}

bool ends_with(const Shape & shape, const Shape & tail)
{
  return shape.size() >= tail.size() && std::equal(tail.rbegin(), tail.rend(), shape.rbegin());
}

std::string to_string(const Shape & shape)
{
  std::string text = "(";
  for (std::size_t axis = 0; axis < shape.size(); ++axis)
    text += (axis ? ", " : "") + std::to_string(shape[axis]);
  return text + (shape.size() == 1 ? ",)" : ")");
}

std::int64_t slot_width(const Group & group, const Slot & slot)
{
  const auto base = element_count(slot.base_shape);
  return group.structure == Structure::Block ? base : element_count(slot.sub_batch_shape) * base;
}

std::int64_t group_width(const Group & group)
{
  std::int64_t width = 0;
  for (const auto & slot : group.slots)
    width += slot_width(group, slot);
  return width;
}

} // namespace neml2_aoti_plugin
