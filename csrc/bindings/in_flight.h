// Calls that run without the interpreter lock, and the end of the interpreter.
//
// Once Python shuts down it ends every thread that comes back for the lock, in a way that C++ does
// not survive. By then only daemon threads are left beside the one that shuts down. So before it
// does, their calls in flight are asked to end and waited for; the threads then stand still until
// the process is gone, as do those that call later. Newer Pythons do the same with threads that
// come for the lock.
#pragma once

#include <pybind11/pybind11.h>

namespace neml2_aoti_plugin
{

/// Lives as long as one call; made and unmade with the lock held. Never made where the call is not
/// to begin any more.
class CallInFlight
{
public:
  CallInFlight();
  ~CallInFlight();
  CallInFlight(const CallInFlight &) = delete;
  CallInFlight & operator=(const CallInFlight &) = delete;
};

/// Whether the call of this thread is to end.
bool is_to_stand_still();

/// Gives the lock back, which this thread must have, and never returns.
[[noreturn]] void stand_still();

/// Lets Python wait for calls in flight when it exits.
void bind_shutdown();

} // namespace neml2_aoti_plugin
