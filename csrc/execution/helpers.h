// Threads that wait for work, shared by all calls of the process. Standard library and POSIX.
//
// They are started when they are first wanted and never end: starting one takes as long as many a
// call. A forked child has none of its parent's threads and starts its own.
#pragma once

#include <cstdint>
#include <functional>

namespace neml2_aoti_plugin
{

/// Calls `body(0)` on this thread and, where others are free in the meantime, body(1) to
/// body(count - 1) on them, in that order. Returns when all that began have ended; those that
/// nobody had time for never begin. `body` must not throw.
void run_with_helpers(std::int64_t count, const std::function<void(std::int64_t number)> & body);

} // namespace neml2_aoti_plugin
