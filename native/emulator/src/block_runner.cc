#include "block_runner.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>
#include <utility>

#include "symbol.h"

#if defined(WEIR_EMULATOR_ASAN)
#include <sanitizer/asan_interface.h>
#endif

extern "C" {
__thread uint3 threadIdx;
__thread uint3 blockIdx;
__thread uint3 blockDim;
__thread uint3 gridDim;
}

namespace emulator {
namespace {

__thread BlockRunner* runner;

constexpr size_t kSharedAlignment = 1024;

bool same(const char* a, const char* b) {
  return a == b || (a != nullptr && b != nullptr && std::strcmp(a, b) == 0);
}

bool same(Location a, Location b) { return a.line == b.line && same(a.file, b.file); }

std::string to_string(Location location) {
  if (location.file == nullptr) return "unknown place";
  const char* slash = std::strrchr(location.file, '/');
  return std::string(slash == nullptr ? location.file : slash + 1) + ":" + std::to_string(location.line);
}

std::string to_string(uint3 v) {
  return "(" + std::to_string(v.x) + ", " + std::to_string(v.y) + ", " + std::to_string(v.z) + ")";
}

std::string hexadecimal(uint32_t x) {
  char text[16];
  std::snprintf(text, sizeof text, "0x%08x", x);
  return text;
}

// An mbarrier object. What its 64 bits mean is not specified by PTX; a phase ends when nobody is pending and
// as many bytes were copied as were expected.
struct Barrier {
  static constexpr uint32_t kMost = (1u << 20) - 1;

  uint32_t phase;
  uint32_t arrivals;
  uint32_t pending;
  int32_t expected_bytes;

  static Barrier load(const uint64_t* memory) {
    const uint64_t bits = *memory;
    return {static_cast<uint32_t>(bits >> 63), static_cast<uint32_t>(bits >> 20) & kMost,
            static_cast<uint32_t>(bits) & kMost,
            static_cast<int32_t>(static_cast<uint32_t>(bits >> 40) & 0x7FFFFF) - (1 << 22)};
  }

  void store(uint64_t* memory) const {
    *memory = uint64_t{phase} << 63 | uint64_t{static_cast<uint32_t>(expected_bytes + (1 << 22))} << 40 |
              uint64_t{arrivals} << 20 | pending;
  }

