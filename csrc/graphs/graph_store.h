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
  explicit GraphStore(at::Device device, Unpack unpack = {},
                      std::map<std::string, BatchAxes> axes = {})
      : device_(device), unpack_(std::move(unpack)), axes_(std::move(axes))
  {
  }

  bool is_on_processor() const { return device_.is_cpu(); }

  /// Lives as long as the store.
  Graph & get(const std::string & path)
  {
    auto & graph = graphs_[path];
    if (!graph)
      graph = std::make_unique<Graph>(path, device_, unpack_, axes_of(path));
    return *graph;
  }

private:
  std::optional<BatchAxes> axes_of(const std::string & path) const
  {
    const auto found = axes_.find(path);
    return found == axes_.end() ? std::nullopt : std::optional(found->second);
  }

  at::Device device_;
  Unpack unpack_;
  std::map<std::string, BatchAxes> axes_;
  std::map<std::string, std::unique_ptr<Graph>> graphs_;
};

} // namespace neml2_aoti_plugin
