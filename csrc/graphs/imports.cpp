#include "graphs/imports.h"

#if defined(__linux__) && defined(__GLIBC__) && (defined(__x86_64__) || defined(__aarch64__))

#include <dlfcn.h>
#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace neml2_aoti_plugin
{

namespace
{

#if defined(__x86_64__)
constexpr std::uint64_t call_slot = R_X86_64_JUMP_SLOT;
constexpr std::uint64_t address_slot = R_X86_64_GLOB_DAT;
#else
constexpr std::uint64_t call_slot = R_AARCH64_JUMP_SLOT;
constexpr std::uint64_t address_slot = R_AARCH64_GLOB_DAT;
#endif

/// The part of a library's tables that says where addresses of imported functions are kept: chapter
/// "Dynamic Linking" of the System V ABI.
struct Tables
{
  const ElfW(Sym) * symbols = nullptr;
  const char * names = nullptr;
  std::span<const ElfW(Rela)> calls;
  std::span<const ElfW(Rela)> data;
};

Tables tables_of(const link_map & library)
{
  // The linker replaces offsets by addresses, except in a section that cannot be written to.
  const auto address = [&](ElfW(Addr) value)
  { return value < library.l_addr ? library.l_addr + value : value; };
  ElfW(Addr) symbols = 0, names = 0, calls = 0, data = 0;
  std::size_t calls_bytes = 0, data_bytes = 0;
  for (const auto * entry = library.l_ld; entry->d_tag != DT_NULL; ++entry)
    switch (entry->d_tag)
    {
    case DT_SYMTAB:
      symbols = address(entry->d_un.d_ptr);
      break;
    case DT_STRTAB:
      names = address(entry->d_un.d_ptr);
      break;
    case DT_JMPREL:
      calls = address(entry->d_un.d_ptr);
      break;
    case DT_PLTRELSZ:
      calls_bytes = entry->d_un.d_val;
      break;
    case DT_RELA:
      data = address(entry->d_un.d_ptr);
      break;
    case DT_RELASZ:
      data_bytes = entry->d_un.d_val;
      break;
    default:
      break;
    }
  using Relocation = const ElfW(Rela) *;
  return {reinterpret_cast<const ElfW(Sym) *>(symbols),
          reinterpret_cast<const char *>(names),
          {reinterpret_cast<Relocation>(calls), calls_bytes / sizeof(ElfW(Rela))},
          {reinterpret_cast<Relocation>(data), data_bytes / sizeof(ElfW(Rela))}};
}

/// Where the library keeps the address of the function `name` that it calls.
std::vector<void **> slots_of(const link_map & library, std::string_view name)
{
  const auto tables = tables_of(library);
  std::vector<void **> slots;
  const auto collect = [&](std::span<const ElfW(Rela)> relocations, std::uint64_t type)
  {
    for (const auto & relocation : relocations)
    {
      if (ELF64_R_TYPE(relocation.r_info) != type)
        continue;
      const auto & symbol = tables.symbols[ELF64_R_SYM(relocation.r_info)];
      if (tables.names + symbol.st_name == name)
        slots.push_back(reinterpret_cast<void **>(library.l_addr + relocation.r_offset));
    }
  };
  collect(tables.calls, call_slot);
  collect(tables.data, address_slot);
  return slots;
}

struct Range
{
  std::uintptr_t begin = 0, end = 0;

  bool holds(const void * address) const
  {
    const auto value = reinterpret_cast<std::uintptr_t>(address);
    return begin <= value && value < end;
  }
};

std::uintptr_t page_bytes() { return static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE)); }

/// What the linker has protected from writing once it had filled it in, in whole pages.
Range protected_part(const link_map & library)
{
  struct Search
  {
    std::uintptr_t base;
    Range found;
  } search{library.l_addr, {}};
  dl_iterate_phdr(
      [](dl_phdr_info * info, std::size_t, void * data)
      {
        auto & search = *static_cast<Search *>(data);
        if (info->dlpi_addr != search.base)
          return 0;
        for (const auto & part : std::span(info->dlpi_phdr, info->dlpi_phnum))
          if (part.p_type == PT_GNU_RELRO)
          {
            const auto whole_pages = ~(page_bytes() - 1);
            const auto begin = search.base + part.p_vaddr;
            search.found = {begin & whole_pages, (begin + part.p_memsz) & whole_pages};
          }
        return 1;
      },
      &search);
  return search.found;
}

/// Threads may be calling through the slot.
bool set_slot(void ** slot, void * target, const Range & read_only)
{
  if (!read_only.holds(slot))
  {
    __atomic_store_n(slot, target, __ATOMIC_RELEASE);
    return true;
  }
  const auto size = page_bytes();
  auto * page = reinterpret_cast<void *>(reinterpret_cast<std::uintptr_t>(slot) & ~(size - 1));
  if (mprotect(page, size, PROT_READ | PROT_WRITE) != 0)
    return false; // forbidden by a policy of the system
  __atomic_store_n(slot, target, __ATOMIC_RELEASE);
  mprotect(page, size, PROT_READ);
  return true;
}

} // namespace

bool redirect_import(const std::string & path, std::string_view name, void * target)
{
  const auto close = [](void * handle) { dlclose(handle); };
  const std::unique_ptr<void, decltype(close)> handle(dlopen(path.c_str(), RTLD_LAZY | RTLD_NOLOAD),
                                                      close);
  link_map * library = nullptr;
  if (!handle || dlinfo(handle.get(), RTLD_DI_LINKMAP, &library) != 0)
    return false;
  const auto read_only = protected_part(*library);
  bool is_redirected = false;
  for (auto ** slot : slots_of(*library, name))
    is_redirected |= *slot == target || set_slot(slot, target, read_only);
  return is_redirected;
}

} // namespace neml2_aoti_plugin

#else

namespace neml2_aoti_plugin
{

bool redirect_import(const std::string &, std::string_view, void *) { return false; }

} // namespace neml2_aoti_plugin

#endif
