// From tangents to the blocks and gradients that callers know.
#pragma once

#include <ATen/core/Tensor.h>

#include "description/variable.h"
#include "segments/tangents.h"

namespace neml2_aoti_plugin
{

/// One column per component of every site of the variable: the identity, the same for all rows.
at::Tensor unit_columns(const BoundaryVariable & variable, const at::TensorOptions & options);

/// What a block is a block of.
struct BlockShape
{
  Shape output_sub_batch;
  Shape output_base;
  Shape input_sub_batch;
  Shape input_base;

  /// (*sub, *output_base, *input_base): of one row.
  Shape of_one_row() const;

  /// Two sub-batches that are no match: no block has been defined for them.
  bool is_representable() const;
};

/// The block (rows or 1, *sub, *output_base, *input_base) in a tangent (rows or 1, |output|,
/// |input|). Where both variables have sub-batch axes it is that between the same sites.
at::Tensor block_of(const at::Tensor & tangent, const BlockShape & shape);

} // namespace neml2_aoti_plugin
