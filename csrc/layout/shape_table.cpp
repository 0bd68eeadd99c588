#include "layout/shape_table.h"

namespace neml2_aoti_plugin
{

ShapeTable::ShapeTable(const ModelDescription & model)
{
  for (const auto & variable : model.inputs)
    add(variable.name, variable.base_shape, variable.sub_batch_shape);
  for (const auto & segment : model.segments)
    std::visit([this](const auto & kind) { add_segment(kind); }, segment);
  for (const auto & variable : model.outputs)
    add(variable.name, variable.base_shape, variable.sub_batch_shape);
}

std::optional<KnownShape> ShapeTable::find(const std::string & variable) const
{
  const auto found = shapes_.find(variable);
  return found == shapes_.end() ? std::nullopt : std::optional(found->second);
}

void ShapeTable::add(const std::string & variable, const Shape & base,
                     const std::optional<Shape> & sub_batch)
{
  auto & known = shapes_[variable];
  known.base = base;
  if (sub_batch)
    known.sub_batch = sub_batch;
}

void ShapeTable::add_pairs(const std::vector<InputPair> & pairs)
{
  for (const auto & pair : pairs)
  {
    add(pair.input, pair.input_base_shape, pair.input_sub_batch_shape);
    add(pair.output, pair.output_base_shape, std::nullopt);
  }
}

void ShapeTable::add_segment(const ForwardSegmentDescription & segment)
{
  if (segment.input_derivatives)
    add_pairs(segment.input_derivatives->pairs);
}

void ShapeTable::add_segment(const ImplicitSegmentDescription & segment)
{
  for (const auto * groups : {&segment.unknown_groups, &segment.given_groups})
    for (const auto & group : *groups)
      for (const auto & slot : group.slots)
        add(slot.name, slot.base_shape, slot.sub_batch_shape);
}

} // namespace neml2_aoti_plugin
