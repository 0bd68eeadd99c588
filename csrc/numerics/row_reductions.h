// Per-row reductions over group tensors, brought to the host in one transfer.
#pragma once

#include <vector>

#include "layout/packing.h"

namespace neml2_aoti_plugin
{

/// Sum over groups and all axes but the first of x * y; one value per row.
std::vector<double> row_dot(const Groups & x, const Groups & y);

/// Euclidean norm over groups and all axes but the first; one value per row.
std::vector<double> row_norm(const Groups & x);

} // namespace neml2_aoti_plugin
