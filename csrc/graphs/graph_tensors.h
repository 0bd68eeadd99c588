// What graphs make and give up tensors by, in place of torch's functions of these names: the same
// but for the tensors to spare, which are used again. See spare_tensors.h.
#pragma once

#include <torch/csrc/inductor/aoti_torch/c/shim.h>

namespace neml2_aoti_plugin
{

/// For `aoti_torch_empty_strided`.
AOTITorchError graph_empty_strided(std::int64_t axes, const std::int64_t * sizes,
                                   const std::int64_t * strides, std::int32_t dtype,
                                   std::int32_t device, std::int32_t device_index,
                                   AtenTensorHandle * made);

/// For `aoti_torch__reinterpret_tensor`.
AOTITorchError graph_reinterpret_tensor(AtenTensorHandle base, std::int64_t axes,
                                        const std::int64_t * sizes, const std::int64_t * strides,
                                        std::int64_t offset, AtenTensorHandle * made);

/// For `aoti_torch_delete_tensor_object`.
AOTITorchError graph_delete_tensor(AtenTensorHandle tensor);

} // namespace neml2_aoti_plugin
