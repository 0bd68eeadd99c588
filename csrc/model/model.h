// A compiled model: its segments in order over one shared state.
//
// All tensors that callers pass or get have the shape (*batch, *sub_batch, *base), the declared
// dtype and the device of the artifact; batch axes broadcast between inputs and parameters. Results
// are fresh storage and never require grad. Threads may call one model at once; a call sees the
// parameters and settings as they were when it began.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "description/model_description.h"
#include "graphs/graph_store.h"
#include "layout/shape_table.h"
#include "model/chain_rule.h"
#include "model/derivative_pairs.h"
#include "model/inputs.h"
#include "model/named_tensors.h"
#include "model/parameters.h"
#include "model/recording.h"
#include "model/request.h"
#include "model/work.h"
#include "segments/forward_segment.h"
#include "segments/segment.h"

namespace neml2_aoti_plugin
{

class Model
{
public:
  /// Opens no graph yet. The description is taken to be consistent: the reader of the metadata sees
  /// to that.
  explicit Model(ModelDescription description, Unpack unpack = {});

  const ModelDescription & description() const { return description_; }
  at::Device device() const { return device_; }
  at::ScalarType dtype() const { return dtype_; }
  Parameters & parameters() { return parameters_; }
  const Parameters & parameters() const { return parameters_; }

  /// Replaces the Newton settings of every implicit segment.
  void set_newton(const NewtonSettings & settings);

  /// How calls that begin from now on are carried out.
  void set_execution(const ExecutionSettings & settings);

  /// Whether calls that begin from now on leave rows out for which a solve fails: all results of
  /// such a row are not a number, and it adds nothing to gradients. Otherwise they throw
  /// ConvergenceError.
  void set_goes_on(bool goes_on);
  bool goes_on() const;

  /// One tensor per output, at the full common batch.
  NamedTensors forward(const Request & request) const;

  /// As forward, but each output at the batch it really depends on (see Value::batch).
  NamedTensors forward_natural(const Request & request) const;

  /// Outputs, and their derivatives in the direction of `tangents`, over the compiled pairs; inputs
  /// without a tangent stand still.
  std::pair<NamedTensors, NamedTensors> jvp(const Request & request,
                                            const TensorMap & tangents) const;

  /// Outputs, and for every compiled pair the block (*batch, *sub, *output_base, *input_base). A
  /// block that does not depend on the batch comes without it where the artifact says so (single
  /// forward segment).
  std::pair<NamedTensors, NamedBlocks> jacobian(const Request & request) const;

  /// Outputs, and for every compiled pair the block (*batch, *output_base, *parameter_base): each
  /// row's output by the value that the parameter has in that row.
  std::pair<NamedTensors, NamedBlocks> param_jacobian(const Request & request) const;

  /// Gradients of sum(cotangent * output) over all outputs by the differentiated parameters: summed
  /// over the rows, (*parameter_base), for a parameter without batch axes, else row by row,
  /// (*batch, *parameter_base). Outputs without a cotangent do not count.
  NamedTensors param_vjp(const Request & request, const TensorMap & cotangents) const;

  /// Outputs at the full common batch, and what pull_back() needs, in memory that grows with the
  /// rows.
  std::pair<NamedTensors, Recording> record(const Request & request) const;

  /// Gradients of sum(cotangent * output), by the wanted inputs, row by row and of the shape
  /// (*batch, *sub, *base), and by the wanted parameters, as of param_vjp(). Every pair of an
  /// output that has a cotangent and something wanted must have been compiled.
  Gradients pull_back(const Recording & recording, const TensorMap & cotangents,
                      const Wanted & wanted) const;

private:
  struct Prepared;
  enum class Batch
  {
    Full,
    Natural
  };

  Prepared prepare(const Request & request) const;
  RowResults run(Prepared & prepared, const Tangents & seeds, const Collect & collect) const;
  RowResults run_segments(Work & work, const Collect & collect) const;
  void run_segment(std::size_t k, Work & work) const;
  bool is_divisible() const;
  std::vector<RowRange> blocks_of(const Call & call, bool has_tangents) const;
  NamedTensors values(const Request & request, Batch which) const;
  const Value & output_value(const State & state, const BoundaryVariable & output) const;
  void collect_outputs(const Work & work, RowResults & results) const;
  NamedTensors outputs(Prepared & prepared, RowResults & results, Batch which) const;

  void require_derivatives(const char * operation) const;
  void require_parameter_derivatives(const char * operation) const;
  void require_derivative_of(const std::string & input) const;
  at::Tensor total_tangent(const Work & work, const BoundaryVariable & output) const;
  RowResult block_from_graph(const std::vector<ForwardSegment::Block> & blocks, const Work & work,
                             const BoundaryVariable & output, const BoundaryVariable & input) const;
  RowResult block_from(const Work & work, const std::string & seed, const BoundaryVariable & output,
                       const Shape & input_sub_batch, const Shape & input_base) const;
  Tangents input_seeds() const;
  Tangents parameter_seeds() const;
  at::Tensor parameter_gradient(const at::Tensor & per_row, const ParameterDescription & parameter,
                                const Call & call) const;
  CotangentMap gradients_per_row(const Work & work, const CotangentMap & cotangents) const;
  Moving moving(const Wanted & wanted) const;
  void require_pairs(const TensorMap & cotangents, const Wanted & wanted) const;
  RowResults pull_back_block(const RecordedBlock & block, const CotangentMap & weights,
                             const Moving & moving, const Wanted & wanted) const;

  template <typename Column, typename Visit>
  void visit_pairs(const DerivativePairs & pairs, const std::vector<Column> & columns,
                   const Visit & visit) const;
  template <typename Column>
  NamedBlocks named_blocks(Prepared & prepared, const DerivativePairs & pairs,
                           const std::vector<Column> & columns, RowResults & results) const;

  ModelDescription description_;
  at::Device device_;
  at::ScalarType dtype_;
  DerivativePairs derivatives_;
  DerivativePairs parameter_derivatives_;
  ShapeTable shapes_;
  Parameters parameters_;
  Inputs inputs_;
  GraphStore graphs_;
  std::vector<std::unique_ptr<Segment>> segments_;
  const ForwardSegment * only_forward_ = nullptr; // set if the model is one forward segment
  std::optional<NewtonSettings> newton_;
  ExecutionSettings execution_;
  bool goes_on_ = false;
  mutable std::mutex settings_mutex_;
};

} // namespace neml2_aoti_plugin
