// C++ errors to the classes of neml2_aoti_plugin.errors, in one place.
#include <ATen/ops/tensor.h>
#include <torch/csrc/utils/pybind.h>

#include "bindings/bindings.h"
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

template <typename T, typename Get>
at::Tensor per_row(const ConvergenceError & error, at::ScalarType dtype, const Get & get)
{
  std::vector<T> values;
  for (std::size_t row = 0; row < error.result().status.size(); ++row)
    values.push_back(get(row));
  return at::tensor(values, dtype).reshape(error.batch());
}

/// What errors.ConvergenceError documents.
py::dict convergence_data(const ConvergenceError & error)
{
  const auto & result = error.result();
  py::dict unknowns;
  for (const auto & [name, value] : error.unknowns())
    unknowns[py::str(name)] = value;
  const auto is_converged = [&](std::size_t row)
  { return std::int64_t{result.status[row] == RowStatus::Converged}; };
  py::dict data;
  data["converged_mask"] = per_row<std::int64_t>(error, at::kLong, is_converged).to(at::kBool);
  data["iterations"] = per_row<std::int64_t>(error, at::kLong, [&](std::size_t row)
                                             { return result.iterations[row]; });
  data["residual_norms"] =
      per_row<double>(error, at::kDouble, [&](std::size_t row) { return result.norms[row]; });
  data["initial_residual_norms"] = per_row<double>(error, at::kDouble, [&](std::size_t row)
                                                   { return result.initial_norms[row]; });
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
