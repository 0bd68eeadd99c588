// Runs all tests, or those named; `--list` prints the names. One line says that a test begins, one how it ended.
#include <algorithm>
#include <cstdlib>
#include <iostream>

#include "check.h"

namespace {

bool passes(const check::Test& test) {
  std::cout << "begin " << test.name << std::endl;
  try {
    test.run();
  } catch (const std::exception& error) {
    std::cout << error.what() << "\nfailed " << test.name << std::endl;
    return false;
  }
  std::cout << "passed " << test.name << std::endl;
  return true;
}

}  // namespace

int main(int count, char** words) {
  std::vector<std::string> names(words + 1, words + count);
  const bool is_list = names == std::vector<std::string>{"--list"};
  bool all_pass = true;
  std::size_t selected = 0;
  for (const auto& test : check::all_tests()) {
    const bool is_named = std::find(names.begin(), names.end(), test.name) != names.end();
    if (is_list)
      std::cout << test.name << '\n';
    else if (names.empty() || is_named)
      all_pass = passes(test) && all_pass;
    selected += is_named ? 1 : 0;
  }
  if (!is_list && selected != names.size()) {
    std::cout << "not all of these are names of tests\n";
    return 2;
  }
  return all_pass ? EXIT_SUCCESS : EXIT_FAILURE;
}
