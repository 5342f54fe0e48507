#include "executor.h"

#include <algorithm>
#include <numeric>
#include <thread>
#include <utility>

#include "random.h"

namespace emulator {
namespace {

uint3 position(uint64_t block, const dim3& grid) {
  return {static_cast<unsigned int>(block % grid.x), static_cast<unsigned int>(block / grid.x % grid.y),
          static_cast<unsigned int>(block / grid.x / grid.y)};
}

}  // namespace

Executor& Executor::instance() {
  static Executor& executor = *new Executor;
  return executor;
}

void EarlyBlock::begin(const KernelCall& call, uint64_t number) {
  call_ = call;
  number_ = number;
  in_use_ = true;
  finished_ = false;
  thread_.run([this] { runner_.begin(call_, position(number_, call_.grid)); });
}

std::optional<Failure> EarlyBlock::finish() {
  std::optional<Failure> failure;
  thread_.run([&] { failure = runner_.finish(); });
  finished_ = true;
  return failure;
}

void EarlyBlock::release() {
  if (!finished_) runner_.abandon();
  in_use_ = false;
}

EarlyBlockPointer Executor::begin_early(const KernelCall& call) {
  auto block =
      std::find_if(early_blocks_.begin(), early_blocks_.end(), [](const auto& b) { return !b->in_use(); });
  if (block == early_blocks_.end()) block = early_blocks_.insert(block, std::make_unique<EarlyBlock>());
  (*block)->begin(call, Random(~call.seed).next() % (uint64_t{call.grid.x} * call.grid.y * call.grid.z));
  return EarlyBlockPointer(block->get());
}

std::optional<Failure> Executor::run_grid(const KernelCall& call, int threads, EarlyBlock* early) {
  call_ = &call;
  early_ = early;
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
    std::optional<Failure> failure = early_ != nullptr && early_->number() == block
                                         ? early_->finish()
                                         : runner.run(*call_, position(block, call_->grid));
    if (failure) {
      next_ = block_count_;
      const std::lock_guard lock(mutex_);
      if (!failure_) failure_ = std::move(failure);
    }
  }
}

}  // namespace emulator
