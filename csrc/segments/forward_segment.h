// Outputs from inputs and promoted parameters in one graph run.
#pragma once

#include "description/segment.h"
#include "graphs/graph_store.h"
#include "layout/shape_table.h"
#include "segments/segment.h"

namespace neml2_aoti_plugin
{

class ForwardSegment : public Segment
{
public:
  ForwardSegment(ForwardSegmentDescription description, const ShapeTable & shapes,
                 GraphStore & graphs);

  void run(State & state, Tangents * tangents, Passage * passage, const Call & call) const override;
  void pull_back(const Passage & passage, Cotangents & cotangents,
                 const Call & call) const override;
  void pass_on(Moving & moving) const override;

  bool is_divisible() const override { return !description_.whole_batch; }

  /// One run of a graph, however many rows.
  std::optional<std::int64_t> chunk_rows() const override { return std::nullopt; }

  /// A block as the derivative graph returned it, with the pair it belongs to.
  struct Block
  {
    const InputPair * pair;
    at::Tensor data; // leading axes, *output_base, *input_base

    /// The block at (rows or 1, *input_sub_batch, *output_base, *input_base). Graphs leave out the
    /// batch, or have extents of one, where nothing depends on an axis, and put further ones
    /// behind. Throws ArtifactError where the leading axes are something else.
    at::Tensor by_site() const;
  };

  /// Writes the values and returns the blocks of the derivative graph, which must exist.
  std::vector<Block> run_with_blocks(State & state, const Call & call) const;

  bool has_derivatives() const { return derivative_ != nullptr; }

  /// The graph of parameter_gradients(), if there is one.
  const ParameterAdjointGraph * adjoint() const
  {
    return adjoint_ ? &*description_.parameter_adjoint : nullptr;
  }

  /// Gradients (rows, *parameter base) of sum(cotangent * output) over outputs, row by row, in one
  /// reverse pass. `cotangents` (rows, *output base) for all outputs of the adjoint graph, which
  /// must exist.
  using NamedCotangents = std::unordered_map<std::string, at::Tensor>;
  std::unordered_map<std::string, at::Tensor>
  parameter_gradients(const State & state, const NamedCotangents & cotangents,
                      const Call & call) const;

private:
  bool is_reached_by(const Tangents & tangents) const;
  void pull_back_to_parameters(const Passage & passage, const CotangentMap & of_outputs,
                               Cotangents & cotangents, const Call & call) const;
  void add_direct_tangents(ComputedTangents & computed, const State & state,
                           const Tangents & tangents, const Call & call) const;

  Tensors arguments(const State & state, const Call & call) const;
  std::int64_t chunk_rows_for(Graph & graph, const Call & call,
                              const std::function<void(std::int64_t rows)> & run) const;
  Tensors run_in_chunks(Graph & graph, Tensors arguments, std::size_t expected,
                        const Call & call) const;
  bool has_rows(const at::Tensor & result, std::size_t k, std::int64_t rows) const;
  Tensors run_graph(Graph & graph, std::size_t blocks, const State & state,
                    const Call & call) const;
  bool is_run_by_rows(const Call & call) const;
  Tensors run_by_rows(Graph & graph, const Tensors & arguments, std::size_t expected,
                      std::int64_t rows) const;
  at::Tensor of_one_row(const at::Tensor & result, std::size_t k, const Graph & graph) const;
  std::size_t block_count() const;
  void write_outputs(const Tensors & results, const Graph & graph, State & state,
                     const Call & call) const;

  ForwardSegmentDescription description_;
  std::vector<std::optional<KnownShape>> output_shapes_;
  Graph & value_;
  Graph * derivative_;
  Graph * parameter_derivative_;
  Graph * adjoint_;
};

} // namespace neml2_aoti_plugin
