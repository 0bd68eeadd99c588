// Functions that a loaded shared library calls by name, exchanged for that library alone.
#pragma once

#include <string>
#include <string_view>

namespace neml2_aoti_plugin
{

/// Sends the calls by which the loaded library at `path` calls the function `name`, imported or its
/// own, to `target`, which has the signature of that function and stays loaded for good. Every
/// other library goes on calling what it did.
///
/// False, and nothing changed, where no such library is loaded, where it calls no such function
/// through its table of addresses, or where the format of libraries is not ELF of a 64-bit Linux
/// with glibc.
bool redirect_import(const std::string & path, std::string_view name, void * target);

} // namespace neml2_aoti_plugin
