#include "backend/cpu/thread_pool.h"

#include <pthread.h>
#include <sched.h>

#include <chrono>
#include <string>
#include <system_error>
#include <utility>

#include "core/error.h"

namespace weir::cpu {
namespace {

constexpr int32_t kClosed = int32_t{1} << 30;
// Longer than what lies between two operators of a step, shorter than anybody notices.
constexpr std::chrono::microseconds kAwake{50};

inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Waits until `value` differs from `old`: awake for a while, then asleep.
void wait_for_change(const std::atomic<int32_t>& value, int32_t old) {
  const auto until = std::chrono::steady_clock::now() + kAwake;
  do {
    for (int i = 0; i < 32; i++) {
      if (value.load(std::memory_order_acquire) != old) return;
      pause();
    }
  } while (std::chrono::steady_clock::now() < until);
  value.wait(old, std::memory_order_acquire);
}

std::vector<int> allowed_processors() {
  std::vector<int> processors;
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return processors;
  for (int i = 0; i < CPU_SETSIZE; i++) {
    if (CPU_ISSET(i, &set)) processors.push_back(i);
  }
  return processors;
}

}  // namespace

ThreadPool::ThreadPool(int threads, bool pin) : gate_(kClosed) {
  if (pin) processors_ = allowed_processors();
  try {
    for (int i = 1; i < threads; i++) workers_.emplace_back([this, i] { wait_for_work(i); });
  } catch (const std::system_error& e) {
    const int64_t started = static_cast<int64_t>(workers_.size()) + 1;
    stop();
    throw Error(WEIR_OUT_OF_MEMORY,
                "the system starts " + std::to_string(started) + " of " + std::to_string(threads) +
                    " threads (" + e.what() + "); lower weir_device_options.threads",
                0, 0);
  } catch (...) {
    stop();
    throw;
  }
}

ThreadPool::~ThreadPool() { stop(); }

void ThreadPool::stop() noexcept {
  stopping_ = true;
  epoch_.fetch_add(1, std::memory_order_release);
  epoch_.notify_all();
  for (std::thread& worker : workers_) worker.join();
  workers_.clear();
}

void ThreadPool::pin_thread(int thread) const {
  if (processors_.empty()) return;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(processors_[thread % processors_.size()], &set);
  // A processor that has gone meanwhile leaves the thread where it is.
  pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

void ThreadPool::wait_for_work(int thread) {
  pin_thread(thread);
  int32_t seen = 0;
  for (;;) {
    wait_for_change(epoch_, seen);
    seen = epoch_.load(std::memory_order_acquire);
    if (stopping_) return;
    // Whoever comes when the work is done is not waited for.
    int32_t gate = gate_.load(std::memory_order_relaxed);
    while ((gate & kClosed) == 0) {
      if (!gate_.compare_exchange_weak(gate, gate + 1, std::memory_order_acquire)) continue;
      work(thread);
      if (gate_.fetch_sub(1, std::memory_order_acq_rel) == (kClosed | 1)) gate_.notify_one();
      break;
    }
  }
}

void ThreadPool::work(int thread) noexcept {
  for (;;) {
    const int64_t i = next_.fetch_add(1, std::memory_order_relaxed);
    if (i >= count_) return;
    try {
      call_(task_, i, thread);
    } catch (...) {
      if (!failed_.exchange(true)) failure_ = std::current_exception();
    }
  }
}

void ThreadPool::run_erased(int64_t count, Erased call, const void* task) {
  if (count <= 0) return;
  const std::lock_guard lock(turn_);
  call_ = call;
  task_ = task;
  count_ = count;
  failed_.store(false, std::memory_order_relaxed);
  next_.store(0, std::memory_order_relaxed);
  if (count > 1 && !workers_.empty()) {
    gate_.store(0, std::memory_order_release);
    epoch_.fetch_add(1, std::memory_order_release);
    epoch_.notify_all();
    work(0);
    int32_t gate = gate_.fetch_or(kClosed, std::memory_order_acq_rel) | kClosed;
    while (gate != kClosed) {
      wait_for_change(gate_, gate);
      gate = gate_.load(std::memory_order_acquire);
    }
  } else {
    work(0);
  }
  if (failed_.load(std::memory_order_relaxed)) {
    std::rethrow_exception(std::exchange(failure_, nullptr));
  }
}

std::shared_ptr<ThreadPool> shared_thread_pool(int threads) {
  static std::mutex mutex;
  static std::weak_ptr<ThreadPool> current;
  const std::lock_guard lock(mutex);
  std::shared_ptr<ThreadPool> pool = current.lock();
  if (pool == nullptr) {
    pool = std::make_shared<ThreadPool>(threads, false);
    current = pool;
  }
  return pool;
}

}  // namespace weir::cpu
