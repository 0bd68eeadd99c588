#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <thread>

#include "check.h"
#include "graphs/remembered_pow.h"

namespace neml2_aoti_plugin {
namespace {

/// To the bit, so that zeros of both signs and what is no number count, too.
void check_power(double base, double exponent) {
  check::equal(std::bit_cast<std::uint64_t>(remembered_pow(base, exponent)),
               std::bit_cast<std::uint64_t>(std::pow(base, exponent)));
}

/// Like a kernel: a few exponents in turn, each base for six components.
void check_kernel(unsigned seed) {
  std::mt19937 generator(seed);
  std::lognormal_distribution<double> bases(0.0, 3.0);
  for (int row = 0; row < 2000; ++row) {
    const double base = bases(generator);
    for (int component = 0; component < 6; ++component)
      for (const double exponent : {1.1, 1.1 - 1.0, 5.7, 2.0, 0.5, -1.0, 1.1 + 4e-16, -0.3, 7.0, 11.0})
        check_power(base, exponent);
  }
}

const check::Tests tests{
{"remembered_pow_is_pow_for_powers_in_turn", [] { check_kernel(1); }},
{"remembered_pow_is_pow_where_numbers_end", [] {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  constexpr double none = std::numeric_limits<double>::quiet_NaN();
  const std::vector<double> ends{0.0, -0.0, 1.0, -1.0, 3.0, -3.0, 0.5, 5e-324, 1e308, infinity, -infinity, none};
  for (int again = 0; again < 2; ++again)
    for (const double base : ends)
      for (const double exponent : ends) {
        check_power(base, exponent);
        check_power(base, exponent);
        check_power(-base, exponent);
      }
}},
{"remembered_pow_is_pow_on_a_fresh_thread_and_on_several", [] {
  std::vector<double> first(4, 0.0);
  std::vector<std::thread> threads;
  for (std::size_t k = 0; k < first.size(); ++k)
    threads.emplace_back([&first, k] {
      first[k] = remembered_pow(0.0, 0.0);
      check_kernel(static_cast<unsigned>(k));
    });
  for (auto& thread : threads)
    thread.join();
  check::equal(first, {1.0, 1.0, 1.0, 1.0});
}},
};

}  // namespace
}  // namespace neml2_aoti_plugin
