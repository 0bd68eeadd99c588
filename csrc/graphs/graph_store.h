// The graphs of one model, each opened at most once however many segments and purposes share it.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "graphs/graph.h"

namespace neml2_aoti_plugin
{

class GraphStore
{
public:
  explicit GraphStore(int device_index) : device_index_(device_index) {}

  /// Lives as long as the store.
  Graph & get(const std::string & path)
  {
    auto & graph = graphs_[path];
    if (!graph)
      graph = std::make_unique<Graph>(path, device_index_);
    return *graph;
  }

private:
  int device_index_;
  std::map<std::string, std::unique_ptr<Graph>> graphs_;
};

} // namespace neml2_aoti_plugin
