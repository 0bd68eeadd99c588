#include "solver/scripted_graphs.h"

#include <stdexcept>

namespace torch::inductor {
class AOTIModelPackageLoader {};
class AOTIModelContainerRunner {};
}  // namespace torch::inductor

namespace neml2_aoti_plugin {

std::map<std::string, Script>& scripts() {
  static std::map<std::string, Script> scripts;
  return scripts;
}

std::map<std::string, int>& runs() {
  static std::map<std::string, int> runs;
  return runs;
}

Graph::Graph(std::string path, at::Device device, Unpack unpack, std::optional<BatchAxes> axes)
    : path_(std::move(path)), device_(device), unpack_(std::move(unpack)), axes_(std::move(axes)) {}

Graph::~Graph() = default;

Tensors Graph::run(const Tensors& arguments) {
  for (const auto& argument : arguments)
    if (!argument.is_contiguous())
      throw std::logic_error(path_ + ": an argument is not contiguous");
  ++runs()[path_];
  return scripts().at(path_)(arguments);
}

Tensors Graph::run(const Tensors& arguments, std::size_t expected) {
  auto results = run(arguments);
  if (results.size() != expected)
    throw std::logic_error(path_ + ": asked for another number of results");
  return results;
}

}  // namespace neml2_aoti_plugin
