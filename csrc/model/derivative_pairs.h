// The (output, input or parameter) pairs whose derivative an artifact carries. Authored names.
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace neml2_aoti_plugin
{

class DerivativePairs
{
public:
  explicit DerivativePairs(const std::vector<std::pair<std::string, std::string>> & pairs)
      : pairs_(pairs)
  {
  }

  bool empty() const { return pairs_.empty(); }

  bool contains(const std::string & output, const std::string & column) const
  {
    return std::find(pairs_.begin(), pairs_.end(), std::pair{output, column}) != pairs_.end();
  }

  bool has_output(const std::string & output) const
  {
    return std::any_of(pairs_.begin(), pairs_.end(),
                       [&](const auto & pair) { return pair.first == output; });
  }

  bool has_column(const std::string & column) const
  {
    return std::any_of(pairs_.begin(), pairs_.end(),
                       [&](const auto & pair) { return pair.second == column; });
  }

private:
  const std::vector<std::pair<std::string, std::string>> & pairs_;
};

} // namespace neml2_aoti_plugin
