// The product of batches of matrices for generated kernels.
#pragma once

#include <torch/csrc/inductor/aoti_torch/c/shim.h>

namespace neml2_aoti_plugin
{

/// What graphs call as aoti_torch_cpu_bmm_out: out = a b, (batch, rows, columns). torch multiplies
/// small matrices by a loop over single numbers, which takes half of the time of a crystal model.
/// Small float64 ones are multiplied here, by the same sums; all others by torch.
AOTITorchError graph_bmm_out(AtenTensorHandle out, AtenTensorHandle a, AtenTensorHandle b);

} // namespace neml2_aoti_plugin
