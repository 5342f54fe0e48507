// Cooperative threads of execution: each has a stack, and one hands the processor to another by name.
#pragma once

#include <cstddef>
#include <memory>

// A few instructions of assembly on x86-64; elsewhere, or if asked for, the slower functions of the C
// library.
#if defined(__x86_64__) && !defined(WEIR_EMULATOR_UCONTEXT)
#define WEIR_EMULATOR_ASSEMBLY 1
#else
#include <ucontext.h>
#endif

#if defined(__SANITIZE_ADDRESS__)
#define WEIR_EMULATOR_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WEIR_EMULATOR_ASAN 1
#endif
#endif

namespace emulator {

// Memory for a stack, with a page below it that nobody may touch. Pages are taken as they are used.
class Stack {
 public:
  // `colour` moves the top of the stack, so that the stacks of many fibers do not all fall on the same cache
  // sets.
  explicit Stack(size_t colour);
  ~Stack();
  Stack(Stack&& other) noexcept;
  Stack(const Stack&) = delete;
  Stack& operator=(const Stack&) = delete;

  std::byte* bottom() const { return memory_ + guard_; }
  size_t size() const { return size_; }

 private:
  std::byte* memory_;
  size_t guard_;
  size_t mapped_;
  size_t size_;
};

class Fiber {
 public:
  // The fiber of the code that is running already: only to be switched from, and back to.
  Fiber() = default;
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // Gives it a stack; the next switch to it calls entry(argument), which must not return. What it ran before
  // is forgotten: destructors do not run.
  void start(const Stack& stack, void (*entry)(void*), void* argument);

  // Stops `from`, which is running, and goes on where `to` was stopped.
  static void switch_to(Fiber& from, Fiber& to);

 private:
  [[noreturn]] static void enter();
  void arrive();

#if defined(WEIR_EMULATOR_ASSEMBLY)
  void* stack_pointer_ = nullptr;
#else
  ucontext_t context_;
#endif
  void (*entry_)(void*) = nullptr;
  void* argument_ = nullptr;
#if defined(WEIR_EMULATOR_ASAN)
  const void* bottom_ = nullptr;
  size_t size_ = 0;
  void* fake_stack_ = nullptr;
#endif
};

}  // namespace emulator
