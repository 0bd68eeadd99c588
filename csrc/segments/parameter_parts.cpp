#include "segments/parameter_parts.h"

#include <ATen/core/Tensor.h>

#include <map>
#include <numeric>

#include "layout/shapes.h"

namespace neml2_aoti_plugin
{

namespace
{

Shape base_of(const ParameterValue & parameter)
{
  const Shape shape = parameter.data.sizes().vec();
  const auto leading = parameter.is_by_row ? 1 : parameter.batch.size();
  return {shape.begin() + static_cast<std::ptrdiff_t>(leading), shape.end()};
}

/// Appends the bytes of the value in each row to the row's key: values are the same if their bits
/// are.
void append_keys(const at::Tensor & per_row, std::vector<std::string> & keys)
{
  const auto host = per_row.reshape({per_row.size(0), -1}).to(at::kCPU).contiguous();
  const auto width = static_cast<std::size_t>(host.size(1)) * host.element_size();
  const auto * bytes = static_cast<const char *>(host.const_data_ptr());
  for (std::size_t row = 0; row < keys.size(); ++row)
    keys[row].append(bytes + row * width, width);
}

} // namespace

at::Tensor single_parameter(const ParameterValue & parameter)
{
  return parameter.data.reshape(base_of(parameter)).contiguous();
}

at::Tensor parameter_per_row(const ParameterValue & parameter, const Call & call)
{
  if (parameter.is_by_row)
    return parameter.data;
  const auto base = base_of(parameter);
  return parameter.data.expand(concatenate(call.batch, base))
      .reshape(concatenate({call.rows}, base))
      .contiguous();
}

std::vector<ParameterPart> parts_by_parameters(const std::vector<std::string> & parameters,
                                               const Call & call)
{
  const auto rows = static_cast<std::size_t>(call.rows);
  std::vector<std::string> keys;   // by row; empty while no parameter varies
  std::vector<at::Tensor> per_row; // undefined for a parameter that does not vary
  for (const auto & name : parameters)
  {
    const auto & value = call.parameters.at(name);
    const bool varies = element_count(value.batch) != 1;
    per_row.push_back(varies ? parameter_per_row(value, call) : at::Tensor());
    if (!varies)
      continue;
    keys.resize(rows);
    append_keys(per_row.back(), keys);
  }
  std::map<std::string, RowList> rows_of;
  for (std::size_t row = 0; row < keys.size(); ++row)
    rows_of[keys[row]].push_back(static_cast<std::int64_t>(row));
  if (keys.empty())
  {
    auto & all = rows_of[""];
    all.resize(rows);
    std::iota(all.begin(), all.end(), 0);
  }

  std::vector<ParameterPart> parts;
  for (auto & [key, members] : rows_of)
  {
    ParameterPart part{std::move(members), {}};
    for (std::size_t k = 0; k < parameters.size(); ++k)
      part.values.push_back(per_row[k].defined()
                                ? per_row[k].select(0, part.rows.front())
                                : single_parameter(call.parameters.at(parameters[k])));
    parts.push_back(std::move(part));
  }
  return parts;
}

} // namespace neml2_aoti_plugin
