// The power function for generated kernels.
#pragma once

namespace neml2_aoti_plugin
{

/// std::pow(base, exponent), to the bit, for graphs that take the same powers again and again.
///
/// A kernel evaluates the power of a row anew for each of the components that it goes into: six
/// times in turn for a symmetric tensor, and so for each of a few exponents. A thread remembers the
/// last power of each exponent, as good as always; to find it takes a tenth of the time of
/// computing it.
double remembered_pow(double base, double exponent);

} // namespace neml2_aoti_plugin
