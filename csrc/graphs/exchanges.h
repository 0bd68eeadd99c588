// What the library of a graph calls in place of what it was linked with, with the same results.
#pragma once

#include <string>

namespace neml2_aoti_plugin
{

/// Faster functions for the loaded library `graph` in place of those in which graphs spend more
/// time than in their own code. One that a graph does not call is nothing to gain.
void exchange_functions(const std::string & graph);

/// Sends the calls of the loaded library `graph` to its own kernels to those of the same names in
/// the library `kernels`, which neml2_aoti_plugin.tuning made and which is loaded for good. Throws
/// ArtifactError where `kernels` is no such library.
void exchange_kernels(const std::string & graph, const std::string & kernels);

} // namespace neml2_aoti_plugin
