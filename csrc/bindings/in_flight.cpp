#include "bindings/in_flight.h"

#include <pthread.h>

#include <atomic>
#include <chrono>
#include <thread>

namespace py = pybind11;

namespace neml2_aoti_plugin
{

namespace
{

// Of the process, as is the interpreter.
std::atomic<int> calls_in_flight = 0;
std::atomic<bool> have_others_called = false; // than the thread that imported the module
std::thread::id importing_thread;
std::atomic<std::thread::id> ending_thread;

/// A call looks up between chunks; one that does not is not waited for any longer.
constexpr std::chrono::seconds patience(60);

/// For threads between two calls to come to the next one, where they stand still. Torch, too,
/// cannot be come back to, as from giving up a tensor.
constexpr std::chrono::milliseconds grace(100);

void end_calls()
{
  using Clock = std::chrono::steady_clock;
  ending_thread = std::this_thread::get_id();
  const py::gil_scoped_release unlocked; // which calls need to come back
  const auto deadline = Clock::now() + patience;
  while (calls_in_flight > 0 && Clock::now() < deadline)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  if (have_others_called)
    std::this_thread::sleep_for(grace);
}

/// Calls of other threads do not go on in a child.
void forget_calls() { calls_in_flight = 0; }

} // namespace

CallInFlight::CallInFlight()
{
  if (is_to_stand_still())
    stand_still();
  if (std::this_thread::get_id() != importing_thread)
    have_others_called.store(true, std::memory_order_relaxed);
  ++calls_in_flight;
}

CallInFlight::~CallInFlight() { --calls_in_flight; }

bool is_to_stand_still()
{
  const auto ending = ending_thread.load();
  return ending != std::thread::id() && ending != std::this_thread::get_id();
}

void stand_still()
{
  const py::gil_scoped_release unlocked;
  while (true)
    std::this_thread::sleep_for(std::chrono::hours(1));
}

void bind_shutdown()
{
  importing_thread = std::this_thread::get_id();
  pthread_atfork(nullptr, nullptr, &forget_calls);
  py::module_::import("atexit").attr("register")(py::cpp_function(&end_calls));
}

} // namespace neml2_aoti_plugin
