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

ArtifactError unexpected_shape(const std::string & graph, const Shape & found,
                               const Shape & expected)
{
  return ArtifactError(graph + ": returned a derivative of shape " + to_string(found) +
                       ", expected " + to_string(expected) + ". Recompile the model.");
}

/// The tensor of a cell as (rows, row sites, row width, column sites, column width), where a dense
/// group has one site.
at::Tensor with_all_axes(const Cell & cell, const at::Tensor & tensor, std::int64_t rows,
                         const std::string & graph)
{
  const auto & row_sites = cell.rows.sub_batch_shape;
  const auto & column_sites = cell.columns.sub_batch_shape;
  const Shape widths{group_width(cell.rows), group_width(cell.columns)};
  const Shape all_sites = concatenate(row_sites, column_sites);
  const auto rank = static_cast<std::size_t>(tensor.dim());
  const auto expand = [&](const Shape & sites)
  {
    const auto shape = concatenate(concatenate({rows}, sites), widths);
    const Shape found = tensor.sizes().vec();
    if (found.size() < 3 || !ends_with(found, widths))
      throw unexpected_shape(graph, found, shape);
    // What does not depend on the site may come without some of the axes.
    Shape aligned(shape.size() - std::min(found.size(), shape.size()), 1);
    aligned.insert(aligned.begin(), found.front());
    aligned.insert(aligned.end(), found.begin() + 1, found.end());
    if (broadcast(aligned, shape) != shape)
      throw unexpected_shape(graph, found, shape);
    return tensor.reshape(aligned).expand(shape);
  };

  const bool may_share_sites = !row_sites.empty() && row_sites == column_sites;
  if (may_share_sites && rank <= 1 + row_sites.size() + 2)
  {
    const auto sites = element_count(row_sites);
    const auto per_site = expand(row_sites).reshape({rows, sites, widths[0], 1, widths[1]});
    const auto own_site = at::eye(sites, tensor.options()).reshape({1, sites, 1, sites, 1});
    return per_site * own_site;
  }
  return expand(all_sites)
      .reshape({rows, element_count(row_sites), element_count(column_sites), widths[0], widths[1]})
      .permute({0, 1, 3, 2, 4});
}

} // namespace

std::vector<InputPair> cell_pairs(const std::vector<Cell> & cells)
{
  std::vector<InputPair> pairs;
  for (const auto & cell : cells)
    for (const auto & row : cell.rows.slots)
      for (const auto & column : cell.columns.slots)
        pairs.push_back(
            {row.name, column.name, whole_shape(row), whole_shape(column), Shape{}, false});
  return pairs;
}

std::vector<at::Tensor> cell_blocks(const std::vector<Cell> & cells,
                                    const std::vector<at::Tensor> & tensors, std::int64_t rows,
                                    const std::string & graph)
{
  std::vector<at::Tensor> blocks;
  for (std::size_t k = 0; k < cells.size(); ++k)
  {
    const auto & cell = cells[k];
    const auto tensor = with_all_axes(cell, tensors[k], rows, graph);
    std::int64_t row_offset = 0;
    for (const auto & row : cell.rows.slots)
    {
      const auto height = slot_width(cell.rows, row);
      std::int64_t column_offset = 0;
      for (const auto & column : cell.columns.slots)
      {
        const auto width = slot_width(cell.columns, column);
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