  // Memory that nobody initialized has all bits set.
  bool valid() const { return arrivals != 0 && arrivals != kMost; }
};

}  // namespace

void meet_warp(uint32_t mask, const char* operation, void* operand, Evaluate evaluate, Location here) {
  runner->meet_warp(mask, operation, operand, evaluate, here);
}
void meet_block(Location here) { runner->meet_block(here); }
void yield() { runner->yield(); }
unsigned int lane_id() { return runner->lane_id(); }
unsigned char* dynamic_shared() { return runner->dynamic_shared(); }
void fail_kernel(cudaError_t error, const char* message, Location here) {
  runner->fail(error, std::string(message) + " at " + to_string(here));
  runner->stop();
}
void check_shared(const void* address, uint32_t bytes, uint32_t alignment, const char* operation,
                  Location here) {
  runner->check_shared(address, bytes, alignment, operation, here);
}
void copy_async(void* shared, const void* global, uint32_t copied, uint32_t zeroed, Location here) {
  runner->copy_async(shared, global, copied, zeroed, here);
}
void commit_copies() { runner->commit_copies(); }
void wait_copies(int pending) { runner->wait_copies(pending); }
void barrier_initialize(uint64_t* barrier, uint32_t arrivals, Location here) {
  runner->barrier_initialize(barrier, arrivals, here);
}
void barrier_arrive(uint64_t* barrier, uint32_t transaction_bytes, Location here) {
  runner->barrier_arrive(barrier, transaction_bytes, here);
}
bool barrier_try_wait(uint64_t* barrier, uint32_t parity, Location here) {
  runner->barrier_wait(barrier, parity, here);
  return true;
}
void copy_bulk(void* shared, const void* global, uint32_t bytes, uint64_t* barrier, Location here) {
  runner->copy_bulk(shared, global, bytes, barrier, here);
}
void wait_for_preceding_kernel() { runner->wait_for_preceding_kernel(); }

std::optional<Failure> BlockRunner::run(const KernelCall& call, uint3 block) {
  prepare(call, block);
  return finish();
}

void BlockRunner::begin(const KernelCall& call, uint3 block) {
  prepare(call, block);
  preceding_finished_ = false;
  go_on();
}

std::optional<Failure> BlockRunner::finish() {
  preceding_finished_ = true;
  for (uint32_t i = 0; i < thread_count_ && at_preceding_ != 0; i++) {
    if (threads_[i].state != State::kAtPreceding) continue;
    at_preceding_--;
    make_ready(i / 32, 1u << (i & 31));
  }
  go_on();
  bulk_copies_.clear();
  // Threads of a block that failed stopped somewhere in the kernel; their stacks are used anew.
  if (failure_) started_ = 0;
  return std::exchange(failure_, std::nullopt);
}

void BlockRunner::abandon() {
  bulk_copies_.clear();
  failure_.reset();
  started_ = 0;
}

void BlockRunner::go_on() {
  runner = this;
  blockIdx = block_;
  blockDim = call_->block;
  gridDim = call_->grid;
  while (ended_ < thread_count_ && !failure_) {
    const int next = take_ready();
    if (next < 0) {
      if (at_preceding_ == 0) failure_ = {cudaErrorLaunchFailure, where() + ": " + describe_deadlock()};
      break;
    }
    current_ = static_cast<uint32_t>(next);
    current().state = State::kReady;
    threadIdx = current().index;
    Fiber::switch_to(scheduler_, current().fiber);
  }
}

void BlockRunner::prepare(const KernelCall& call, uint3 block) {
  call_ = &call;
  block_ = block;
  const uint64_t number = (uint64_t{block.z} * call.grid.y + block.y) * call.grid.x + block.x;
  random_ = Random(call.seed ^ mix(number));
  // Half of the blocks run one warp as far as it goes before another has its turn.
  keep_to_warp_ = random_.coin();
  thread_count_ = call.block.x * call.block.y * call.block.z;
  while (threads_.size() < thread_count_)
    threads_.emplace_back(*this, static_cast<uint32_t>(threads_.size()));
  for (; started_ < thread_count_; started_++) {
    threads_[started_].fiber.start(threads_[started_].stack, &BlockRunner::run_thread, &threads_[started_]);
  }
  ended_ = at_block_ = at_barrier_ = at_preceding_ = ready_warps_ = 0;
  uint3 index{0, 0, 0};
  for (uint32_t i = 0; i < thread_count_; i++) {
    Thread& thread = threads_[i];
    thread.index = index;
    thread.state = State::kReady;
    thread.copies.clear();
    thread.group_ends.clear();
    if (++index.x == call.block.x) {
      index.x = 0;
      if (++index.y == call.block.y) {
        index.y = 0;
        index.z++;
      }
    }
  }
  for (uint32_t warp = 0; warp * 32 < thread_count_; warp++) {
    const uint32_t lanes = std::min(thread_count_ - warp * 32, 32u);
    Warp& w = warps_[warp];
    w.alive = lanes == 32 ? 0xFFFFFFFFu : (1u << lanes) - 1;
    w.ready = w.at_block = 0;
    w.meetings = 0;
    make_ready(warp, w.alive);
  }
  prepare_shared_memory();
}

void BlockRunner::prepare_shared_memory() {
  if (dynamic_shared_bytes_ != call_->dynamic_shared_bytes) {
    dynamic_shared_.reset();
    dynamic_shared_bytes_ = call_->dynamic_shared_bytes;
    if (dynamic_shared_bytes_ != 0) {
      void* memory = nullptr;
      if (posix_memalign(&memory, kSharedAlignment, dynamic_shared_bytes_) != 0) throw std::bad_alloc();
      dynamic_shared_.reset(static_cast<unsigned char*>(memory));
    }
  }
  if (dynamic_shared_bytes_ != 0) std::memset(dynamic_shared_.get(), 0xFF, dynamic_shared_bytes_);
  static_shared_ = shared_variables_.of(call_->kernel);
  if (!static_shared_.empty()) std::memset(static_shared_.data(), 0xFF, static_shared_.size());
}

void BlockRunner::run_thread(void* thread) {
  BlockRunner& self = static_cast<Thread*>(thread)->runner;
  for (;;) {
    self.call_->invoke(self.call_->kernel, self.call_->arguments);
    self.end_thread();
  }
}

void BlockRunner::make_ready(uint32_t warp, uint32_t lanes) {
  warps_[warp].ready |= lanes;
  ready_warps_ |= 1u << warp;
}

int BlockRunner::take_ready() {
  while (!bulk_copies_.empty() && (ready_warps_ == 0 || random_.below(4) == 0)) land_bulk_copy();
  if (ready_warps_ == 0) return -1;
  uint32_t warp = current_ / 32;
  if (!keep_to_warp_ || !(ready_warps_ >> warp & 1)) warp = random_.bit_of(ready_warps_);
  const uint32_t lane = random_.bit_of(warps_[warp].ready);
  warps_[warp].ready &= ~(1u << lane);
  if (warps_[warp].ready == 0) ready_warps_ &= ~(1u << warp);
  return static_cast<int>(warp * 32 + lane);
}

void BlockRunner::switch_away() {
  Thread& from = current();
  const int next = take_ready();
  if (next < 0) {
    Fiber::switch_to(from.fiber, scheduler_);
    return;
  }
  Thread& to = threads_[static_cast<uint32_t>(next)];
  to.state = State::kReady;
  if (&to == &from) return;
  current_ = static_cast<uint32_t>(next);
  threadIdx = to.index;
  Fiber::switch_to(from.fiber, to.fiber);
}

void BlockRunner::yield() {
  make_ready(current_ / 32, 1u << lane_id());
  switch_away();
}

void BlockRunner::end_thread() {
  const uint32_t warp = current_ / 32;
  Warp& w = warps_[warp];
  current().state = State::kEnded;
  w.alive &= ~(1u << lane_id());
  ended_++;
  // Nobody waits for a thread that has ended.
  for (int i = w.meetings - 1; i >= 0; i--) {
    if (w.meeting[i].arrived == (w.meeting[i].mask & w.alive)) finish_meeting(warp, i);
  }
  if (at_block_ != 0 && at_block_ + ended_ == thread_count_) finish_block_barrier();
  switch_away();
}

void BlockRunner::meet_warp(uint32_t mask, const char* operation, void* operand, Evaluate evaluate,
                            Location here) {
  const uint32_t warp = current_ / 32;
  const uint32_t bit = 1u << lane_id();
  Warp& w = warps_[warp];
  if (!(mask & bit)) {
    fail(cudaErrorLaunchFailure, std::string(operation) + " at " + to_string(here) + ": the mask " +
                                     hexadecimal(mask) + " lacks the lane that calls, " +
                                     std::to_string(lane_id()));
    stop();
  }
  int i = 0;
  while (i < w.meetings && w.meeting[i].mask != mask) i++;
  if (i == w.meetings) {
    w.meeting[w.meetings++] = {mask, 0, operation, evaluate};
  } else if (!same(w.meeting[i].operation, operation)) {
    fail(cudaErrorLaunchFailure, "lanes of the mask " + hexadecimal(mask) + " call " + operation + " at " +
                                     to_string(here) + " while others wait in " + w.meeting[i].operation);
    stop();
  }
  Meeting& meeting = w.meeting[i];
  meeting.arrived |= bit;
  w.operands[lane_id()] = operand;
  Thread& thread = current();
  thread.state = State::kAtWarp;
  thread.operation = operation;
  thread.location = here;
  thread.mask = mask;
  if (meeting.arrived == (mask & w.alive)) finish_meeting(warp, i);
  switch_away();
}

void BlockRunner::finish_meeting(uint32_t warp, int i) {
  Warp& w = warps_[warp];
  const Meeting meeting = w.meeting[i];
  w.meeting[i] = w.meeting[--w.meetings];
  if (meeting.evaluate != nullptr) meeting.evaluate(meeting.arrived, w.operands);
  make_ready(warp, meeting.arrived);
}

void BlockRunner::meet_block(Location here) {
  if (at_block_ != 0 && !same(here, block_location_)) {
    fail(cudaErrorLaunchFailure, "thread " + to_string(current().index) + " calls __syncthreads() at " +
                                     to_string(here) + " while others wait in __syncthreads() at " +
                                     to_string(block_location_));
    stop();
  }
  block_location_ = here;
  at_block_++;
  warps_[current_ / 32].at_block |= 1u << lane_id();
  Thread& thread = current();
  thread.state = State::kAtBlock;
  thread.operation = "__syncthreads";
  thread.location = here;
  if (at_block_ + ended_ == thread_count_) finish_block_barrier();
  switch_away();
}

void BlockRunner::finish_block_barrier() {
  at_block_ = 0;
  for (uint32_t warp = 0; warp * 32 < thread_count_; warp++) {
    if (warps_[warp].at_block != 0) make_ready(warp, std::exchange(warps_[warp].at_block, 0));
  }
}

void BlockRunner::fail(cudaError_t error, const std::string& message) {
  failure_ = {error, where() + ": " + message};
}

void BlockRunner::stop() {
  Fiber::switch_to(current().fiber, scheduler_);
  __builtin_unreachable();
}

void BlockRunner::check_shared(const void* address, uint32_t bytes, uint32_t alignment, const char* operation,
                               Location here) {
  const auto begin = reinterpret_cast<uintptr_t>(address);
  const auto inside = [&](const void* memory, size_t size) {
    const auto from = reinterpret_cast<uintptr_t>(memory);
    return begin >= from && begin - from <= size && bytes <= size - (begin - from);
  };
  // Where the static variables are is not known in a build of clang's with a sanitizer.
  const bool found = inside(dynamic_shared_.get(), dynamic_shared_bytes_) || static_shared_.empty() ||
                     inside(static_shared_.data(), static_shared_.size());
  if (!found) {
    fail(cudaErrorIllegalAddress, std::string(operation) + " at " + to_string(here) + ": " +
                                      std::to_string(bytes) + " bytes that are not in shared memory");
    stop();
  }
  if (begin % alignment != 0) {
    fail(cudaErrorMisalignedAddress, std::string(operation) + " at " + to_string(here) +
                                         ": the address in shared memory is no multiple of " +
                                         std::to_string(alignment));
    stop();
  }
}

void BlockRunner::copy_async(void* shared, const void* global, uint32_t copied, uint32_t zeroed,
                             Location here) {
  check_shared(shared, copied + zeroed, 16, "cp.async", here);
  if (reinterpret_cast<uintptr_t>(global) % 16 != 0) {
    fail(cudaErrorMisalignedAddress,
         "cp.async at " + to_string(here) + ": the address in global memory is no multiple of 16");
    stop();
  }
  const PendingCopy copy{shared, global, copied, zeroed};
  if (random_.coin()) {
    land(copy);
  } else {
    current().copies.push_back(copy);
  }
}

void BlockRunner::commit_copies() {
  Thread& thread = current();
  thread.group_ends.push_back(thread.copies.size());
}

void BlockRunner::wait_copies(int pending) {
  Thread& thread = current();
  if (thread.group_ends.size() <= static_cast<size_t>(pending)) return;
  const size_t groups = thread.group_ends.size() - static_cast<size_t>(pending);
  const size_t landed = thread.group_ends[groups - 1];
  for (size_t i = 0; i < landed; i++) land(thread.copies[i]);
  thread.copies.erase(thread.copies.begin(), thread.copies.begin() + static_cast<ptrdiff_t>(landed));
  thread.group_ends.erase(thread.group_ends.begin(),
                          thread.group_ends.begin() + static_cast<ptrdiff_t>(groups));
  for (size_t& end : thread.group_ends) end -= landed;
}

void BlockRunner::land(const PendingCopy& copy) {
  auto* shared = static_cast<std::byte*>(copy.shared);
  if (copy.copied != 0) std::memcpy(shared, copy.global, copy.copied);
  if (copy.zeroed != 0) std::memset(shared + copy.copied, 0, copy.zeroed);
}

void BlockRunner::wait_for_preceding_kernel() {
  if (preceding_finished_) return;
  current().state = State::kAtPreceding;
  at_preceding_++;
  switch_away();
}

void BlockRunner::barrier_initialize(uint64_t* barrier, uint32_t arrivals, Location here) {
  check_shared(barrier, sizeof *barrier, alignof(uint64_t), "mbarrier.init", here);
  if (arrivals == 0 || arrivals >= Barrier::kMost) {
    fail(cudaErrorLaunchFailure,
         "mbarrier.init at " + to_string(here) + ": " + std::to_string(arrivals) + " arrivals");
    stop();
  }
  Barrier{0, arrivals, arrivals, 0}.store(barrier);
}

void BlockRunner::barrier_arrive(uint64_t* barrier, uint32_t transaction_bytes, Location here) {
  check_shared(barrier, sizeof *barrier, alignof(uint64_t), "mbarrier.arrive", here);
  Barrier state = Barrier::load(barrier);
  if (!state.valid()) {
    fail(cudaErrorLaunchFailure, "mbarrier.arrive at " + to_string(here) + ": not initialized");
    stop();
  }
  if (transaction_bytes > Barrier::kMost) {
    fail(cudaErrorLaunchFailure, "mbarrier.arrive.expect_tx at " + to_string(here) + ": too many bytes");
    stop();
  }
  state.expected_bytes += static_cast<int32_t>(transaction_bytes);
  state.pending--;
  state.store(barrier);
  finish_phase_if_complete(barrier);
}

void BlockRunner::barrier_wait(uint64_t* barrier, uint32_t parity, Location here) {
  check_shared(barrier, sizeof *barrier, alignof(uint64_t), "mbarrier.try_wait", here);
  const Barrier state = Barrier::load(barrier);
  if (!state.valid()) {
    fail(cudaErrorLaunchFailure, "mbarrier.try_wait at " + to_string(here) + ": not initialized");
    stop();
  }
  // The phase of the other parity is under way: this one has ended.
  if (state.phase != (parity & 1)) return;
  Thread& thread = current();
  thread.state = State::kAtBarrier;
  thread.operation = "mbarrier.try_wait";
  thread.location = here;
  thread.barrier = barrier;
  thread.parity = parity & 1;
  at_barrier_++;
  switch_away();
}

void BlockRunner::copy_bulk(void* shared, const void* global, uint32_t bytes, uint64_t* barrier,
                            Location here) {
  check_shared(shared, bytes, 16, "cp.async.bulk", here);
  check_shared(barrier, sizeof *barrier, alignof(uint64_t), "cp.async.bulk", here);
  if (reinterpret_cast<uintptr_t>(global) % 16 != 0 || bytes % 16 != 0 || bytes == 0) {
    fail(cudaErrorMisalignedAddress,
         "cp.async.bulk at " + to_string(here) + ": address or size in global memory is no multiple of 16");
    stop();
  }
  if (!Barrier::load(barrier).valid()) {
    fail(cudaErrorLaunchFailure, "cp.async.bulk at " + to_string(here) + ": the mbarrier is not initialized");
    stop();
  }
  bulk_copies_.push_back({shared, global, bytes, barrier});
}

void BlockRunner::land_bulk_copy() {
  const size_t i = random_.below(static_cast<uint32_t>(bulk_copies_.size()));
  const BulkCopy copy = bulk_copies_[i];
  bulk_copies_[i] = bulk_copies_.back();
  bulk_copies_.pop_back();
  std::memcpy(copy.shared, copy.global, copy.bytes);
  Barrier state = Barrier::load(copy.barrier);
  state.expected_bytes -= static_cast<int32_t>(copy.bytes);
  state.store(copy.barrier);
  finish_phase_if_complete(copy.barrier);
}

void BlockRunner::finish_phase_if_complete(uint64_t* barrier) {
  Barrier state = Barrier::load(barrier);
  if (state.pending != 0 || state.expected_bytes != 0) return;
  state.phase ^= 1;
  state.pending = state.arrivals;
  state.store(barrier);
  for (uint32_t i = 0; i < thread_count_ && at_barrier_ != 0; i++) {
    Thread& thread = threads_[i];
    if (thread.state == State::kAtBarrier && thread.barrier == barrier && thread.parity != state.phase) {
      thread.state = State::kReady;
      at_barrier_--;
      make_ready(i / 32, 1u << (i & 31));
    }
  }
}

std::string BlockRunner::where() const {
  return "kernel " + symbol_name(call_->kernel) + ", block " + to_string(block_);
}

std::string BlockRunner::describe_deadlock() const {
  std::string text = "deadlock, nobody can go on:";
  for (uint32_t first = 0; first < thread_count_;) {
    const Thread& thread = threads_[first];
    uint32_t end = first + 1;
    const auto alike = [&](const Thread& other) {
      if (other.state != thread.state) return false;
      if (thread.state == State::kEnded) return true;
      return same(other.operation, thread.operation) && same(other.location, thread.location) &&
             (thread.state != State::kAtWarp || other.mask == thread.mask);
    };
    while (end < thread_count_ && alike(threads_[end])) end++;
    text += first == 0 ? " " : "; ";
    text += end == first + 1 ? "thread " + std::to_string(first)
                             : "threads " + std::to_string(first) + " to " + std::to_string(end - 1);
    if (thread.state == State::kEnded) {
      text += " ended";
    } else {
      text += " in " + std::string(thread.operation) + " at " + to_string(thread.location);
      if (thread.state == State::kAtWarp) text += " with mask " + hexadecimal(thread.mask);
    }
    first = end;
  }
  return text;
}

}  // namespace emulator
