// A model whose solves are reported to Python.
#pragma once

#include <pybind11/pybind11.h>

#include <string>
#include <utility>
#include <vector>

#include "model/model.h"

namespace neml2_aoti_plugin
{

class ObservedModel : public Model
{
public:
  /// `observer` is a module or object with is_listening(), report(solves) and
  /// warn_of_failed_rows(solves).
  /// `unpack` is None or takes the path of a package and returns those of its unpacked library and
  /// of its tuned kernels, the latter empty where there are none.
  /// `differentiate` is None or takes what forward() does, in place of which it is called where
  /// gradients are to be known.
  ObservedModel(ModelDescription description, pybind11::object observer,
                const pybind11::object & unpack, pybind11::object differentiate)
      : Model(std::move(description), unpack_by(unpack)), observer_(std::move(observer)),
        differentiate_(std::move(differentiate))
  {
    for (const auto & input : this->description().inputs)
      input_keys_.emplace_back(interned(input.public_name), input.public_name);
    for (const auto & output : this->description().outputs)
      output_keys_.push_back(interned(output.public_name));
  }

  const pybind11::object & differentiate() const { return differentiate_; }

  /// Names of inputs and outputs as keys of dictionaries, in declared order.
  using Keys = std::vector<std::pair<pybind11::str, std::string>>;
  const Keys & input_keys() const { return input_keys_; }
  const std::vector<pybind11::str> & output_keys() const { return output_keys_; }

  /// Appends what a call recorded to the caller's list `solves`, unless that is None, and tells the
  /// observer, if it listens, a linear solve missed its tolerance, or rows were left out.
  void report(const std::vector<SolveRecord> & records, const pybind11::object & solves) const;

private:
  static pybind11::str interned(const std::string & name);
  static Unpack unpack_by(const pybind11::object & callable);

  pybind11::object observer_;
  pybind11::object differentiate_;
  Keys input_keys_;
  std::vector<pybind11::str> output_keys_;
};

} // namespace neml2_aoti_plugin
