#include "symbol.h"

#include <cxxabi.h>
#include <dlfcn.h>
#include <elf.h>
#include <link.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <vector>

namespace emulator {
namespace {

std::string demangled(const std::string& name) {
  int status = 0;
  std::unique_ptr<char, void (*)(void*)> text(abi::__cxa_demangle(name.c_str(), nullptr, nullptr, &status),
                                              std::free);
  return status == 0 ? text.get() : name;
}

template <class T>
std::vector<T> read(std::ifstream& file, uint64_t offset, uint64_t bytes) {
  std::vector<T> values(bytes / sizeof(T));
  file.seekg(static_cast<std::streamoff>(offset));
  file.read(reinterpret_cast<char*>(values.data()), static_cast<std::streamsize>(values.size() * sizeof(T)));
  return values;
}

// Looks into the symbol table of the file itself: a kernel that is not exported has no name in memory.
std::string symbol_in_file(const char* path, uint64_t offset) {
  std::ifstream file(path, std::ios::binary);
  ElfW(Ehdr) header{};
  file.read(reinterpret_cast<char*>(&header), sizeof header);
  if (!file) return {};
  const auto sections = read<ElfW(Shdr)>(file, header.e_shoff, uint64_t{header.e_shnum} * sizeof(ElfW(Shdr)));
  for (const auto& section : sections) {
    if (section.sh_type != SHT_SYMTAB || section.sh_link >= sections.size()) continue;
    const auto& strings = sections[section.sh_link];
    const auto names = read<char>(file, strings.sh_offset, strings.sh_size);
    for (const auto& symbol : read<ElfW(Sym)>(file, section.sh_offset, section.sh_size)) {
      if (!file) return {};
      if ((symbol.st_info & 15) == STT_FUNC && symbol.st_value == offset && symbol.st_name < names.size()) {
        return demangled(&names[symbol.st_name]);
      }
    }
  }
  return {};
}

}  // namespace

std::string symbol_name(const void* address) {
  Dl_info info{};
  link_map* map = nullptr;
  if (dladdr1(address, &info, reinterpret_cast<void**>(&map), RTLD_DL_LINKMAP) == 0 || map == nullptr) {
    return "at an unknown address";
  }
  const uint64_t offset = reinterpret_cast<uintptr_t>(address) - map->l_addr;
  const char* path = map->l_name[0] == 0 ? "/proc/self/exe" : map->l_name;
  std::string name = symbol_in_file(path, offset);
  if (!name.empty()) return name;
  if (info.dli_sname != nullptr && info.dli_saddr == address) return demangled(info.dli_sname);
  char text[32];
  std::snprintf(text, sizeof text, "+0x%llx", static_cast<unsigned long long>(offset));
  return info.dli_fname + std::string(text);
}

}  // namespace emulator
