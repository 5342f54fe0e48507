#include "shared_variables.h"

#include <link.h>

#include <cstdint>

#include "fiber.h"

namespace emulator {
namespace {

// What __tls_get_addr takes, by the ELF thread-local storage ABI.
struct ThreadLocalIndex {
  unsigned long module;
  unsigned long offset;
};
extern "C" void* __tls_get_addr(ThreadLocalIndex* index);

struct Search {
  uintptr_t address;
  size_t module = 0;
  size_t bytes = 0;
};

int find_module(dl_phdr_info* info, size_t, void* data) {
  auto& search = *static_cast<Search*>(data);
  bool inside = false;
  size_t bytes = 0;
  for (int i = 0; i < info->dlpi_phnum; i++) {
    const auto& header = info->dlpi_phdr[i];
    const uintptr_t begin = info->dlpi_addr + header.p_vaddr;
    if (header.p_type == PT_LOAD && search.address >= begin && search.address < begin + header.p_memsz)
      inside = true;
    if (header.p_type == PT_TLS) bytes = header.p_memsz;
  }
  if (!inside) return 0;
  search.module = info->dlpi_tls_modid;
  search.bytes = bytes;
  return 1;
}

}  // namespace

std::span<std::byte> SharedVariables::of(const void* kernel) {
#if defined(WEIR_EMULATOR_ASAN) && defined(__clang__)
  // Clang links the sanitizer's runtime, with its own thread_local variables, into the program.
  static_cast<void>(kernel);
  return {};
#else
  const auto [entry, fresh] = modules_.try_emplace(kernel);
  if (fresh) {
    Search search{reinterpret_cast<uintptr_t>(kernel)};
    dl_iterate_phdr(find_module, &search);
    if (search.module != 0 && search.bytes != 0) {
      ThreadLocalIndex index{search.module, 0};
      entry->second = {static_cast<std::byte*>(__tls_get_addr(&index)), search.bytes};
    }
  }
  return entry->second;
#endif
}

}  // namespace emulator
