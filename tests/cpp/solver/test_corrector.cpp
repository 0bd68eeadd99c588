#include <ATen/ops/diag_embed.h>

#include <cmath>
#include <limits>

#include "check.h"
#include "numerics/newton.h"
#include "solver/problems.h"

namespace neml2_aoti_plugin {
namespace {

/// u^power = g entry by entry, solved by factors of its diagonal A.
class Powers : public NonlinearSystem {
 public:
  Powers(double power, at::Tensor givens) : power_(power), givens_(std::move(givens)) {}

  std::int64_t rows() const override { return givens_.size(0); }
  Groups residual(const Groups& u) const override { return {givens_ - u.at(0).pow(power_)}; }
  NewtonUpdate update(const Groups& u) override {
    return {{residual(u).at(0) / slope(u)}, {}, {}, {}};
  }
  std::optional<Linearization> linearized(const Groups& u) const override {
    const auto a = at::diag_embed(slope(u)) * (is_misled && ++matrices > 1 ? 0.0 : 1.0);
    return Linearization{RowFactors(a, rows(), a.size(-1)), slope(u).abs()};
  }
  bool has_factors() const override { return true; }
  std::unique_ptr<NonlinearSystem> restricted_to(const at::Tensor& rows) const override {
    return std::make_unique<Powers>(power_, givens_.index_select(0, rows));
  }

  static inline bool is_misled = false;  // singular factors but for the first time
  static inline int matrices = 0;

 private:
  at::Tensor slope(const Groups& u) const { return power_ * u.at(0).pow(power_ - 1.0); }

  double power_;
  at::Tensor givens_;
};

NewtonSettings with_corrections(std::int64_t count) {
  NewtonSettings settings;
  settings.max_corrections = count;
  settings.max_iterations = 60;
  return settings;
}

NewtonResult solve(double power, const at::Tensor& givens, const at::Tensor& guess, const NewtonSettings& settings) {
  Powers::matrices = 0;
  return solve_newton(Powers(power, givens), {guess}, settings);
}

const at::Tensor givens = tensor_of({8, 27, 1e3, 1, 5e5, 2, 3, 4}, {4, 2});
const at::Tensor guess = tensor_of({1, 1, 1, 1, 2, 2, 5, 5}, {4, 2});

const check::Tests tests{
{"corrections_reach_the_solution_with_fewer_matrices", [] {
  const auto plain = solve(9.0, givens, guess, with_corrections(0));
  const auto corrected = solve(9.0, givens, guess, with_corrections(8));
  check::that(plain.all_converged() && corrected.all_converged());
  for (std::size_t row = 0; row < 4; ++row) {
    check::that(corrected.iterations[row] < plain.iterations[row]);
    check::equal(plain.corrections[row], std::int64_t{0});
    check::that(corrected.corrections[row] > 0);
  }
}},
{"the_last_step_of_a_corrected_row_is_newton_s", [] {
  const auto corrected = solve(9.0, givens, guess, with_corrections(8));
  for (std::size_t row = 0; row < 4; ++row)
    check::that(corrected.iterations[row] >= 2);
}},
{"corrections_of_a_row_do_not_depend_on_the_others", [] {
  const auto together = solve(9.0, givens, guess, with_corrections(8));
  for (std::int64_t row = 0; row < 4; ++row) {
    const auto alone = solve(9.0, givens.narrow(0, row, 1), guess.narrow(0, row, 1), with_corrections(8));
    same(together.unknowns.at(0).narrow(0, row, 1), alone.unknowns.at(0));
    check::equal(together.corrections[static_cast<std::size_t>(row)], alone.corrections[0]);
  }
}},
{"corrections_give_the_same_however_many_rows_iterate_together", [] {
  const auto together = solve(9.0, givens, guess, with_corrections(8));
  for (const std::int64_t max_active : {1, 2, 3}) {
    Powers system(9.0, givens);
    const auto some = solve_newton(system, {guess}, with_corrections(8), max_active);
    same(some.unknowns.at(0), together.unknowns.at(0));
    check::equal(some.corrections, together.corrections);
  }
}},
{"a_row_that_fails_with_corrections_is_solved_again_without", [] {
  const auto above = givens.pow(1.0 / 9.0) * 3.0;  // from where every step is a good one
  const auto plain = solve(9.0, givens, above, with_corrections(0));
  Powers::is_misled = true;
  const auto corrected = solve(9.0, givens, above, with_corrections(8));
  Powers::is_misled = false;
  same(corrected.unknowns.at(0), plain.unknowns.at(0));
  check::equal(corrected.iterations, plain.iterations);
  check::equal(corrected.corrections, {0, 0, 0, 0});
}},
{"corrections_are_not_used_where_the_limit_leaves_no_room", [] {
  auto settings = with_corrections(8);
  settings.max_iterations = 8;
  check::equal(solve(9.0, givens, guess, settings).corrections, {0, 0, 0, 0});
}},
{"corrections_are_not_used_with_a_line_search", [] {
  auto settings = with_corrections(8);
  settings.line_search_max_iterations = 5;
  check::equal(solve(9.0, givens, guess, settings).corrections, {0, 0, 0, 0});
}},
};

}  // namespace
}  // namespace neml2_aoti_plugin
