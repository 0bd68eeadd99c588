// The threads that share the work of one call: the calling thread, and helpers that are free.
// Graphs that a member runs use no threads of their own, unless the work cannot be divided.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <functional>

namespace neml2_aoti_plugin
{

/// Thrown by Checkpoint where the caller wants the call to end.
class Interrupted : public std::exception
{
public:
  const char * what() const noexcept override { return "interrupted by the caller"; }
};

/// Whether the caller wants the call to end; only asked on the calling thread.
using Poll = std::function<bool()>;

/// What a member passes now and then.
class Checkpoint
{
public:
  Checkpoint(std::atomic<bool> & stop, const Poll * poll) : stop_(stop), poll_(poll) {}

  /// Throws Interrupted where the call is to end, also because another member has failed.
  void operator()() const;

private:
  std::atomic<bool> & stop_;
  const Poll * poll_; // null on all threads but the calling one
};

class Team
{
public:
  explicit Team(std::int64_t size = 1, Poll poll = {}) : size_(size), poll_(std::move(poll)) {}

  std::int64_t size() const { return size_; }

  /// The calling thread alone, whose graphs may use as many threads as this team has members.
  Team undivided() const;

  /// `member` on up to `members` threads at once, each with a number from 0, the calling thread's.
  /// How many there will be is not known: they take work from one queue.
  /// When all have ended, what the one of the lowest number threw is thrown.
  using Member = std::function<void(std::int64_t number, const Checkpoint & checkpoint)>;
  void run(std::int64_t members, const Member & member) const;

  /// `task` for every number below `count`, in that order on each thread. After a task has failed,
  /// no other begins; what the one of the lowest number threw is thrown.
  using Task = std::function<void(std::int64_t number)>;
  void for_each(std::int64_t count, const Task & task) const;

private:
  std::int64_t size_;
  std::int64_t threads_ = 1; // of the graphs that a member runs
  Poll poll_;
};

} // namespace neml2_aoti_plugin
