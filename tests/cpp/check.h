// The checks and the list of tests. A test file defines one `const check::Tests`, a list of {name, function};
// names are also read from the sources by test_cpp.py, so each stands at the start of a line.
#pragma once

#include <cmath>
#include <functional>
#include <optional>
#include <source_location>
#include <sstream>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

namespace check {

using Where = std::source_location;

struct Test {
  std::string name;
  std::function<void()> run;
};

inline std::vector<Test>& all_tests() {
  static std::vector<Test> tests;
  return tests;
}

struct Tests {
  Tests(std::initializer_list<Test> tests) {
    all_tests().insert(all_tests().end(), tests.begin(), tests.end());
  }
};

struct Failure : std::runtime_error {
  Failure(const std::string& what, const Where& where)
      : std::runtime_error(std::string(where.file_name()) + ":" + std::to_string(where.line()) +
                           ": " + what) {}
};

template <typename T>
std::string show(const T& value) {
  std::ostringstream text;
  text.precision(17);
  if constexpr (std::is_enum_v<T>)
    text << static_cast<int>(value);
  else
    text << value;
  return text.str();
}

template <typename T>
std::string show(const std::vector<T>& values) {
  std::string text;
  for (const auto& value : values)
    text += (text.empty() ? "" : ", ") + show(value);
  return "{" + text + "}";
}

template <typename T>
std::string show(const std::optional<T>& value) {
  return value ? show(*value) : "unset";
}

inline void that(bool claim, const Where& where = Where::current()) {
  if (!claim)
    throw Failure("the claim does not hold", where);
}

template <typename T>
void equal(const T& found, const std::type_identity_t<T>& expected,
           const Where& where = Where::current()) {
  if (!(found == expected))
    throw Failure("found " + show(found) + "\n  expected " + show(expected), where);
}

inline void near(double found, double expected, double tolerance,
                 const Where& where = Where::current()) {
  if (!(std::abs(found - expected) <= tolerance))
    throw Failure("found " + show(found) + "\n  expected " + show(expected) + " within " +
                      show(tolerance),
                  where);
}

/// Asserts the type and the whole text of what `call` throws.
template <typename Exception>
void throws(const std::function<void()>& call, const std::string& text,
            const Where& where = Where::current()) {
  try {
    call();
  } catch (const Exception& error) {
    if (typeid(error) != typeid(Exception))
      throw Failure(std::string("another type of exception says ") + error.what(), where);
    return check::equal(std::string(error.what()), text, where);
  }
  throw Failure("nothing was thrown; expected: " + text, where);
}

}  // namespace check
