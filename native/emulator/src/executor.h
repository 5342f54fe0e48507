// The threads that do the device's work.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "block_runner.h"

namespace emulator {

// One thread does all work of streams; others help it with the blocks of a grid. They are never joined: a
// process ends with them waiting.
class Executor {
 public:
  static Executor& instance();

  // Runs `job` on the executor's thread and waits for it. Callers hold the runtime's lock.
  void run(const std::function<void()>& job);

  // Runs all blocks of a grid, in an order drawn from call.seed, on `threads` threads. Called within a job.
  std::optional<Failure> run_grid(const KernelCall& call, int threads);

 private:
  Executor();
  void serve();
  void help(int number);
  void run_blocks(BlockRunner& runner);

  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable done_;
  const std::function<void()>* job_ = nullptr;

  // The grid under way.
  const KernelCall* call_ = nullptr;
  uint64_t block_count_ = 0;
  uint64_t first_ = 0;
  uint64_t stride_ = 1;
  std::atomic<uint64_t> next_{0};
  std::optional<Failure> failure_;

  std::condition_variable help_wanted_;
  std::condition_variable helped_;
  uint64_t grid_number_ = 0;
  int helpers_wanted_ = 0;
  int helping_ = 0;
  int helpers_ = 0;
  BlockRunner runner_;
};

}  // namespace emulator
