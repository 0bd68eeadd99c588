// Tensors that the graphs of one thread are done with, kept for those that they want next.
//
// A graph makes and gives up some sixty tensors in a run. Each of them is five allocations, which
// take half of the time of a run on few rows, and a tenth of one on many.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace neml2_aoti_plugin
{

/// Of float64, on the processor. What is handed out has no values yet, as fresh memory, and belongs
/// to whom it is handed to.
class SpareTensors
{
public:
  SpareTensors();
  SpareTensors(const SpareTensors &) = delete;
  SpareTensors & operator=(const SpareTensors &) = delete;

  /// A tensor of memory of its own; unset where that would be more than is ever kept.
  std::unique_ptr<at::Tensor> own(at::IntArrayRef sizes, at::IntArrayRef strides);

  /// A tensor in the memory of `base`; unset where there is none to spare that is like `base`.
  std::unique_ptr<at::Tensor> view(const at::Tensor & base, at::IntArrayRef sizes,
                                   at::IntArrayRef strides, std::int64_t offset);

  /// Takes what nobody else holds, if it is of the kind that is handed out. Whatever else is let
  /// go of like any tensor.
  void keep(std::unique_ptr<at::Tensor> tensor);

private:
  using Stack = std::vector<std::unique_ptr<at::Tensor>>;

  static constexpr std::size_t classes = 96;

  std::array<Stack, classes> owners_; // by the memory that they have
  std::size_t kept_bytes_ = 0;        // of all owners
  at::Storage no_memory_;             // in which views wait: theirs is let go of
  Stack views_;
};

} // namespace neml2_aoti_plugin
