// The parts of the Python module, and nothing else: no decisions are made in this directory.
#pragma once

#include <pybind11/pybind11.h>

namespace neml2_aoti_plugin
{

void bind_errors();
void bind_description(pybind11::module_ & module);
void bind_model(pybind11::module_ & module);

} // namespace neml2_aoti_plugin
