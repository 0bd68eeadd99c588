// The errors that leave the core. Each has a Python class in errors.py, into which
// bindings/errors.cpp translates it; failed solves are in numerics/convergence_error.h, because
// they carry tensors.
#pragma once

#include <stdexcept>
#include <string>

namespace neml2_aoti_plugin
{

class Error : public std::runtime_error
{
public:
  using std::runtime_error::runtime_error;
};

/// A graph file that cannot be opened or run, or that contradicts its description.
class ArtifactError : public Error
{
public:
  using Error::Error;
};

/// The artifact is valid but needs something that the core cannot do.
class UnsupportedFeatureError : public ArtifactError
{
public:
  using ArtifactError::ArtifactError;
};

/// An argument does not fit the model: a missing name, a shape, a batch.
class InputError : public Error
{
public:
  using Error::Error;
};

/// An argument is of another dtype, device or kind.
class InputTypeError : public InputError
{
public:
  using InputError::InputError;
};

/// A derivative was asked for that no graph of the artifact computes.
class DerivativeNotCompiledError : public Error
{
public:
  using Error::Error;
};

} // namespace neml2_aoti_plugin
