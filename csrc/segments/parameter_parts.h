// Rows that share their parameter values. The graphs of a solve were traced with one value for all
// rows, so rows with different values are solved apart.
#pragma once

#include <string>
#include <vector>

#include "graphs/graph.h"
#include "numerics/rows.h"
#include "segments/segment.h"

namespace neml2_aoti_plugin
{

struct ParameterPart
{
  RowList rows;
  Tensors values; // (*parameter base) each, in the order of the names
};

/// Parts that cover all rows of the call; one, with all of them, if no parameter varies.
std::vector<ParameterPart> parts_by_parameters(const std::vector<std::string> & parameters,
                                               const Call & call);

/// The one value of a parameter that does not vary, at (*base).
at::Tensor single_parameter(const ParameterValue & parameter);

/// The parameter at (rows, *base).
at::Tensor parameter_per_row(const ParameterValue & parameter, const Call & call);

} // namespace neml2_aoti_plugin
