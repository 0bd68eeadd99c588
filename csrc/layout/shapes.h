// Shape arithmetic. Standard library only.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "description/variable.h"

namespace neml2_aoti_plugin
{

/// Product of the extents; 1 for an empty shape.
std::int64_t element_count(const Shape & shape);

Shape concatenate(const Shape & first, const Shape & second);

/// Right-aligned broadcast of two shapes; unset where they do not fit.
std::optional<Shape> broadcast(Shape first, const Shape & second);

/// Whether `shape` ends with exactly `tail`.
bool ends_with(const Shape & shape, const Shape & tail);

/// "(2, 3)", "(6,)", "()": as Python prints a tuple.
std::string to_string(const Shape & shape);

/// Entries of one slot along the last axis of its group's tensor.
std::int64_t slot_width(const Group & group, const Slot & slot);

/// Extent of the last axis of a group's tensor.
std::int64_t group_width(const Group & group);

} // namespace neml2_aoti_plugin
