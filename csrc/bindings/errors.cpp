// C++ errors to the classes of neml2_aoti_plugin.errors, in one place.
#include <torch/csrc/utils/pybind.h>

#include "bindings/bindings.h"
#include "bindings/per_row.h"
#include "errors.h"
#include "numerics/convergence_error.h"

namespace py = pybind11;

namespace neml2_aoti_plugin
{

namespace
{

py::object python_class(const char * name)
{
  return py::module_::import("neml2_aoti_plugin.errors").attr(name);
}

py::object make_convergence_error()
{
  return py::module_::import("neml2_aoti_plugin.convergence").attr("make_convergence_error");
}

void raise(const char * name, const std::exception & error)
{
  PyErr_SetString(python_class(name).ptr(), error.what());
}

/// What errors.ConvergenceError documents.
py::dict convergence_data(const ConvergenceError & error)
{
  const auto & result = error.result();
  py::dict unknowns;
  for (const auto & [name, value] : error.unknowns())
    unknowns[py::str(name)] = value;
  py::dict data;
  data["converged_mask"] = converged_mask(result, error.batch());
  data["status"] = row_status(result, error.batch());
  data["iterations"] = per_row(result.iterations, at::kLong, error.batch());
  data["residual_norms"] = per_row(result.norms, at::kDouble, error.batch());
  data["initial_residual_norms"] = per_row(result.initial_norms, at::kDouble, error.batch());
  data["unknowns"] = unknowns;
  return data;
}

void raise(const ConvergenceError & error)
{
  const auto exception = make_convergence_error()(error.what(), convergence_data(error));
  PyErr_SetObject(py::type::of(exception).ptr(), exception.ptr());
}

/// Most derived classes first.
void translate(std::exception_ptr pointer)
{
  try
  {
    if (pointer)
      std::rethrow_exception(pointer);
  }
  catch (const ConvergenceError & error)
  {
    raise(error);
  }
  catch (const InputTypeError & error)
  {
    raise("InputTypeError", error);
  }
  catch (const InputError & error)
  {
    raise("InputError", error);
  }
  catch (const UnsupportedFeatureError & error)
  {
    raise("UnsupportedFeatureError", error);
  }
  catch (const ArtifactError & error)
  {
    raise("ArtifactError", error);
  }
  catch (const DerivativeNotCompiledError & error)
  {
    raise("DerivativeNotCompiledError", error);
  }
  catch (const Error & error)
  {
    raise("AOTIError", error);
  }
  catch (const c10::OutOfMemoryError & error)
  {
    PyErr_SetString(py::module_::import("torch").attr("OutOfMemoryError").ptr(),
                    error.what_without_backtrace());
  }
  catch (const c10::Error & error)
  {
    PyErr_SetString(python_class("AOTIError").ptr(), error.what_without_backtrace());
  }
}

} // namespace

void bind_errors() { py::register_local_exception_translator(&translate); }

} // namespace neml2_aoti_plugin
