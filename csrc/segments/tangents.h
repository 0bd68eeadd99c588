// Derivatives of state variables with respect to seeds, carried from segment to segment.
//
// A seed is a direction in which the master inputs move together: one column for jvp, the base
// components of one input for jacobian. The tangent of variable v along seed s is a matrix (rows or
// 1, |v|, columns of s) with |v| = prod(sub) * prod(base). Where v does not depend on s there is no
// entry.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>
#include <unordered_map>

namespace neml2_aoti_plugin
{

using SeedTangents = std::map<std::string, at::Tensor>;

class Tangents
{
public:
  void seed(const std::string & variable, const std::string & seed, at::Tensor matrix)
  {
    by_variable_[variable][seed] = std::move(matrix);
  }

  bool has(const std::string & variable) const
  {
    const auto found = by_variable_.find(variable);
    return found != by_variable_.end() && !found->second.empty();
  }

  const SeedTangents & of(const std::string & variable) const
  {
    static const SeedTangents none;
    const auto found = by_variable_.find(variable);
    return found == by_variable_.end() ? none : found->second;
  }

  /// Replaces whatever was known of the variable.
  void replace(const std::string & variable, SeedTangents tangents)
  {
    by_variable_[variable] = std::move(tangents);
  }

private:
  std::unordered_map<std::string, SeedTangents> by_variable_;
};

/// total += block * tangents of the input, seed by seed; block is (rows or 1, |output|, |input|).
void accumulate(SeedTangents & total, const at::Tensor & block, const SeedTangents & input);

} // namespace neml2_aoti_plugin
