#include <atomic>
#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>

#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "execution/team.h"

namespace neml2_aoti_plugin {
namespace {

std::string thrown_by(const std::function<void()>& call) {
  try {
    call();
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return "";
}

const check::Tests tests{
{"a_team_does_every_task_once", [] {
  for (const std::int64_t size : {1, 2, 5}) {
    std::vector<std::atomic<int>> done(1000);
    Team(size).for_each(1000, [&](std::int64_t number) { ++done[static_cast<std::size_t>(number)]; });
    for (const auto& times : done)
      check::equal(times.load(), 1);
  }
}},
{"the_calling_thread_is_member_zero", [] {
  const auto caller = std::this_thread::get_id();
  Team(3).run(3, [&](std::int64_t number, const Checkpoint&) {
    check::that((std::this_thread::get_id() == caller) == (number == 0));
  });
}},
{"a_team_throws_what_the_first_failing_task_threw", [] {
  for (const std::int64_t size : {1, 4}) {
    const auto text = thrown_by([&] {
      Team(size).for_each(100, [](std::int64_t number) {
        if (number >= 7)
          throw std::runtime_error("task " + std::to_string(number));
      });
    });
    check::equal(text, std::string("task 7"));
  }
}},
{"no_task_begins_after_one_has_failed", [] {
  std::atomic<int> begun{0};
  thrown_by([&] {
    Team(1).for_each(100, [&](std::int64_t) {
      ++begun;
      throw std::runtime_error("at once");
    });
  });
  check::equal(begun.load(), 1);
}},
{"a_caller_who_asks_for_it_is_interrupted", [] {
  std::atomic<int> done{0};
  const Team team(2, [&] { return done > 10; });
  bool is_interrupted = false;
  try {
    team.for_each(1000000, [&](std::int64_t) {
      ++done;
      std::this_thread::sleep_for(std::chrono::microseconds(50));
    });
  } catch (const Interrupted&) {
    is_interrupted = true;
  }
  check::that(is_interrupted && done < 1000);
}},
{"a_failure_outweighs_the_interruption_that_it_causes", [] {
  const auto text = thrown_by([] {
    Team(4).run(4, [](std::int64_t number, const Checkpoint& checkpoint) {
      if (number == 0) {
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
        throw std::runtime_error("the cause");
      }
      for (;;)
        checkpoint();
    });
  });
  check::equal(text, std::string("the cause"));
}},
{"teams_may_work_side_by_side_and_inside_one_another", [] {
  std::atomic<int> done{0};
  Team(4).for_each(8, [&](std::int64_t) { Team(3).for_each(20, [&](std::int64_t) { ++done; }); });
  check::equal(done.load(), 160);
}},
{"a_forked_child_has_a_team_of_its_own", [] {
  Team(3).for_each(100, [](std::int64_t) {});  // helpers of the parent
  const auto child = fork();
  if (child == 0) {
    std::atomic<int> done{0};
    Team(3).for_each(100, [&](std::int64_t) { ++done; });
    _exit(done == 100 ? 0 : 1);
  }
  int status = -1;
  waitpid(child, &status, 0);
  check::that(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}},
};

}  // namespace
}  // namespace neml2_aoti_plugin
