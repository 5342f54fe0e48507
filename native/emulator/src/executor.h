// The threads that do the device's work.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "block_runner.h"
#include "service_thread.h"

namespace emulator {

// A block of a kernel that began before the kernel ahead of it on the stream: programmatic dependent launch.
// It has a thread of its own, since the blocks that run meanwhile have the same thread_local shared memory.
class EarlyBlock {
 public:
  // Runs the block with this number until its threads wait for the kernel ahead.
  void begin(const KernelCall& call, uint64_t number);
  std::optional<Failure> finish();
  uint64_t number() const { return number_; }

  // Between begin() and release(), which abandons the block if nobody finished it.
  bool in_use() const { return in_use_; }
  void release();

 private:
  ServiceThread thread_;
  BlockRunner runner_;
  KernelCall call_{};
  uint64_t number_ = 0;
  bool in_use_ = false;
  bool finished_ = false;
};

struct ReleaseEarlyBlock {
  void operator()(EarlyBlock* block) const { block->release(); }
};
using EarlyBlockPointer = std::unique_ptr<EarlyBlock, ReleaseEarlyBlock>;

// One thread does all work of streams; others help it with the blocks of a grid. They are never joined: a
// process ends with them waiting.
class Executor {
 public:
  static Executor& instance();

  // Runs `job` on the executor's thread and waits for it. Callers hold the runtime's lock.
  void run(const std::function<void()>& job) { thread_.run(job); }

  // The following are called within a job.

  // Runs all blocks of a grid, in an order drawn from call.seed, on `threads` threads. `early`, if not null,
  // is the block that has begun.
  std::optional<Failure> run_grid(const KernelCall& call, int threads, EarlyBlock* early = nullptr);

  // Runs one block of the grid, drawn from call.seed, until it waits for the kernel ahead.
  EarlyBlockPointer begin_early(const KernelCall& call);

 private:
  void help(int number);
  void run_blocks(BlockRunner& runner);

  ServiceThread thread_;
  BlockRunner runner_;
  std::vector<std::unique_ptr<EarlyBlock>> early_blocks_;

  // The grid under way.
  const KernelCall* call_ = nullptr;
  EarlyBlock* early_ = nullptr;
  uint64_t block_count_ = 0;
  uint64_t first_ = 0;
  uint64_t stride_ = 1;
  std::atomic<uint64_t> next_{0};

  std::mutex mutex_;
  std::optional<Failure> failure_;
  std::condition_variable help_wanted_;
  std::condition_variable helped_;
  uint64_t grid_number_ = 0;
  int helpers_wanted_ = 0;
  int helping_ = 0;
  int helpers_ = 0;
};

}  // namespace emulator
