#include "graphs/graph_tensors.h"

#include <torch/csrc/inductor/aoti_torch/utils.h>

#include <exception>
#include <memory>

#include "graphs/spare_tensors.h"

namespace neml2_aoti_plugin
{

namespace
{

constinit thread_local bool have_spares_gone = false; // outlives what it tells of

struct Spares : SpareTensors
{
  ~Spares() { have_spares_gone = true; }
};

/// Unset once the thread is ending, when a graph that is closed late may still give up tensors.
SpareTensors * spares()
{
  if (have_spares_gone)
    return nullptr;
  static thread_local Spares spares;
  return &spares;
}

at::IntArrayRef view_of(const std::int64_t * values, std::int64_t count)
{
  return {values, static_cast<std::size_t>(count)};
}

/// Ownership of a handle, which is a tensor on the heap.
at::Tensor * tensor_of(AtenTensorHandle handle)
{
  return torch::aot_inductor::tensor_handle_to_tensor_pointer(handle);
}

AtenTensorHandle handle_of(std::unique_ptr<at::Tensor> tensor)
{
  return reinterpret_cast<AtenTensorHandle>(tensor.release());
}

/// Whether `make` made a tensor. Where it throws, torch's own function shall say why.
template <typename Make>
bool made_by(const Make & make, AtenTensorHandle * made) noexcept
{
  try
  {
    auto * available = spares();
    auto tensor = available ? make(*available) : nullptr;
    if (!tensor)
      return false;
    *made = handle_of(std::move(tensor));
    return true;
  }
  catch (const std::exception &)
  {
    return false;
  }
}

} // namespace

AOTITorchError graph_empty_strided(std::int64_t axes, const std::int64_t * sizes,
                                   const std::int64_t * strides, std::int32_t dtype,
                                   std::int32_t device, std::int32_t device_index,
                                   AtenTensorHandle * made)
{
  static const auto float64 = aoti_torch_dtype_float64();
  static const auto cpu = aoti_torch_device_type_cpu();
  const auto own = [&](SpareTensors & available)
  { return available.own(view_of(sizes, axes), view_of(strides, axes)); };
  if (dtype == float64 && device == cpu && made_by(own, made))
    return AOTI_TORCH_SUCCESS;
  return aoti_torch_empty_strided(axes, sizes, strides, dtype, device, device_index, made);
}

AOTITorchError graph_reinterpret_tensor(AtenTensorHandle base, std::int64_t axes,
                                        const std::int64_t * sizes, const std::int64_t * strides,
                                        std::int64_t offset, AtenTensorHandle * made)
{
  const auto view = [&](SpareTensors & available)
  {
    return available.view(*tensor_of(base), view_of(sizes, axes), view_of(strides, axes), offset);
  };
  if (made_by(view, made))
    return AOTI_TORCH_SUCCESS;
  return aoti_torch__reinterpret_tensor(base, axes, sizes, strides, offset, made);
}

AOTITorchError graph_delete_tensor(AtenTensorHandle tensor)
{
  auto * available = spares();
  if (!available || !tensor)
    return aoti_torch_delete_tensor_object(tensor);
  try
  {
    available->keep(std::unique_ptr<at::Tensor>(tensor_of(tensor)));
  }
  catch (const std::exception &)
  {
    // No memory to note it down, so it is gone, as it was to be.
  }
  return AOTI_TORCH_SUCCESS;
}

} // namespace neml2_aoti_plugin
