// What every entry point does around its work: exceptions become statuses, structs are checked.
#pragma once

#include <cstdint>
#include <cstdio>
#include <new>
#include <string>

#include "core/error.h"
#include "weir.h"

namespace weir::abi {

inline weir_status report(weir_error* error, weir_status status, const char* message, int64_t needed = 0,
                          int64_t available = 0) noexcept {
  if (error != nullptr) {
    error->status = status;
    error->needed = needed;
    error->available = available;
    std::snprintf(error->message, sizeof error->message, "%s", message);
  }
  return status;
}

// Runs `work`. An `error` of the wrong size cannot be filled, so the call is refused before it does anything.
template <typename Work>
weir_status guard(weir_error* error, Work&& work) noexcept {
  if (error != nullptr && error->struct_size != sizeof(weir_error)) return WEIR_INVALID_ARGUMENT;
  try {
    work();
    return WEIR_OK;
  } catch (const Error& e) {
    return report(error, e.status(), e.what(), e.needed(), e.available());
  } catch (const std::bad_alloc&) {
    return report(error, WEIR_OUT_OF_MEMORY, "the host is out of memory");
  } catch (const std::exception& e) {
    return report(error, WEIR_INTERNAL, e.what());
  } catch (...) {
    return report(error, WEIR_INTERNAL, "unknown exception");
  }
}

template <typename T>
T& required(T* pointer, const char* name) {
  if (pointer == nullptr) throw invalid_argument(std::string(name) + " is null");
  return *pointer;
}

// A struct that the caller passes, checked for null and for its size.
template <typename T>
T& sized(T* pointer, const char* name) {
  T& value = required(pointer, name);
  if (value.struct_size != sizeof(T)) {
    throw invalid_argument(std::string(name) + "->struct_size is " + std::to_string(value.struct_size) +
                           ", must be " + std::to_string(sizeof(T)) +
                           "; the caller was built for another version");
  }
  return value;
}

// An options struct, where null means the defaults.
template <typename T>
T optional(const T* pointer, const char* name) {
  if (pointer != nullptr) return sized(pointer, name);
  T defaults{};
  defaults.struct_size = sizeof(T);
  return defaults;
}

}  // namespace weir::abi
