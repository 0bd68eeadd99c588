#include <pybind11/pybind11.h>

#include "bindings/bindings.h"
#include "bindings/in_flight.h"
#include "graphs/exchanges.h"
#include "operators/opaque_pow.h"

namespace py = pybind11;
using namespace py::literals;

PYBIND11_MODULE(_runtime, module)
{
  using namespace neml2_aoti_plugin;
  module.doc() = "Compiled runtime of neml2_aoti_plugin; see neml2_aoti_plugin.Model.";
  module.attr("BUILT_WITH_TORCH") = NEML2_AOTI_BUILT_WITH_TORCH;
  bind_errors();
  bind_shutdown();
  bind_description(module);
  bind_model(module);
  module.def(
      "exchange_functions", &exchange_functions, "graph"_a,
      "Let the loaded library of a graph call faster functions, as models do on opening it.");
  module.def("exchange_kernels", &exchange_kernels, "graph"_a, "kernels"_a,
             "Send the calls of the loaded library of a graph to its kernels to those of another "
             "library.");
  module.def("has_opaque_pow", &has_opaque_pow,
             "Whether some library of this process defines neml2::opaque_pow.");
  module.def(
      "define_opaque_pow", &define_opaque_pow,
      "Define neml2::opaque_pow unless it exists. Import neml2 first where it is installed.");
  module.def("accelerate_opaque_pow", &accelerate_opaque_pow,
             "Run neml2::opaque_pow, which must exist, without the interpreter.");
}
