// From rows back to what a caller expects.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "segments/state.h"

namespace neml2_aoti_plugin
{

/// The storages that a result must not share: those of the caller's tensors and of results already
/// made.
class ForeignStorage
{
public:
  /// So many tensors may be told of.
  void expect(std::size_t count) { storages_.reserve(count); }

  void add(const at::Tensor & tensor)
  {
    storages_.push_back(tensor.storage().unsafeGetStorageImpl());
  }

  /// The tensor, or a copy if it shares one of the storages; its own storage is foreign from then
  /// on.
  at::Tensor own(const at::Tensor & tensor);

private:
  std::vector<const void *> storages_; // few: a search is quicker than a tree
};

/// The sub-batch axes of a value (rows, *sub, *base).
Shape sub_batch_of(const at::Tensor & rows, const Shape & base);

/// (rows, *tail) to (*batch, *tail).
at::Tensor with_batch(const at::Tensor & rows, const Shape & batch);

/// Drops the axes of `batch` along which a value with the smaller batch `natural` is constant.
at::Tensor narrowed_to(const at::Tensor & full, const Shape & batch, const Shape & natural);

} // namespace neml2_aoti_plugin
