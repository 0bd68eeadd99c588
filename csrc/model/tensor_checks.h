// What every tensor that a caller hands over must satisfy. Graphs check nothing and read past the
// end.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "description/variable.h"

namespace neml2_aoti_plugin
{

/// "float64", "int64", ...: as Python spells a dtype.
std::string dtype_name(at::ScalarType dtype);

at::ScalarType parse_dtype(const std::string & name);

/// Throws InputTypeError unless `tensor` is dense and of this dtype and device. An expected device
/// without an index accepts every index. `what` opens the message, as in "input 'strain'".
void check_kind(const std::string & what, const at::Tensor & tensor, at::ScalarType dtype,
                const at::Device & device);

/// Throws InputError unless the shape ends with (*sub, *base); returns what is before it, the
/// batch.
Shape leading_batch(const std::string & what, const at::Tensor & tensor, const Shape & sub,
                    const Shape & base);

} // namespace neml2_aoti_plugin
