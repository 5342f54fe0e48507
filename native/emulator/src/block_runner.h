// Runs the threads of one block as fibers.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "emulator/block.h"
#include "fiber.h"
#include "random.h"
#include "shared_variables.h"

namespace emulator {

struct KernelCall {
  const void* kernel;
  Invoke invoke;
  const void* arguments;
  dim3 grid;
  dim3 block;
  size_t dynamic_shared_bytes;
  uint64_t seed;
};

struct Failure {
  cudaError_t error;
  std::string message;
};

// Belongs to one thread of the operating system. Keeps its fibers from one block to the next.
class BlockRunner {
 public:
  BlockRunner() = default;
  BlockRunner(const BlockRunner&) = delete;
  BlockRunner& operator=(const BlockRunner&) = delete;

  // Runs all threads of one block to their end, or until one does what no kernel may do.
  std::optional<Failure> run(const KernelCall& call, uint3 block);

  // The same in two parts: begin() stops where the threads wait for the kernel ahead of theirs. `call` must
  // live until the end. Instead of finishing, a block can be abandoned.
  void begin(const KernelCall& call, uint3 block);
  std::optional<Failure> finish();
  void abandon();

  // The following are called by the thread that runs; see emulator/block.h.
  void meet_warp(uint32_t mask, const char* operation, void* operand, Evaluate evaluate, Location here);
  void meet_block(Location here);
  void yield();
  unsigned int lane_id() const { return current_ & 31; }
  unsigned char* dynamic_shared() const { return dynamic_shared_.get(); }
  // fail() says what is wrong, stop() ends the kernel. They are two, so that no strings are left on a stack
  // that nobody returns to.
  void fail(cudaError_t error, const std::string& message);
  [[noreturn]] void stop();
  void check_shared(const void* address, uint32_t bytes, uint32_t alignment, const char* operation,
                    Location here);
  void copy_async(void* shared, const void* global, uint32_t copied, uint32_t zeroed, Location here);
  void commit_copies();
  void wait_copies(int pending);
  void wait_for_preceding_kernel();
  void barrier_initialize(uint64_t* barrier, uint32_t arrivals, Location here);
  void barrier_arrive(uint64_t* barrier, uint32_t transaction_bytes, Location here);
  void barrier_wait(uint64_t* barrier, uint32_t parity, Location here);
  void copy_bulk(void* shared, const void* global, uint32_t bytes, uint64_t* barrier, Location here);

 private:
  struct PendingCopy {
    void* shared;
    const void* global;
    uint32_t copied;
    uint32_t zeroed;
  };

  struct BulkCopy {
    void* shared;
    const void* global;
    uint32_t bytes;
    uint64_t* barrier;
  };

  enum class State { kReady, kAtWarp, kAtBlock, kAtBarrier, kAtPreceding, kEnded };

  struct Thread {
    Thread(BlockRunner& owner, uint32_t number) : runner(owner), stack(number) {}

    BlockRunner& runner;
    Stack stack;
    Fiber fiber;
    uint3 index{};
    State state = State::kReady;
    // What it waits for.
    const char* operation = nullptr;
    Location location{};
    uint32_t mask = 0;
    uint64_t* barrier = nullptr;
    uint32_t parity = 0;
    // cp.async that have not landed, and how many of them each group ended with.
    std::vector<PendingCopy> copies;
    std::vector<size_t> group_ends;
  };

  // Lanes with the same mask that are meeting.
  struct Meeting {
    uint32_t mask;
    uint32_t arrived;
    const char* operation;
    Evaluate evaluate;
  };

  struct Warp {
    uint32_t alive;
    uint32_t ready;
    uint32_t at_block;
    int meetings;
    Meeting meeting[32];
    void* operands[32];
  };

  struct Release {
    void operator()(unsigned char* memory) const { std::free(memory); }
  };

  static void run_thread(void* thread);
  void prepare(const KernelCall& call, uint3 block);
  void go_on();
  void prepare_shared_memory();
  Thread& current() { return threads_[current_]; }
  void make_ready(uint32_t warp, uint32_t lanes);
  // Takes one of the threads that can go on; -1 if there is none.
  int take_ready();
  // Lets another thread go on; returns when this one is taken again.
  void switch_away();
  void end_thread();
  void finish_meeting(uint32_t warp, int meeting);
  void finish_block_barrier();
  void land(const PendingCopy& copy);
  void land_bulk_copy();
  void finish_phase_if_complete(uint64_t* barrier);
  std::string describe_deadlock() const;
  std::string where() const;

  const KernelCall* call_ = nullptr;
  uint3 block_{};
  Random random_;
  Fiber scheduler_;
  std::deque<Thread> threads_;
  // How many of `threads_` have fibers that wait to be given a block.
  uint32_t started_ = 0;
  uint32_t thread_count_ = 0;
  uint32_t ended_ = 0;
  uint32_t current_ = 0;
  bool keep_to_warp_ = false;
  uint32_t ready_warps_ = 0;
  Warp warps_[32];
  uint32_t at_block_ = 0;
  Location block_location_{};
  uint32_t at_barrier_ = 0;
  bool preceding_finished_ = true;
  uint32_t at_preceding_ = 0;
  std::vector<BulkCopy> bulk_copies_;
  std::unique_ptr<unsigned char, Release> dynamic_shared_;
  size_t dynamic_shared_bytes_ = 0;
  SharedVariables shared_variables_;
  std::span<std::byte> static_shared_;
  std::optional<Failure> failure_;
};

}  // namespace emulator
