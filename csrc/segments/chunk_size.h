// How many rows a graph is best run on at once: enough to make little of what a run costs whatever
// its size, and few enough to keep intermediate results in the cache. That depends on the graph and
// on the machine, so it is measured, once per graph, on rows of the first call that has enough.
#pragma once

#include <functional>

#include "graphs/graph.h"

namespace neml2_aoti_plugin
{

/// Calls with fewer rows are not worth a measurement.
constexpr std::int64_t least_measured_rows = 1024;

/// The pace of the graph, measured now unless it is known; unset where the call has too few rows or
/// another thread is measuring. `run(count)` runs the graph on the first `count` of the `rows`.
std::optional<Graph::Pace> measured_pace(Graph & graph, std::int64_t rows,
                                         const std::function<void(std::int64_t count)> & run);

} // namespace neml2_aoti_plugin
