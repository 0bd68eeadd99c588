#include "segments/cotangents.h"

#include <ATen/TensorOperators.h>

#include "numerics/row_matmul.h"

namespace neml2_aoti_plugin
{

namespace
{

at::Tensor taken(CotangentMap & from, const std::string & name)
{
  const auto found = from.find(name);
  if (found == from.end())
    return {};
  auto cotangent = std::move(found->second);
  from.erase(found);
  return cotangent;
}

} // namespace

void accumulate(CotangentMap & total, const std::string & name, const at::Tensor & part)
{
  auto & sum = total[name];
  sum = sum.defined() ? sum + part : part;
}

at::Tensor transposed_product(const at::Tensor & cotangent, const at::Tensor & block)
{
  const auto row = cotangent.reshape({cotangent.size(0), 1, block.size(1)});
  return row_matmul(row, block).squeeze(1);
}

void Cotangents::add(const std::string & variable, const at::Tensor & cotangent)
{
  if (wanted_.variables.count(variable) > 0)
    accumulate(variables_, variable, cotangent);
}

void Cotangents::add_parameter(const std::string & parameter, const at::Tensor & cotangent)
{
  if (wanted_.parameters.count(parameter) > 0)
    accumulate(parameters_, parameter, cotangent);
}

void Cotangents::add_singular(const std::string & segment, const RowList & rows)
{
  if (rows.empty())
    return;
  auto & all = singular_[segment];
  all.insert(all.end(), rows.begin(), rows.end());
}

at::Tensor Cotangents::take(const std::string & variable) { return taken(variables_, variable); }

at::Tensor Cotangents::take_parameter(const std::string & parameter)
{
  return taken(parameters_, parameter);
}

} // namespace neml2_aoti_plugin
