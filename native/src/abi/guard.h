// What every entry point does around its work: exceptions become statuses, structs are checked.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <string>
#include <type_traits>

#include "core/error.h"
#include "weir.h"

namespace weir::abi {

// Cuts at the start of a character if there is no room for all of it.
inline void copy_text(const char* text, char* out, size_t room) noexcept {
  size_t length = std::strlen(text);
  if (length >= room) {
    length = room - 1;
    while (length > 0 && (static_cast<unsigned char>(text[length]) & 0xC0) == 0x80) length--;
  }
  std::memcpy(out, text, length);
  out[length] = 0;
}

inline weir_status report(weir_error* error, weir_status status, const char* message, int64_t needed = 0,
                          int64_t available = 0) noexcept {
  if (error != nullptr) {
    error->status = status;
    error->needed = needed;
    error->available = available;
    copy_text(message, error->message, sizeof error->message);
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

// The sizes that a struct had in earlier versions of the ABI, for those that have grown.
template <typename T>
inline constexpr std::array<uint32_t, 0> kEarlierSizes{};
template <>
inline constexpr std::array<uint32_t, 1> kEarlierSizes<weir_device_options>{
    offsetof(weir_device_options, precision)};
template <>
inline constexpr std::array<uint32_t, 2> kEarlierSizes<weir_device_info>{
    offsetof(weir_device_info, precision), offsetof(weir_device_info, multiprocessors)};

// A struct that the caller passes, checked for null and for its size, which may be that of an earlier
// version.
template <typename T>
T& known_size(T* pointer, const char* name) {
  T& value = required(pointer, name);
  const auto& earlier = kEarlierSizes<std::remove_const_t<T>>;
  if (value.struct_size != sizeof(T) &&
      std::find(earlier.begin(), earlier.end(), value.struct_size) == earlier.end()) {
    throw invalid_argument(std::string(name) + "->struct_size is " + std::to_string(value.struct_size) +
                           ", must be " + std::to_string(sizeof(T)) +
                           "; the caller was built for another version");
  }
  return value;
}

// A struct that has not grown.
template <typename T>
T& sized(T* pointer, const char* name) {
  static_assert(kEarlierSizes<std::remove_const_t<T>>.empty());
  return known_size(pointer, name);
}

// An options struct, where null means the defaults.
template <typename T>
T optional(const T* pointer, const char* name) {
  T options{};
  if (pointer != nullptr) std::memcpy(&options, pointer, known_size(pointer, name).struct_size);
  options.struct_size = sizeof(T);
  return options;
}

// Lets `fill` write an output struct and hands over as much of it as the caller's version has.
template <typename T, typename Fill>
void fill_output(T* pointer, const char* name, Fill&& fill) {
  T& out = known_size(pointer, name);
  T whole{};
  fill(whole);
  whole.struct_size = out.struct_size;
  std::memcpy(&out, &whole, out.struct_size);
}

inline void check_range(const char* name, int64_t value, int64_t low, int64_t high) {
  if (value < low || value > high) {
    throw invalid_argument(std::string(name) + " is " + std::to_string(value) + ", must be in " +
                           std::to_string(low) + ".." + std::to_string(high));
  }
}

}  // namespace weir::abi
