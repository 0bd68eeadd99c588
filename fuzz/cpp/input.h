// Turns the bytes of a fuzzer into numbers and descriptions; after the last byte all is zero.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "description/model_description.h"

namespace fuzz
{

namespace aoti = neml2_aoti_plugin;

/// What must hold for every input. Ends the process, which is how a fuzzer learns of it.
inline void demand(bool claim, const char * what)
{
  if (claim)
    return;
  std::fprintf(stderr, "does not hold: %s\n", what);
  std::abort();
}

class Input
{
public:
  Input(const std::uint8_t * data, std::size_t size) : data_(data), end_(data + size) {}

  bool is_at_end() const { return data_ == end_; }

  std::uint8_t byte() { return data_ == end_ ? 0 : *data_++; }

  /// From 0 to count - 1; `count` is at most 256.
  std::int64_t below(std::int64_t count) { return byte() % count; }

  std::int64_t number(std::int64_t least, std::int64_t most)
  {
    std::uint64_t value = 0;
    for (int k = 0; k < 4; ++k)
      value = value << 8 | byte();
    return least + static_cast<std::int64_t>(value % static_cast<std::uint64_t>(most - least + 1));
  }

  /// Any double, numbers of moderate size as often as all others.
  double real()
  {
    if (below(2) == 0)
      return static_cast<double>(number(-1000, 1000)) / 8.0;
    std::uint64_t bits = 0;
    for (int k = 0; k < 8; ++k)
      bits = bits << 8 | byte();
    double value = 0.0;
    std::memcpy(&value, &bits, sizeof(value));
    return value;
  }

  std::string name() { return std::string(1, static_cast<char>('a' + below(12))); }

  /// At most 2^40 elements, as the reader of metadata makes sure.
  aoti::Shape shape()
  {
    aoti::Shape shape;
    std::int64_t room = std::int64_t{1} << 40;
    for (auto axes = below(6); axes > 0; --axes)
    {
      const auto most = std::min<std::int64_t>(room, (std::int64_t{1} << 31) - 1);
      const auto extent = below(4) == 0 ? number(0, most) : std::min<std::int64_t>(below(8), most);
      shape.push_back(extent);
      room /= std::max<std::int64_t>(extent, 1);
    }
    return shape;
  }

  aoti::Group group()
  {
    aoti::Group group{};
    group.structure = below(2) ? aoti::Structure::Block : aoti::Structure::Dense;
    if (group.structure == aoti::Structure::Block)
      group.sub_batch_shape = small_shape();
    for (auto count = 1 + below(4); count > 0; --count)
    {
      const bool is_block = group.structure == aoti::Structure::Block;
      group.slots.push_back(
          {name(), small_shape(), is_block ? group.sub_batch_shape : small_shape()});
    }
    return group;
  }

private:
  aoti::Shape small_shape()
  {
    aoti::Shape shape;
    for (auto axes = below(4); axes > 0; --axes)
      shape.push_back(below(100));
    return shape;
  }

  const std::uint8_t * data_;
  const std::uint8_t * end_;
};

} // namespace fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t * data, std::size_t size);
