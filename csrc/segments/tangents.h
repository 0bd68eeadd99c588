// Derivatives of state variables with respect to seeds, carried from segment to segment.
//
// A seed is a direction in which master inputs or promoted parameters move together: one column
// for jvp, the components of one input or parameter for jacobians. The tangent of variable v along
// seed s is a matrix (rows or 1, |v|, columns of s) with |v| = prod(sub) * prod(base). Where v does
// not depend on s there is no entry.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <set>
#include <string>
#include <unordered_map>

namespace neml2_aoti_plugin
{

using SeedTangents = std::map<std::string, at::Tensor>;

/// By variable.
using ComputedTangents = std::unordered_map<std::string, SeedTangents>;

class Tangents
{
public:
  void seed(const std::string & variable, const std::string & seed, at::Tensor matrix)
  {
    by_variable_[variable][seed] = std::move(matrix);
  }

  /// A seed of the parameter's name, whose columns begin in the segments that read the parameter.
  void seed_parameter(const std::string & parameter) { parameters_.insert(parameter); }

  bool seeds_parameter(const std::string & parameter) const
  {
    return parameters_.count(parameter) > 0;
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

  /// The same for the listed rows.
  Tangents restricted_to(const at::Tensor & rows) const;

  /// The same for rows [begin, begin + count).
  Tangents narrowed_to(std::int64_t begin, std::int64_t count) const;

private:
  ComputedTangents by_variable_;
  std::set<std::string> parameters_;
};

/// The same for the listed rows; a tangent that is the same for all rows stays as it is.
SeedTangents select_rows(const SeedTangents & tangents, const at::Tensor & rows);
ComputedTangents select_rows(const ComputedTangents & tangents, const at::Tensor & rows);

/// total += block * tangents of the input, seed by seed; block is (rows or 1, |output|, |input|).
void accumulate(SeedTangents & total, const at::Tensor & block, const SeedTangents & input);

/// total += tangent along one seed.
void accumulate(SeedTangents & total, const std::string & seed, const at::Tensor & tangent);

/// first_weight * first + second_weight * second, seed by seed.
SeedTangents combine(double first_weight, const SeedTangents & first, double second_weight,
                     const SeedTangents & second);

} // namespace neml2_aoti_plugin
