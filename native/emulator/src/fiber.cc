#include "fiber.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <new>
#include <utility>

#if defined(WEIR_EMULATOR_ASAN)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

#if defined(WEIR_EMULATOR_ASSEMBLY)
// weir_emulator_switch(void** save, void* load): keeps the registers that a function must preserve on the
// stack, and takes the other stack. Saving the signal mask, as swapcontext does, would cost two system calls.
extern "C" void weir_emulator_switch(void** save, void* load);
asm(R"(
.text
.p2align 4
.globl weir_emulator_switch
.hidden weir_emulator_switch
.type weir_emulator_switch, @function
weir_emulator_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size weir_emulator_switch, .-weir_emulator_switch
)");
#endif

namespace emulator {
namespace {

#if defined(WEIR_EMULATOR_ASAN)
constexpr size_t kStackBytes = 512 << 10;
#else
constexpr size_t kStackBytes = 128 << 10;
#endif
constexpr size_t kColourBytes = 192;
constexpr size_t kColours = 64;

// The two fibers of the switch under way, for the one that arrives.
__thread Fiber* departing;
__thread Fiber* arriving;

}  // namespace

Stack::Stack(size_t colour) {
  guard_ = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  mapped_ = guard_ + kStackBytes;
  void* memory =
      mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  mprotect(memory, guard_, PROT_NONE);
  memory_ = static_cast<std::byte*>(memory);
  size_ = kStackBytes - colour % kColours * kColourBytes;
}

Stack::~Stack() {
  if (memory_ != nullptr) munmap(memory_, mapped_);
}

Stack::Stack(Stack&& other) noexcept
    : memory_(std::exchange(other.memory_, nullptr)),
      guard_(other.guard_),
      mapped_(other.mapped_),
      size_(other.size_) {}

void Fiber::start(const Stack& stack, void (*entry)(void*), void* argument) {
  entry_ = entry;
  argument_ = argument;
#if defined(WEIR_EMULATOR_ASAN)
  __asan_unpoison_memory_region(stack.bottom(), stack.size());
  bottom_ = stack.bottom();
  size_ = stack.size();
  fake_stack_ = nullptr;
#endif
#if defined(WEIR_EMULATOR_ASSEMBLY)
  // What weir_emulator_switch takes off: six registers, and where to return to. enter() then finds the stack
  // as after a call: 8 bytes below a multiple of 16, a null return address on top for whoever walks the
  // stack.
  auto top = reinterpret_cast<uintptr_t>(stack.bottom() + stack.size()) & ~uintptr_t{15};
  auto* slots = reinterpret_cast<uintptr_t*>(top) - 8;
  for (int i = 0; i < 8; i++) slots[i] = 0;
  slots[6] = reinterpret_cast<uintptr_t>(&Fiber::enter);
  stack_pointer_ = slots;
#else
  getcontext(&context_);
  context_.uc_stack.ss_sp = stack.bottom();
  context_.uc_stack.ss_size = stack.size();
  context_.uc_link = nullptr;
  makecontext(&context_, &Fiber::enter, 0);
#endif
}

void Fiber::switch_to(Fiber& from, Fiber& to) {
  departing = &from;
  arriving = &to;
#if defined(WEIR_EMULATOR_ASAN)
  __sanitizer_start_switch_fiber(&from.fake_stack_, to.bottom_, to.size_);
#endif
#if defined(WEIR_EMULATOR_ASSEMBLY)
  weir_emulator_switch(&from.stack_pointer_, to.stack_pointer_);
#else
  swapcontext(&from.context_, &to.context_);
#endif
  from.arrive();
}

void Fiber::arrive() {
#if defined(WEIR_EMULATOR_ASAN)
  // Tells where the fiber that was left has its stack: nobody else knows that of the thread's own.
  __sanitizer_finish_switch_fiber(fake_stack_, &departing->bottom_, &departing->size_);
#endif
}

void Fiber::enter() {
  Fiber& self = *arriving;
  self.arrive();
  self.entry_(self.argument_);
  __builtin_trap();
}

}  // namespace emulator
