#include "execution/helpers.h"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <system_error>
#include <thread>

namespace neml2_aoti_plugin
{

namespace
{

constexpr std::int64_t most_threads = 256;

/// What one caller wants done.
struct Job
{
  const std::function<void(std::int64_t)> * body;
  std::int64_t next;  // number to begin
  std::int64_t count; // numbers in all
  std::int64_t running = 0;
};

class Pool
{
public:
  void run(std::int64_t count, const std::function<void(std::int64_t)> & body)
  {
    Job job{&body, 1, count};
    {
      const std::lock_guard lock(mutex_);
      grow_to(std::min(count - 1, most_threads));
      jobs_.push_back(&job);
    }
    has_work_.notify_all();
    body(0);
    std::unique_lock lock(mutex_);
    jobs_.erase(std::remove(jobs_.begin(), jobs_.end(), &job), jobs_.end());
    has_ended_.wait(lock, [&] { return job.running == 0; });
  }

private:
  void grow_to(std::int64_t threads)
  {
    try
    {
      for (; threads_ < threads; ++threads_)
        std::thread([this] { serve(); }).detach();
    }
    catch (const std::system_error &)
    {
      // The system has no more threads to give: callers do what nobody helps with.
    }
  }

  [[noreturn]] void serve()
  {
    std::unique_lock lock(mutex_);
    for (;;)
    {
      has_work_.wait(lock, [this] { return !jobs_.empty(); });
      auto & job = *jobs_.front();
      const auto number = job.next++;
      if (job.next == job.count)
        jobs_.pop_front();
      ++job.running;
      lock.unlock();
      (*job.body)(number);
      lock.lock();
      if (--job.running == 0)
        has_ended_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable has_work_;
  std::condition_variable has_ended_;
  std::deque<Job *> jobs_;
  std::int64_t threads_ = 0;
};

// Never destroyed, as its threads never end. Left behind by a fork, whose child has not its threads
// and may find its mutex locked for ever.
std::atomic<Pool *> shared_pool{nullptr};

void forget_pool() { shared_pool = nullptr; }

Pool & pool()
{
  static const int registered = pthread_atfork(nullptr, nullptr, forget_pool);
  static_cast<void>(registered);
  auto * present = shared_pool.load();
  if (present)
    return *present;
  auto * made = new Pool;
  if (shared_pool.compare_exchange_strong(present, made))
    return *made;
  delete made; // another thread was faster
  return *present;
}

} // namespace

void run_with_helpers(std::int64_t count, const std::function<void(std::int64_t number)> & body)
{
  if (count <= 1)
    body(0);
  else
    pool().run(count, body);
}

} // namespace neml2_aoti_plugin
