#include "graphs/remembered_pow.h"

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>

namespace neml2_aoti_plugin
{

namespace
{

struct Power
{
  double base = 0.0;
  double exponent = 0.0;
  double value = 1.0;
};

/// More than the exponents that one kernel uses in turn, few enough to stay in the fastest cache.
constexpr int remembered_bits = 3;

constinit thread_local std::array<Power, 1 << remembered_bits> remembered{};

/// Exponents differ in their upper bits, in the last ones, or both: all go into the highest bits of
/// the product with the golden ratio (Knuth, The Art of Computer Programming 3, section 6.4).
std::size_t place_of(std::uint64_t exponent)
{
  return (exponent * 0x9E3779B97F4A7C15u) >> (64 - remembered_bits);
}

bool is_same(double value, std::uint64_t bits)
{
  return std::bit_cast<std::uint64_t>(value) == bits;
}

} // namespace

double remembered_pow(double base, double exponent)
{
  const auto base_bits = std::bit_cast<std::uint64_t>(base);
  const auto exponent_bits = std::bit_cast<std::uint64_t>(exponent);
  auto & last = remembered[place_of(exponent_bits)];
  if (!is_same(last.base, base_bits) || !is_same(last.exponent, exponent_bits))
    last = {base, exponent, std::pow(base, exponent)};
  return last.value;
}

} // namespace neml2_aoti_plugin
