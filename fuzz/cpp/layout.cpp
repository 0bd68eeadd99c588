// Shapes, groups and the table of shapes: against sums and products written out.
#include <algorithm>

#include "input.h"
#include "layout/shape_table.h"
#include "layout/shapes.h"

namespace
{

using namespace fuzz;

std::int64_t product(const aoti::Shape & shape)
{
  std::int64_t result = 1;
  for (const auto extent : shape)
    result *= extent;
  return result;
}

/// Extent of the broadcast of two axes; unset where they do not fit.
std::optional<std::int64_t> extent_of(std::int64_t first, std::int64_t second)
{
  if (first == second || second == 1)
    return first;
  return first == 1 ? std::optional(second) : std::nullopt;
}

std::int64_t extent_from_right(const aoti::Shape & shape, std::size_t axis)
{
  return axis < shape.size() ? shape[shape.size() - 1 - axis] : 1;
}

void check_shapes(Input & input)
{
  const auto first = input.shape(), second = input.shape();
  demand(aoti::element_count(first) == product(first), "a count is the product of the extents");
  const auto both = aoti::concatenate(first, second);
  demand(both.size() == first.size() + second.size(), "no axis is lost");
  demand(aoti::ends_with(both, second), "what was appended is at the end");
  demand(aoti::to_string(both).front() == '(', "a shape reads as a tuple");

  const auto joint = aoti::broadcast(first, second);
  demand(joint == aoti::broadcast(second, first), "a broadcast knows no order");
  const auto axes = std::max(first.size(), second.size());
  for (std::size_t axis = 0; axis < axes; ++axis)
  {
    const auto extent =
        extent_of(extent_from_right(first, axis), extent_from_right(second, axis));
    demand(extent || !joint, "axes that do not fit have no broadcast");
    demand(!joint || extent == extent_from_right(*joint, axis), "an axis is the wider one");
  }
}

void check_groups(Input & input)
{
  const auto group = input.group();
  std::int64_t elements = 0;
  for (const auto & slot : group.slots)
    elements += product(slot.sub_batch_shape) * product(slot.base_shape);
  const auto sites = product(group.sub_batch_shape);
  demand(aoti::group_width(group) * sites == elements, "a group holds its slots and no more");
}

/// Whether an artifact may say both of one variable. The reader makes sure that it does.
void add(std::map<std::string, aoti::Shape> & declared, const std::string & name,
         aoti::Shape & shape)
{
  shape = declared.emplace(name, shape).first->second;
}

void check_table(Input & input)
{
  aoti::ModelDescription model{};
  std::map<std::string, aoti::Shape> declared;
  const auto boundary = [&]
  {
    aoti::BoundaryVariable variable{input.name(), "", input.shape(), std::nullopt};
    variable.public_name = variable.name;
    add(declared, variable.name, variable.base_shape);
    if (input.below(2))
      variable.sub_batch_shape = input.shape();
    return variable;
  };
  for (auto count = input.below(4); count > 0; --count)
    model.inputs.push_back(boundary());
  for (auto count = input.below(4); count > 0; --count)
  {
    if (input.below(2))
    {
      aoti::ForwardSegmentDescription segment{};
      segment.input_derivatives.emplace();
      aoti::InputPair pair{input.name(), input.name(), input.shape(), input.shape(),
                           input.shape(), false};
      add(declared, pair.output, pair.output_base_shape);
      add(declared, pair.input, pair.input_base_shape);
      segment.input_derivatives->pairs.push_back(pair);
      model.segments.emplace_back(segment);
      continue;
    }
    aoti::ImplicitSegmentDescription segment{};
    segment.unknown_groups.push_back(input.group());
    segment.given_groups.push_back(input.group());
    for (auto * groups : {&segment.unknown_groups, &segment.given_groups})
      for (auto & slot : groups->front().slots)
        add(declared, slot.name, slot.base_shape);
    model.segments.emplace_back(segment);
  }
  for (auto count = input.below(4); count > 0; --count)
    model.outputs.push_back(boundary());

  const aoti::ShapeTable table(model);
  for (const auto & [name, shape] : declared)
    demand(table.find(name) && table.find(name)->base == shape, "every variable has its shape");
  demand(!table.find("no such variable"), "nothing else has one");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t * data, std::size_t size)
{
  Input input(data, size);
  check_shapes(input);
  check_groups(input);
  check_table(input);
  return 0;
}
