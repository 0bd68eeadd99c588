// The one custom operator that graphs of neml2 models call.
#pragma once

namespace neml2_aoti_plugin
{

bool has_opaque_pow();

/// Defines neml2::opaque_pow(base, exponent) = pow(base, exponent) for the rest of the process,
/// unless it exists. neml2's Python package defines the same operator at import and fails where it
/// exists: when that package is installed, import it first instead of calling this.
void define_opaque_pow();

/// Gives the operator kernels of our own, whoever defined it. That of neml2's Python package takes
/// the interpreter lock, for which the threads of a call would queue.
void accelerate_opaque_pow();

} // namespace neml2_aoti_plugin
