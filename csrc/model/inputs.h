// Checks what a caller passes and brings it to the one layout that segments know: rows on axis 0,
// float64, contiguous.
#pragma once

#include <functional>
#include <optional>

#include "description/model_description.h"
#include "model/named_tensors.h"
#include "segments/segment.h"

namespace neml2_aoti_plugin
{

struct PreparedInputs
{
  Shape batch;       // common batch of all inputs and parameters
  std::int64_t rows; // its product
  State state;
};

class Inputs
{
public:
  Inputs(const ModelDescription & model, at::ScalarType dtype, at::Device device);

  /// Throws InputError or InputTypeError naming the input, what was found and what is expected.
  /// `parameters` take part in the common batch.
  PreparedInputs prepare(const TensorMap & given, const ParameterValues & parameters) const;

  /// The tangents that were given, as columns: (rows, |input|, 1) by authored name.
  std::unordered_map<std::string, at::Tensor>
  prepare_tangents(const TensorMap & given, const Shape & batch, std::int64_t rows) const;

  /// The cotangents that were given, by authored name of the output, at (rows, *sub, *base).
  /// `sub_batch_of` says what sub-batch axes an output has, as far as is known.
  using SubBatchOf = std::function<std::optional<Shape>(const std::string & output)>;
  std::unordered_map<std::string, at::Tensor> prepare_cotangents(const TensorMap & given,
                                                                 const SubBatchOf & sub_batch_of,
                                                                 const Shape & batch,
                                                                 std::int64_t rows) const;

private:
  struct Checked
  {
    at::Tensor data;
    Shape batch;
  };

  /// `what` it is, for the error.
  Checked check(const BoundaryVariable & variable, const std::string & what,
                const at::Tensor & tensor) const;
  std::vector<Checked> check_all(const TensorMap & given) const;
  at::Tensor to_rows(const Checked & checked, const Shape & batch, std::int64_t rows) const;
  at::Tensor prepare_direction(const std::string & kind, const BoundaryVariable & variable,
                               const at::Tensor & tensor, const Shape & batch,
                               std::int64_t rows) const;

  const std::vector<BoundaryVariable> & variables_;
  const std::vector<BoundaryVariable> & outputs_;
  const std::vector<ParameterDescription> & parameters_;
  const std::optional<FixedBatch> & fixed_batch_;
  at::ScalarType dtype_;
  at::Device device_;
  std::vector<std::string> labels_, parameter_labels_; // for errors
};

} // namespace neml2_aoti_plugin
