#include "model/results.h"

#include <ATen/core/Tensor.h>

#include <algorithm>

#include "layout/shapes.h"

namespace neml2_aoti_plugin
{

at::Tensor ForeignStorage::own(const at::Tensor & tensor)
{
  const auto * storage = tensor.storage().unsafeGetStorageImpl();
  const bool shared = std::find(storages_.begin(), storages_.end(), storage) != storages_.end();
  const auto owned = shared ? tensor.clone(at::MemoryFormat::Contiguous) : tensor.contiguous();
  add(owned);
  return owned;
}

Shape sub_batch_of(const at::Tensor & rows, const Shape & base)
{
  const Shape shape = rows.sizes().vec();
  return {shape.begin() + 1, shape.end() - static_cast<std::ptrdiff_t>(base.size())};
}

at::Tensor with_batch(const at::Tensor & rows, const Shape & batch)
{
  if (batch.size() == 1)
    return rows;
  const Shape shape = rows.sizes().vec();
  return rows.reshape(concatenate(batch, Shape(shape.begin() + 1, shape.end())));
}

at::Tensor narrowed_to(const at::Tensor & full, const Shape & batch, const Shape & natural)
{
  if (element_count(batch) == 0)
    return full;
  auto result = full;
  const auto missing = batch.size() - natural.size();
  for (std::size_t axis = 0; axis < missing; ++axis)
    result = result.select(0, 0);
  for (std::size_t axis = 0; axis < natural.size(); ++axis)
    if (natural[axis] == 1)
      result = result.narrow(static_cast<std::int64_t>(axis), 0, 1);
  return result;
}

} // namespace neml2_aoti_plugin
