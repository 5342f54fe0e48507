#include "executor.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "random.h"

namespace emulator {

Executor& Executor::instance() {
  static Executor& executor = *new Executor;
  return executor;
}

Executor::Executor() {
  std::thread([this] { serve(); }).detach();
}

void Executor::run(const std::function<void()>& job) {
  std::unique_lock lock(mutex_);
  job_ = &job;
  wake_.notify_one();
  done_.wait(lock, [this] { return job_ == nullptr; });
}

void Executor::serve() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return job_ != nullptr; });
    const std::function<void()>* job = job_;
    lock.unlock();
    (*job)();
    lock.lock();
    job_ = nullptr;
    done_.notify_one();
  }
}

std::optional<Failure> Executor::run_grid(const KernelCall& call, int threads) {
  call_ = &call;
  block_count_ = uint64_t{call.grid.x} * call.grid.y * call.grid.z;
  Random random(call.seed);
  // Blocks in the order first, first + stride, ... modulo their number, which meets each once.
  first_ = random.next() % block_count_;
  do {
    stride_ = 1 + random.next() % block_count_;
  } while (std::gcd(stride_, block_count_) != 1);
  next_ = 0;
  const int helpers = static_cast<int>(std::min(static_cast<uint64_t>(threads), block_count_)) - 1;
  if (helpers > 0) {
    const std::lock_guard lock(mutex_);
    while (helpers_ < helpers) {
      std::thread([this, number = helpers_] { help(number); }).detach();
      helpers_++;
    }
    helpers_wanted_ = helping_ = helpers;
    grid_number_++;
    help_wanted_.notify_all();
  }
  run_blocks(runner_);
  if (helpers > 0) {
    std::unique_lock lock(mutex_);
    helped_.wait(lock, [this] { return helping_ == 0; });
  }
  return std::exchange(failure_, std::nullopt);
}

void Executor::help(int number) {
  BlockRunner runner;
  uint64_t seen = 0;
  std::unique_lock lock(mutex_);
  for (;;) {
    help_wanted_.wait(lock, [&] { return grid_number_ != seen; });
    seen = grid_number_;
    if (number >= helpers_wanted_) continue;
    lock.unlock();
    run_blocks(runner);
    lock.lock();
    if (--helping_ == 0) helped_.notify_one();
  }
}

void Executor::run_blocks(BlockRunner& runner) {
  for (;;) {
    const uint64_t i = next_.fetch_add(1, std::memory_order_relaxed);
    if (i >= block_count_) return;
    const uint64_t block = (first_ + i * stride_) % block_count_;
    const dim3& grid = call_->grid;
    std::optional<Failure> failure = runner.run(*call_, {static_cast<unsigned int>(block % grid.x),
                                                         static_cast<unsigned int>(block / grid.x % grid.y),
                                                         static_cast<unsigned int>(block / grid.x / grid.y)});
    if (failure) {
      next_ = block_count_;
      const std::lock_guard lock(mutex_);
      if (!failure_) failure_ = std::move(failure);
    }
  }
}

}  // namespace emulator
