// A solve that failed for some rows: recoverable, and everything that is known about it.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "errors.h"
#include "numerics/newton.h"

namespace neml2_aoti_plugin
{

class ConvergenceError : public Error
{
public:
  /// `unknowns`: the last iterate by name, (rows, *sub, *base). `halvings`: how often the
  /// increments of the failed rows were halved.
  ConvergenceError(const std::string & segment, NewtonResult result,
                   std::vector<std::pair<std::string, at::Tensor>> unknowns,
                   const NewtonSettings & settings, std::int64_t halvings = 0);

  /// From rows to the batch shape and dtype that the caller knows.
  void present_as(const std::vector<std::int64_t> & batch, at::ScalarType dtype);

  const NewtonResult & result() const { return result_; }
  const std::vector<std::int64_t> & batch() const { return batch_; }
  const std::vector<std::pair<std::string, at::Tensor>> & unknowns() const { return unknowns_; }

private:
  NewtonResult result_;
  std::vector<std::int64_t> batch_;
  std::vector<std::pair<std::string, at::Tensor>> unknowns_;
};

} // namespace neml2_aoti_plugin
