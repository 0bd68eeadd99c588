#include "segments/sensitivity_cells.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/eye.h>

#include <algorithm>

#include "errors.h"
#include "layout/shapes.h"

namespace neml2_aoti_plugin
{

namespace
{

Shape whole_shape(const Slot & slot) { return concatenate(slot.sub_batch_shape, slot.base_shape); }

/// Whether the columns are blocks over other sites than some unknowns of the system.
bool joins_sites(const Cell & cell, const std::vector<Cell> & cells)
{
  const auto & sites = cell.columns.sub_batch_shape;
  return !sites.empty() && std::any_of(cells.begin(), cells.end(), [&](const Cell & other)
                                       { return other.rows.sub_batch_shape != sites; });
}

std::vector<const Cell *> usable(const std::vector<Cell> & cells)
{
  std::vector<const Cell *> usable;
  for (const auto & cell : cells)
    if (!joins_sites(cell, cells))
      usable.push_back(&cell);
  return usable;
}

/// The tensor of a cell as (rows, row sites, row width, column sites, column width), where a dense
/// group has one site.
at::Tensor with_all_axes(const Cell & cell, const at::Tensor & tensor, std::int64_t rows,
                         const std::string & graph)
{
  const auto & site_shape = cell.rows.sub_batch_shape;
  const Shape widths{group_width(cell.rows), group_width(cell.columns)};
  const auto shape = concatenate(concatenate({rows}, site_shape), widths);
  const Shape found = tensor.sizes().vec();
  // What does not depend on the site may have axes of one in place of the sites, or none.
  Shape aligned = found;
  if (found.size() == 3)
    aligned.insert(aligned.begin() + 1, site_shape.size(), 1);
  if (found.size() < 3 || !ends_with(found, widths) || broadcast(aligned, shape) != shape)
    throw ArtifactError(graph + ": returned a derivative of shape " + to_string(found) +
                        ", expected " + to_string(shape) + ". Recompile the model.");
  const auto sites = element_count(site_shape);
  const auto per_site = tensor.reshape(aligned).expand(shape).reshape(
      {rows, sites, widths.front(), 1, widths.back()});
  if (cell.columns.sub_batch_shape.empty())
    return per_site;
  return per_site * at::eye(sites, tensor.options()).reshape({1, sites, 1, sites, 1});
}

} // namespace

std::vector<InputPair> cell_pairs(const std::vector<Cell> & cells)
{
  std::vector<InputPair> pairs;
  for (const auto * cell : usable(cells))
    for (const auto & row : cell->rows.slots)
      for (const auto & column : cell->columns.slots)
        pairs.push_back(
            {row.name, column.name, whole_shape(row), whole_shape(column), Shape{}, false});
  return pairs;
}

std::vector<std::string> joined_givens(const std::vector<Cell> & cells)
{
  std::vector<std::string> names;
  for (const auto & cell : cells)
    if (joins_sites(cell, cells))
      for (const auto & column : cell.columns.slots)
        names.push_back(column.name);
  return names;
}

std::vector<at::Tensor> cell_blocks(const std::vector<Cell> & cells,
                                    const std::vector<at::Tensor> & tensors, std::int64_t rows,
                                    const std::string & graph)
{
  std::vector<at::Tensor> blocks;
  for (const auto * cell : usable(cells))
  {
    const auto k = static_cast<std::size_t>(cell - cells.data());
    const auto tensor = with_all_axes(*cell, tensors[k], rows, graph);
    std::int64_t row_offset = 0;
    for (const auto & row : cell->rows.slots)
    {
      const auto height = slot_width(cell->rows, row);
      std::int64_t column_offset = 0;
      for (const auto & column : cell->columns.slots)
      {
        const auto width = slot_width(cell->columns, column);
        blocks.push_back(tensor.narrow(2, row_offset, height)
                             .narrow(4, column_offset, width)
                             .reshape({rows, element_count(whole_shape(row)),
                                       element_count(whole_shape(column))}));
        column_offset += width;
      }
      row_offset += height;
    }
  }
  return blocks;
}

} // namespace neml2_aoti_plugin
