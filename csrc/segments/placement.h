// Rows among those that graphs must run on. Graphs that were compiled for one batch run on all rows
// of a call and no part of them, each in its place, since constants may have been baked in by row.
// Where only some rows are wanted, the others' places are taken by one of them.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace neml2_aoti_plugin
{

class Placement
{
public:
  /// All rows, in order.
  Placement(std::int64_t places, const at::Device & device);

  /// The listed of these rows.
  Placement restricted_to(const at::Tensor & rows) const;

  std::int64_t places() const { return stand_in_.size(0); }

  /// Tensors with these rows on axis 0 to tensors with all places there.
  std::vector<at::Tensor> spread(const std::vector<at::Tensor> & tensors) const;

  /// The inverse; a tensor with another extent there has no rows.
  std::vector<at::Tensor> own(const std::vector<at::Tensor> & tensors) const;

private:
  at::Tensor position_; // of each own row
  at::Tensor stand_in_; // the own row to put in each place, be it its own or an arbitrary one
};

} // namespace neml2_aoti_plugin
