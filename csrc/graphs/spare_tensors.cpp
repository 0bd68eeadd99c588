#include "graphs/spare_tensors.h"

#include <ATen/EmptyTensor.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/InferenceMode.h>
#include <c10/core/impl/alloc_cpu.h>

#include <algorithm>
#include <bit>
#include <typeinfo>
#include <utility>

namespace neml2_aoti_plugin
{

namespace
{

constexpr std::size_t most_bytes = std::size_t{1} << 20;       // of one tensor
constexpr std::size_t most_kept_bytes = std::size_t{16} << 20; // of a thread
constexpr std::size_t most_views = 256;

/// Sizes of memory: multiples of 64 bytes up to 512, then eight steps to the next power of two. A
/// batch from which rows leave goes on with the memory that it has.
struct SizeClass
{
  std::size_t number;
  std::size_t bytes;
};

constexpr SizeClass class_of(std::size_t bytes)
{
  constexpr int smallest_step = 6;
  const auto last = std::max<std::size_t>(bytes, 1) - 1;
  const auto step = std::max(smallest_step, static_cast<int>(std::bit_width(last)) - 4);
  const auto steps = (last >> step) + 1;
  return {static_cast<std::size_t>(step - smallest_step) * 8 + steps - 1, steps << step};
}

static_assert(class_of(1).bytes == 64 && class_of(513).bytes == 576);
static_assert(class_of(512).number == 7 && class_of(513).number == 8);
static_assert(class_of(1024).number == 15 && class_of(1025).number == 16);

/// Also the mark of memory that was taken here, and has the bytes of its class.
void free_memory(void * memory) { c10::free_cpu(memory); }

std::unique_ptr<at::Tensor> fresh(std::size_t bytes, std::size_t capacity)
{
  auto * memory = c10::alloc_cpu(capacity);
  auto storage = c10::make_intrusive<c10::StorageImpl>(
      c10::StorageImpl::use_byte_size_t(), bytes,
      at::DataPtr(memory, memory, &free_memory, at::Device(at::kCPU)), c10::GetCPUAllocator(),
      /*resizable=*/true);
  return std::make_unique<at::Tensor>(at::detail::make_tensor<at::TensorImpl>(
      std::move(storage), c10::DispatchKeySet(c10::DispatchKey::CPU),
      caffe2::TypeMeta::Make<double>()));
}

/// Nobody but its owner can tell a tensor of this kind from a new one.
bool is_plain(const at::Tensor & tensor)
{
  if (!tensor.defined() || tensor.use_count() != 1)
    return false;
  auto * impl = tensor.unsafeGetTensorImpl();
  return typeid(*impl) == typeid(at::TensorImpl) && impl->has_storage() &&
         impl->device() == at::Device(at::kCPU) &&
         impl->dtype() == caffe2::TypeMeta::Make<double>() && !impl->is_inference() &&
         !impl->autograd_meta() && !impl->pyobj_slot()->load_pyobj();
}

bool owns_its_memory(const at::Tensor & tensor)
{
  const auto & storage = tensor.storage();
  return storage.use_count() == 1 && storage.data_ptr().get_deleter() == &free_memory;
}

std::unique_ptr<at::Tensor> popped(std::vector<std::unique_ptr<at::Tensor>> & stack)
{
  auto tensor = std::move(stack.back());
  stack.pop_back();
  return tensor;
}

void shape(const at::Tensor & tensor, at::IntArrayRef sizes, at::IntArrayRef strides,
           std::int64_t offset)
{
  auto * impl = tensor.unsafeGetTensorImpl();
  if (tensor.sizes() != sizes || tensor.strides() != strides || tensor.storage_offset() != offset)
    impl->set_sizes_and_strides(sizes, strides, offset);
}

} // namespace

SpareTensors::SpareTensors()
    : no_memory_(c10::make_intrusive<c10::StorageImpl>(c10::StorageImpl::use_byte_size_t(), 0,
                                                       at::DataPtr(nullptr, at::Device(at::kCPU)),
                                                       nullptr, /*resizable=*/false))
{
  static_assert(class_of(most_bytes).number + 1 == classes);
}

std::unique_ptr<at::Tensor> SpareTensors::own(at::IntArrayRef sizes, at::IntArrayRef strides)
{
  const auto bytes = at::detail::computeStorageNbytes(sizes, strides, sizeof(double));
  if (bytes > most_bytes || c10::InferenceMode::is_enabled())
    return nullptr;
  const auto [number, capacity] = class_of(bytes);
  auto & stack = owners_[number];
  std::unique_ptr<at::Tensor> tensor;
  if (stack.empty())
    tensor = fresh(bytes, capacity);
  else
  {
    tensor = popped(stack);
    kept_bytes_ -= capacity;
    tensor->storage().unsafeGetStorageImpl()->set_nbytes(bytes);
  }
  shape(*tensor, sizes, strides, 0);
  return tensor;
}

std::unique_ptr<at::Tensor> SpareTensors::view(const at::Tensor & base, at::IntArrayRef sizes,
                                               at::IntArrayRef strides, std::int64_t offset)
{
  if (views_.empty() || base.key_set() != views_.back()->key_set() || base.dtype() != at::kDouble)
    return nullptr;
  auto tensor = popped(views_);
  tensor->unsafeGetTensorImpl()->set_storage_keep_dtype(base.storage());
  shape(*tensor, sizes, strides, offset);
  return tensor;
}

void SpareTensors::keep(std::unique_ptr<at::Tensor> tensor)
{
  if (!is_plain(*tensor))
    return;
  if (!owns_its_memory(*tensor))
  {
    if (views_.size() >= most_views)
      return;
    tensor->unsafeGetTensorImpl()->set_storage_keep_dtype(no_memory_);
    views_.push_back(std::move(tensor));
    return;
  }
  const auto [number, capacity] = class_of(tensor->storage().nbytes());
  if (kept_bytes_ + capacity > most_kept_bytes)
    return;
  kept_bytes_ += capacity;
  owners_[number].push_back(std::move(tensor));
}

} // namespace neml2_aoti_plugin
