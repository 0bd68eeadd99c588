#include "model/tensor_checks.h"

#include <ATen/EmptyTensor.h>
#include <ATen/core/Tensor.h>

#include <array>

#include "errors.h"
#include "layout/shapes.h"

namespace neml2_aoti_plugin
{

namespace
{

constexpr std::array<std::pair<at::ScalarType, const char *>, 5> dtypes{{
    {at::kDouble, "float64"},
    {at::kFloat, "float32"},
    {at::kLong, "int64"},
    {at::kInt, "int32"},
    {at::kBool, "bool"},
}};

bool is_same_device(const at::Device & found, const at::Device & expected)
{
  return found.type() == expected.type() &&
         (!expected.has_index() || !found.has_index() || found.index() == expected.index());
}

/// Whether the elements can be read from memory. They cannot where a tensor stands for others
/// (fake, functional, vmapped, differentiated, nested, a subclass that wraps) or where its storage
/// has been given back; graphs would read from address zero.
bool holds_data(const at::Tensor & tensor)
{
  if (tensor.is_nested() || tensor.is_meta() || tensor._is_zerotensor() || !tensor.has_storage())
    return false;
  if (tensor.numel() == 0)
    return true;
  const auto & storage = tensor.storage();
  return storage.device_type() == tensor.device().type() && storage.data() != nullptr &&
         storage.nbytes() >= at::detail::computeStorageNbytes(tensor.sizes(), tensor.strides(),
                                                              tensor.element_size(),
                                                              tensor.storage_offset());
}

} // namespace

std::string dtype_name(at::ScalarType dtype)
{
  for (const auto & [known, name] : dtypes)
    if (known == dtype)
      return name;
  return at::toString(dtype);
}

at::ScalarType parse_dtype(const std::string & name)
{
  for (const auto & [dtype, known] : dtypes)
    if (name == known)
      return dtype;
  throw ArtifactError("unknown dtype '" + name + "'");
}

void check_kind(const std::string & what, const at::Tensor & tensor, at::ScalarType dtype,
                const at::Device & device)
{
  if (!tensor.defined())
    throw InputTypeError(what + " is an undefined tensor; pass a dense " + dtype_name(dtype) +
                         " tensor");
  if (tensor.layout() != at::kStrided || tensor.is_quantized())
    throw InputTypeError(what + " is not a dense tensor; pass one (for example with .to_dense())");
  if (!holds_data(tensor))
    throw InputTypeError(
        what + " holds no data of its own (a meta, fake, nested or wrapped tensor, or one inside a "
               "torch.func transform); pass a plain dense tensor");
  if (!is_same_device(tensor.device(), device))
    throw InputTypeError(what + " is on device " + tensor.device().str() +
                         ", but the artifact was compiled for " + device.str() +
                         "; move it with .to('" + device.str() + "'), or load the " +
                         tensor.device().str() + " leaf of the artifact");
  if (tensor.scalar_type() != dtype)
    throw InputTypeError(what + " has dtype " + dtype_name(tensor.scalar_type()) +
                         ", but the artifact takes " + dtype_name(dtype) +
                         "; convert it with .to(torch." + dtype_name(dtype) + ")");
}

Shape leading_batch(const std::string & what, const at::Tensor & tensor, const Shape & sub,
                    const Shape & base)
{
  const auto shape = tensor.sizes();
  const auto tail = sub.size() + base.size();
  if (shape.size() < tail || shape.slice(shape.size() - tail, sub.size()) != at::IntArrayRef(sub) ||
      shape.slice(shape.size() - base.size()) != at::IntArrayRef(base))
    throw InputError(
        what + " has shape " + to_string(shape.vec()) + ", expected (*batch" +
        (sub.empty() ? "" : ", *sub_batch") + ", *base) ending with " +
        to_string(concatenate(sub, base)) +
        (sub.empty() ? "" : " (sub-batch " + to_string(sub) + ", base " + to_string(base) + ")") +
        "; base and sub-batch axes are never broadcast");
  return shape.slice(0, shape.size() - tail).vec();
}

} // namespace neml2_aoti_plugin
