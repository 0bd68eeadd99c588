#include "segments/chunk_size.h"

#include <algorithm>
#include <chrono>
#include <mutex>

namespace neml2_aoti_plugin
{

namespace
{

constexpr std::int64_t smallest_chunk = 64;
constexpr std::int64_t largest_chunk = 8192;
constexpr double short_run = 200e-6; // in seconds; a longer one hides what any run costs
constexpr double gain = 0.97; // of the time per row, for which doubling the chunk is worth it

double seconds(const std::function<void(std::int64_t)> & run, std::int64_t count)
{
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  run(count);
  return std::chrono::duration<double>(Clock::now() - start).count();
}

Graph::Pace measure(std::int64_t rows, const std::function<void(std::int64_t)> & run)
{
  run(smallest_chunk); // opens the graph
  Graph::Pace best{smallest_chunk, 1.0};
  for (auto count = smallest_chunk; count <= std::min(rows, largest_chunk); count *= 2)
  {
    const auto time = std::min(seconds(run, count), seconds(run, count));
    const auto per_row = time / static_cast<double>(count);
    const bool is_better = per_row < gain * best.seconds_per_row;
    if (is_better)
      best = {count, per_row};
    else if (time > short_run)
      break;
  }
  return best;
}

} // namespace

std::optional<Graph::Pace> measured_pace(Graph & graph, std::int64_t rows,
                                         const std::function<void(std::int64_t)> & run)
{
  static std::mutex measuring; // two at once would measure one another
  if (const auto known = graph.pace())
    return known;
  if (rows < least_measured_rows)
    return std::nullopt;
  const std::unique_lock lock(measuring, std::try_to_lock);
  if (!lock)
    return std::nullopt;
  graph.set_pace(measure(rows, run));
  return graph.pace();
}

} // namespace neml2_aoti_plugin
