// Runs one target over files, without a fuzzer.
#include <fstream>
#include <iostream>
#include <iterator>
#include <vector>

#include "input.h"

int main(int count, char ** words)
{
  for (int k = 1; k < count; ++k)
  {
    std::ifstream file(words[k], std::ios::binary);
    if (!file)
    {
      std::cerr << words[k] << ": cannot be read\n";
      return 2;
    }
    const std::vector<char> content{std::istreambuf_iterator<char>(file), {}};
    std::cout << words[k] << std::endl; // the last one named is the one that failed
    LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t *>(content.data()), content.size());
  }
  return 0;
}
