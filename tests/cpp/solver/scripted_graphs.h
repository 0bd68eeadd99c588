// Graphs written in C++ in place of compiled ones: what graphs/graph.h declares, without AOTInductor and files.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "graphs/graph.h"

namespace neml2_aoti_plugin {

using Script = std::function<Tensors(const Tensors&)>;

/// Path to what the graph of that path does.
std::map<std::string, Script>& scripts();

/// How often each graph has run since the scripts were last given.
std::map<std::string, int>& runs();

inline void give_scripts(std::map<std::string, Script> given) {
  scripts() = std::move(given);
  runs().clear();
}

}  // namespace neml2_aoti_plugin
