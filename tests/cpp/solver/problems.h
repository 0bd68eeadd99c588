// Systems with known roots. Each records which rows it was asked for, in the caller's numbering.
#pragma once

#include <ATen/TensorOperators.h>
#include <ATen/ops/atan.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/where.h>

#include "numerics/newton.h"
#include "solver/tensors.h"

namespace neml2_aoti_plugin {

using RowNumbers = std::vector<std::int64_t>;

struct Log {
  std::vector<RowNumbers> residuals;
  std::vector<RowNumbers> updates;
  std::vector<RowNumbers> restrictions;  // as they were asked for: positions in the system restricted

  std::size_t evaluations_of(std::int64_t row) const {
    std::size_t count = 0;
    for (const auto& rows : residuals)
      count += static_cast<std::size_t>(std::count(rows.begin(), rows.end(), row));
    return count;
  }
};

inline RowNumbers numbers_in(const at::Tensor& rows) {
  const auto* data = rows.const_data_ptr<std::int64_t>();
  return {data, data + rows.numel()};
}

/// One group (rows, width) and equations that act on each entry by itself: b = -r(u, g) and du = b / (dr/du).
struct Equations {
  std::function<at::Tensor(const at::Tensor& u, const at::Tensor& g)> b;
  std::function<at::Tensor(const at::Tensor& u, const at::Tensor& g)> slope;
};

class EntrywiseSystem : public NonlinearSystem {
 public:
  EntrywiseSystem(Equations equations, at::Tensor givens, Log& log)
      : EntrywiseSystem(std::move(equations), givens, log, {}) {
    for (std::int64_t row = 0; row < givens.size(0); ++row)
      numbers_.push_back(row);
  }

  std::int64_t rows() const override { return givens_.size(0); }

  Groups residual(const Groups& u) const override {
    log_.residuals.push_back(numbers_);
    return {equations_.b(u.at(0), givens_)};
  }

  /// Rows with a zero on the diagonal of A fail.
  NewtonUpdate update(const Groups& u) override {
    log_.updates.push_back(numbers_);
    const auto slope = equations_.slope(u.at(0), givens_);
    const auto is_singular = slope.eq(0.0).any(1, true);
    const auto du = equations_.b(u.at(0), givens_) / slope;
    NewtonUpdate update{{at::where(is_singular, at::zeros_like(du), du)}, {}, {}, {}};
    update.failed_rows = numbers_in(is_singular.flatten().nonzero().flatten().contiguous());
    if (!update.failed_rows.empty())
      update.failure = "zero on the diagonal";
    return update;
  }

  std::unique_ptr<NonlinearSystem> restricted_to(const at::Tensor& rows) const override {
    const auto positions = numbers_in(rows);
    log_.restrictions.push_back(positions);
    RowNumbers numbers;
    for (const auto position : positions)
      numbers.push_back(numbers_.at(static_cast<std::size_t>(position)));
    return std::unique_ptr<NonlinearSystem>(
        new EntrywiseSystem(equations_, givens_.index_select(0, rows), log_, numbers));
  }

 private:
  EntrywiseSystem(Equations equations, at::Tensor givens, Log& log, RowNumbers numbers)
      : equations_(std::move(equations)),
        givens_(std::move(givens)),
        log_(log),
        numbers_(std::move(numbers)) {}

  Equations equations_;
  at::Tensor givens_;
  Log& log_;
  RowNumbers numbers_;
};

/// u^3 = g; singular at zero.
inline EntrywiseSystem cubic(const at::Tensor& givens, Log& log) {
  return {{[](const auto& u, const auto& g) { return g - u * u * u; },
           [](const auto& u, const auto&) { return 3.0 * (u * u); }},
          givens,
          log};
}

/// atan(u) = g; full steps diverge from |u| > 1.4 for g = 0.
inline EntrywiseSystem arctangent(const at::Tensor& givens, Log& log) {
  return {{[](const auto& u, const auto& g) { return g - at::atan(u); },
           [](const auto& u, const auto&) { return 1.0 / (1.0 + u * u); }},
          givens,
          log};
}

/// u = g with a slope of the wrong sign: no step decreases the residual.
inline EntrywiseSystem uphill(const at::Tensor& givens, Log& log) {
  return {{[](const auto& u, const auto& g) { return g - u; },
           [](const auto& u, const auto&) { return -at::ones_like(u); }},
          givens,
          log};
}

/// A u = c with A = (2 1 0; 1 3 1; 0 1 2), whose inverse is (5 -2 1; -2 4 -2; 1 -2 5) / 8. One group of 3.
class LinearSystem : public NonlinearSystem {
 public:
  explicit LinearSystem(at::Tensor c) : c_(std::move(c)) {}

  std::int64_t rows() const override { return c_.size(0); }
  Groups residual(const Groups& u) const override { return {c_ - at::matmul(u.at(0), matrix_)}; }
  NewtonUpdate update(const Groups& u) override {
    return {{at::matmul(residual(u).at(0), inverse_)}, {}, {}, {}};
  }
  std::unique_ptr<NonlinearSystem> restricted_to(const at::Tensor& rows) const override {
    return std::make_unique<LinearSystem>(c_.index_select(0, rows));
  }

 private:
  at::Tensor matrix_ = tensor_of({2, 1, 0, 1, 3, 1, 0, 1, 2}, {3, 3});
  at::Tensor inverse_ = tensor_of({5, -2, 1, -2, 4, -2, 1, -2, 5}, {3, 3}) / 8.0;
  at::Tensor c_;
};

/// For systems that live for one solve.
inline NewtonResult solve_newton(NonlinearSystem&& system, const Groups& guess, const NewtonSettings& settings) {
  return solve_newton(system, guess, settings);
}

}  // namespace neml2_aoti_plugin
