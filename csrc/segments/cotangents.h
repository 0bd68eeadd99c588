// Gradients of one number with respect to state variables and parameters, pulled back from segment
// to segment: the reverse of Tangents.
//
// The cotangent of variable v is (rows, |v|) with |v| = prod(sub) * prod(base), that of parameter p
// (rows, |p|): by the value that each row has of it. Where the number does not depend on v there is
// none.
#pragma once

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <unordered_map>

#include "numerics/rows.h"

namespace neml2_aoti_plugin
{

/// What moves when the inputs and parameters do by which gradients are wanted. Authored names.
struct Moving
{
  std::set<std::string> variables;
  std::set<std::string> parameters;

  template <typename Names>
  bool any_variable(const Names & names) const
  {
    return any_in(variables, names);
  }

  template <typename Names>
  bool any_parameter(const Names & names) const
  {
    return any_in(parameters, names);
  }

private:
  template <typename Names>
  static bool any_in(const std::set<std::string> & set, const Names & names)
  {
    return std::any_of(names.begin(), names.end(),
                       [&](const std::string & name) { return set.count(name) > 0; });
  }
};

using CotangentMap = std::unordered_map<std::string, at::Tensor>;

/// total += part, which may be all there is so far.
void accumulate(CotangentMap & total, const std::string & name, const at::Tensor & part);

/// block^T cotangent: (rows, columns) from (rows, *tail) and (rows or 1, |tail|, columns).
at::Tensor transposed_product(const at::Tensor & cotangent, const at::Tensor & block);

class Cotangents
{
public:
  /// `wanted` are the variables and parameters whose cotangents are worth computing.
  explicit Cotangents(const Moving & wanted) : wanted_(wanted) {}

  const Moving & wanted() const { return wanted_; }

  void add(const std::string & variable, const at::Tensor & cotangent);
  void add_parameter(const std::string & parameter, const at::Tensor & cotangent);

  /// The cotangent of a variable that is about to be replaced by those of what it was computed
  /// from; undefined where there is none.
  at::Tensor take(const std::string & variable);
  at::Tensor take_parameter(const std::string & parameter);

  /// Rows in which what was added is not a number, since the system of a segment is singular there.
  void add_singular(const std::string & segment, const RowList & rows);
  const std::map<std::string, RowList> & singular() const { return singular_; }

private:
  const Moving & wanted_;
  CotangentMap variables_;
  CotangentMap parameters_;
  std::map<std::string, RowList> singular_; // by segment
};

} // namespace neml2_aoti_plugin
