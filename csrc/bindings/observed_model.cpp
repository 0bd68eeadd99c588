#include "bindings/observed_model.h"

#include <ATen/ops/tensor.h>
#include <torch/csrc/utils/pybind.h>

#include <algorithm>

#include "bindings/per_row.h"
#include "errors.h"

namespace py = pybind11;
using namespace py::literals;

namespace neml2_aoti_plugin
{

namespace
{

py::object to_attempt(const SolveAttempt & attempt)
{
  py::list trace;
  for (const auto & entry : attempt.trace)
    trace.append(py::make_tuple(entry.norm, entry.initial_norm, entry.linear_iterations,
                                entry.missed_solves));
  return py::module_::import("neml2_aoti_plugin.solves")
      .attr("SolveAttempt")("begin"_a = attempt.begin, "end"_a = attempt.end,
                            "level"_a = attempt.level, "active"_a = attempt.active,
                            "failed"_a = attempt.failed, "trace"_a = trace);
}

/// What neml2_aoti_plugin.solves.SolveRecord documents.
py::object to_record(const SolveRecord & record)
{
  const auto & rows = record.rows;
  const auto counts = [&](const std::vector<std::int64_t> & values)
  { return per_row(values, at::kLong, record.batch); };
  const auto norms = [&](const std::vector<double> & values)
  { return per_row(values, at::kDouble, record.batch); };
  py::list attempts;
  for (const auto & attempt : record.attempts)
    attempts.append(to_attempt(attempt));
  return py::module_::import("neml2_aoti_plugin.solves")
      .attr("SolveRecord")(
          "segment"_a = record.segment, "has_tangents"_a = record.has_tangents,
          "converged_mask"_a = converged_mask(rows, record.batch),
          "status"_a = row_status(rows, record.batch), "iterations"_a = counts(rows.iterations),
          "corrections"_a = counts(rows.corrections), "substeps"_a = counts(record.substeps),
          "residual_norms"_a = norms(rows.norms),
          "initial_residual_norms"_a = norms(rows.initial_norms),
          "linear_iterations"_a = counts(rows.linear_iterations),
          "missed_linear_solves"_a = counts(rows.missed_solves),
          "worst_linear_excess"_a = norms(rows.worst_excess),
          "absolute_tolerance"_a = record.settings.absolute_tolerance,
          "relative_tolerance"_a = record.settings.relative_tolerance,
          "max_iterations"_a = record.settings.max_iterations, "attempts"_a = py::tuple(attempts));
}

bool has_failed_rows(const SolveRecord & record) { return !record.rows.all_converged(); }

bool missed_linear_solve(const SolveRecord & record)
{
  return std::any_of(record.rows.missed_solves.begin(), record.rows.missed_solves.end(),
                     [](auto count) { return count > 0; });
}

} // namespace

/// As callers' names are that stand in their source: found by identity.
py::str ObservedModel::interned(const std::string & name)
{
  auto * text = PyUnicode_FromStringAndSize(name.data(), static_cast<Py_ssize_t>(name.size()));
  if (!text)
    throw py::error_already_set();
  PyUnicode_InternInPlace(&text);
  return py::reinterpret_steal<py::str>(text);
}

/// Asked for by whichever thread first runs a graph.
Unpack ObservedModel::unpack_by(const py::object & callable)
{
  if (callable.is_none())
    return {};
  // Owned by the model, which Python lets go of while it holds the lock.
  return [callable](const std::string & package)
  {
    const py::gil_scoped_acquire locked;
    try
    {
      auto [library, kernels] = callable(package).cast<std::pair<std::string, std::string>>();
      return Unpacked{std::move(library), std::move(kernels)};
    }
    catch (const py::error_already_set & error)
    {
      throw ArtifactError(error.what());
    }
  };
}

void ObservedModel::report(const std::vector<SolveRecord> & records,
                           const py::object & solves) const
{
  const auto any = [&](bool (*is_so)(const SolveRecord &))
  { return std::any_of(records.begin(), records.end(), is_so); };
  const bool leaves_rows_out = goes_on() && any(has_failed_rows);
  const bool is_wanted = any(missed_linear_solve) || observer_.attr("is_listening")().cast<bool>();
  if (solves.is_none() && !is_wanted && !leaves_rows_out)
    return;
  py::list reported;
  for (const auto & record : records)
    reported.append(to_record(record));
  if (!solves.is_none())
    solves.attr("extend")(reported);
  if (is_wanted)
    observer_.attr("report")(reported);
  if (leaves_rows_out)
    observer_.attr("warn_of_failed_rows")(reported);
}

} // namespace neml2_aoti_plugin
