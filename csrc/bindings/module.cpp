#include <pybind11/pybind11.h>

#include "bindings/bindings.h"
#include "bindings/in_flight.h"
#include "operators/opaque_pow.h"

namespace py = pybind11;

PYBIND11_MODULE(_runtime, module)
{
  using namespace neml2_aoti_plugin;
  module.doc() = "Compiled runtime of neml2_aoti_plugin; see neml2_aoti_plugin.Model.";
  module.attr("BUILT_WITH_TORCH") = NEML2_AOTI_BUILT_WITH_TORCH;
  bind_errors();
  bind_shutdown();
  bind_description(module);
  bind_model(module);
  module.def("has_opaque_pow", &has_opaque_pow,
             "Whether some library of this process defines neml2::opaque_pow.");
  module.def(
      "define_opaque_pow", &define_opaque_pow,
      "Define neml2::opaque_pow unless it exists. Import neml2 first where it is installed.");
  module.def("accelerate_opaque_pow", &accelerate_opaque_pow,
             "Run neml2::opaque_pow, which must exist, without the interpreter.");
}
