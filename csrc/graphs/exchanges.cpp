#include "graphs/exchanges.h"

#include <dlfcn.h>

#include <string_view>

#include "errors.h"
#include "graphs/graph_bmm.h"
#include "graphs/graph_tensors.h"
#include "graphs/imports.h"
#include "graphs/remembered_pow.h"

namespace neml2_aoti_plugin
{

namespace
{

template <typename Function>
void exchange(const std::string & library, std::string_view name, Function * function)
{
  redirect_import(library, name, reinterpret_cast<void *>(function));
}

} // namespace

void exchange_functions(const std::string & graph)
{
  exchange(graph, "pow", &remembered_pow);
  exchange(graph, "aoti_torch_cpu_bmm_out", &graph_bmm_out);
  exchange(graph, "aoti_torch_empty_strided", &graph_empty_strided);
  exchange(graph, "aoti_torch__reinterpret_tensor", &graph_reinterpret_tensor);
  exchange(graph, "aoti_torch_delete_tensor_object", &graph_delete_tensor);
}

void exchange_kernels(const std::string & graph, const std::string & kernels)
{
  auto * library = dlopen(kernels.c_str(), RTLD_NOW | RTLD_LOCAL);
  const auto * names = library ? dlsym(library, "neml2_aoti_kernels") : nullptr;
  if (!names)
    throw ArtifactError(kernels + ": the tuned kernels cannot be loaded: " + dlerror() +
                        ". Remove the file, or tune the artifact again (neml2-aoti tune).");
  exchange(kernels, "pow", &remembered_pow);
  for (const auto * name = static_cast<const char * const *>(names); *name; ++name)
    if (auto * kernel = dlsym(library, *name))
      redirect_import(graph, *name, kernel);
}

} // namespace neml2_aoti_plugin
