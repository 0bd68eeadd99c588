// A model whose solves are reported to Python.
#pragma once

#include <pybind11/pybind11.h>

#include <vector>

#include "model/model.h"

namespace neml2_aoti_plugin
{

class ObservedModel : public Model
{
public:
  /// `observer` is a module or object with is_listening() and report(solves).
  ObservedModel(ModelDescription description, pybind11::object observer)
      : Model(std::move(description)), observer_(std::move(observer))
  {
  }

  /// Appends what a call recorded to the caller's list `solves`, unless that is None, and tells the
  /// observer, if it listens or a linear solve missed its tolerance.
  void report(const std::vector<SolveRecord> & records, const pybind11::object & solves) const;

private:
  pybind11::object observer_;
};

} // namespace neml2_aoti_plugin
