#include "model/work.h"

#include <ATen/ops/cat.h>

#include "layout/shapes.h"

namespace neml2_aoti_plugin
{

Work Work::part(const RowRange & rows) const
{
  Work part{{block.begin + rows.begin, rows.count},
            call,
            {},
            {},
            has_tangents,
            is_recorded,
            {},
            is_collected_alone,
            {},
            failed_value};
  part.call.rows = rows.count;
  part.call.batch = {rows.count};
  part.call.records = nullptr;
  for (auto & [name, parameter] : part.call.parameters)
    if (element_count(parameter.batch) != 1)
      parameter.data = parameter.data.narrow(0, rows.begin, rows.count);
  for (const auto & [name, value] : state)
    part.state[name] = {value.data.narrow(0, rows.begin, rows.count), value.batch};
  part.tangents = tangents.narrowed_to(rows.begin, rows.count);
  return part;
}

RowResults joined(std::vector<RowResults> blocks)
{
  auto all = std::move(blocks.front());
  for (std::size_t k = 0; k < all.size(); ++k)
  {
    std::vector<at::Tensor> parts{all[k].data};
    for (std::size_t block = 1; block < blocks.size(); ++block)
    {
      auto & more = blocks[block][k];
      parts.push_back(std::move(more.data));
      all[k].batch = broadcast(all[k].batch, more.batch).value();
    }
    if (all[k].is_by_row && parts.size() > 1)
      all[k].data = at::cat(parts, 0);
  }
  return all;
}

} // namespace neml2_aoti_plugin
