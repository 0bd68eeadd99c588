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
  /// `axes` by path, for graphs that were not traced with rows on axis 0.
  explicit GraphStore(int device_index, std::map<std::string, BatchAxes> axes = {})
      : device_index_(device_index), axes_(std::move(axes))
  {
  }

  /// Lives as long as the store.
  Graph & get(const std::string & path)
  {
    auto & graph = graphs_[path];
    if (!graph)
      graph = std::make_unique<Graph>(path, device_index_, axes_of(path));
    return *graph;
  }

private:
  std::optional<BatchAxes> axes_of(const std::string & path) const
  {
    const auto found = axes_.find(path);
    return found == axes_.end() ? std::nullopt : std::optional(found->second);
  }

  int device_index_;
  std::map<std::string, BatchAxes> axes_;
  std::map<std::string, std::unique_ptr<Graph>> graphs_;
};

} // namespace neml2_aoti_plugin
