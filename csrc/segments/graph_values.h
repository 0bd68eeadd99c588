// Values on their way into a forward graph and out of it.
#pragma once

#include <optional>

#include "graphs/graph.h"
#include "layout/shape_table.h"
#include "segments/segment.h"

namespace neml2_aoti_plugin
{

/// The value of a variable that a segment needs; throws ArtifactError naming both where it is
/// absent.
const Value & value_of(const State & state, const std::string & variable,
                       const std::string & segment);

/// The natural batch of a result that reads these variables: the broadcast of theirs.
Shape batch_of(const State & state, const std::vector<std::string> & variables);

/// Whether axis 0 of what a graph returned is the batch. Decided by the rank where it is known,
/// else by the extent.
bool has_batch_axis(const at::Tensor & raw, const std::optional<KnownShape> & known,
                    std::int64_t rows);

/// Runs a forward or predictor graph. Graphs are not relied upon for empty batches, but the shapes
/// of their results are needed: without rows, the graph sees one stand-in row, and value_from()
/// drops it again.
Tensors run_on_rows(Graph & graph, Tensors arguments, std::size_t expected, std::int64_t rows);

/// What a graph returned for `variable` as a value at (rows, *sub, *base), contiguous. `batch` is
/// that of the graph's arguments. Graphs drop the batch of results that depend on no argument, and
/// such a result may be memory of their own: it is copied, and its natural batch is empty.
Value value_from(const at::Tensor & raw, const std::optional<KnownShape> & known, std::int64_t rows,
                 const Shape & batch, const std::string & variable, const Graph & graph);

} // namespace neml2_aoti_plugin
