#include "graphs/graph_bmm.h"

#include <ATen/Parallel.h>
#include <torch/csrc/inductor/aoti_torch/generated/c_shim_cpu.h>

#include <algorithm>
#include <optional>

#include "graphs/small_products.h"

namespace neml2_aoti_plugin
{

namespace
{

/// Multiplications worth a thread of torch's own.
constexpr std::int64_t grain = 32768;

struct Operand
{
  MatrixBatch<double> matrices;
  std::array<std::int64_t, 3> sizes;
};

/// Unset for what is no batch of float64 matrices on the processor.
std::optional<Operand> operand_of(AtenTensorHandle handle)
{
  std::int64_t axes = 0;
  std::int64_t *sizes = nullptr, *strides = nullptr;
  std::int32_t dtype = 0, device = 0;
  void * data = nullptr;
  const bool is_known = aoti_torch_get_dim(handle, &axes) == AOTI_TORCH_SUCCESS &&
                        aoti_torch_get_dtype(handle, &dtype) == AOTI_TORCH_SUCCESS &&
                        aoti_torch_get_device_type(handle, &device) == AOTI_TORCH_SUCCESS &&
                        aoti_torch_get_sizes(handle, &sizes) == AOTI_TORCH_SUCCESS &&
                        aoti_torch_get_strides(handle, &strides) == AOTI_TORCH_SUCCESS &&
                        aoti_torch_get_data_ptr(handle, &data) == AOTI_TORCH_SUCCESS;
  if (!is_known || axes != 3 || dtype != aoti_torch_dtype_float64() ||
      device != aoti_torch_device_type_cpu())
    return {};
  Operand operand{{static_cast<double *>(data), {}}, {}};
  std::copy_n(strides, 3, operand.matrices.strides.begin());
  std::copy_n(sizes, 3, operand.sizes.begin());
  return operand;
}

MatrixBatch<const double> read_only(const Operand & operand)
{
  return {operand.matrices.data, operand.matrices.strides};
}

} // namespace

AOTITorchError graph_bmm_out(AtenTensorHandle out, AtenTensorHandle a, AtenTensorHandle b)
{
  const auto target = operand_of(out), left = operand_of(a), right = operand_of(b);
  if (!target || !left || !right)
    return aoti_torch_cpu_bmm_out(out, a, b);
  const auto batch = left->sizes[0];
  const ProductSizes sizes{left->sizes[1], left->sizes[2], right->sizes[2]};
  const bool fits = right->sizes == std::array{batch, sizes.inner, sizes.columns} &&
                    target->sizes == std::array{batch, sizes.rows, sizes.columns};
  const auto work = sizes.multiplications();
  if (!fits || work == 0 || work > most_multiplications)
    return aoti_torch_cpu_bmm_out(out, a, b);
  at::parallel_for(0, batch, std::max<std::int64_t>(1, grain / work),
                   [&](std::int64_t begin, std::int64_t end)
                   {
                     multiply_small(target->matrices, read_only(*left), read_only(*right), sizes,
                                    begin, end);
                   });
  return AOTI_TORCH_SUCCESS;
}

} // namespace neml2_aoti_plugin
