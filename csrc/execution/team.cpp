#include "execution/team.h"

#include <algorithm>
#include <vector>

#include "execution/helpers.h"
#include "execution/region_threads.h"

namespace neml2_aoti_plugin
{

namespace
{

void rethrow_first(const std::vector<std::exception_ptr> & failures)
{
  std::exception_ptr interruption;
  for (const auto & failure : failures)
  {
    if (!failure)
      continue;
    try
    {
      std::rethrow_exception(failure);
    }
    catch (const Interrupted &)
    {
      interruption = failure; // of a member that ended because another failed
    }
  }
  if (interruption)
    std::rethrow_exception(interruption);
}

} // namespace

void Checkpoint::operator()() const
{
  if (poll_ && *poll_ && (*poll_)())
    stop_ = true;
  if (stop_)
    throw Interrupted();
}

Team Team::undivided() const
{
  auto team = *this;
  team.threads_ = size_;
  team.size_ = 1;
  return team;
}

void Team::run(std::int64_t members, const Member & member) const
{
  const auto count = std::max<std::int64_t>(1, std::min(members, size_));
  std::atomic<bool> stop{false};
  std::vector<std::exception_ptr> failures(static_cast<std::size_t>(count));
  const auto body = [&](std::int64_t number)
  {
    try
    {
      const RegionThreads region_threads(threads_);
      member(number, Checkpoint(stop, number == 0 ? &poll_ : nullptr));
    }
    catch (...)
    {
      failures[static_cast<std::size_t>(number)] = std::current_exception();
      stop = true;
    }
  };
  run_with_helpers(count, body);
  rethrow_first(failures);
}

void Team::for_each(std::int64_t count, const Task & task) const
{
  std::atomic<std::int64_t> next{0};
  std::vector<std::exception_ptr> failures(static_cast<std::size_t>(count));
  std::atomic<bool> has_failed{false};
  run(count,
      [&](std::int64_t, const Checkpoint & checkpoint)
      {
        for (auto number = next++; number < count && !has_failed; number = next++)
        {
          checkpoint();
          try
          {
            task(number);
          }
          catch (...)
          {
            failures[static_cast<std::size_t>(number)] = std::current_exception();
            has_failed = true;
          }
        }
      });
  for (const auto & failure : failures)
    if (failure)
      std::rethrow_exception(failure);
}

} // namespace neml2_aoti_plugin
