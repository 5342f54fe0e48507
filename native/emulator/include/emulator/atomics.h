// CUDA's atomic functions, relaxed as there. Blocks may run on several threads of the operating system, so
// they are real.
#pragma once

#include <cstdint>
#include <type_traits>

namespace emulator {

template <class T>
concept AtomicInteger =
    std::is_same_v<T, int> || std::is_same_v<T, unsigned int> || std::is_same_v<T, long long> ||
    std::is_same_v<T, unsigned long long> || std::is_same_v<T, unsigned long> || std::is_same_v<T, long>;

template <class T>
concept AtomicNumber = AtomicInteger<T> || std::is_same_v<T, float>;

// Replaces *address by change(*address) in one step; returns the old value.
template <class T, class Change>
T atomic_change(T* address, Change change) {
  T old;
  __atomic_load(address, &old, __ATOMIC_RELAXED);
  for (;;) {
    T changed = change(old);
    if (__atomic_compare_exchange(address, &old, &changed, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
      return old;
  }
}

}  // namespace emulator

template <emulator::AtomicNumber T>
T atomicAdd(T* address, std::type_identity_t<T> value) {
  if constexpr (std::is_integral_v<T>) {
    return __atomic_fetch_add(address, value, __ATOMIC_RELAXED);
  } else {
    return emulator::atomic_change(address, [value](T old) { return old + value; });
  }
}

template <emulator::AtomicInteger T>
T atomicSub(T* address, std::type_identity_t<T> value) {
  return __atomic_fetch_sub(address, value, __ATOMIC_RELAXED);
}

template <emulator::AtomicInteger T>
T atomicMax(T* address, std::type_identity_t<T> value) {
  return emulator::atomic_change(address, [value](T old) { return old < value ? value : old; });
}

template <emulator::AtomicInteger T>
T atomicMin(T* address, std::type_identity_t<T> value) {
  return emulator::atomic_change(address, [value](T old) { return value < old ? value : old; });
}

template <emulator::AtomicInteger T>
T atomicAnd(T* address, std::type_identity_t<T> value) {
  return __atomic_fetch_and(address, value, __ATOMIC_RELAXED);
}

template <emulator::AtomicInteger T>
T atomicOr(T* address, std::type_identity_t<T> value) {
  return __atomic_fetch_or(address, value, __ATOMIC_RELAXED);
}

template <emulator::AtomicInteger T>
T atomicXor(T* address, std::type_identity_t<T> value) {
  return __atomic_fetch_xor(address, value, __ATOMIC_RELAXED);
}

// old >= limit ? 0 : old + 1
inline unsigned int atomicInc(unsigned int* address, unsigned int limit) {
  return emulator::atomic_change(address, [limit](unsigned int old) { return old >= limit ? 0u : old + 1; });
}

template <emulator::AtomicNumber T>
T atomicExch(T* address, std::type_identity_t<T> value) {
  T old;
  __atomic_exchange(address, &value, &old, __ATOMIC_RELAXED);
  return old;
}

template <emulator::AtomicInteger T>
T atomicCAS(T* address, std::type_identity_t<T> expected, std::type_identity_t<T> value) {
  __atomic_compare_exchange_n(address, &expected, value, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
  return expected;
}
