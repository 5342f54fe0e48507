// The threads that share the work of an operator.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace weir::cpu {

// Threads that wait for work: for some microseconds awake, because the operators of a step follow each other
// closely, then asleep. The thread that calls run() works as well.
class ThreadPool {
 public:
  // `threads` counts the caller of run(). With `pin`, thread i stays on the i-th processor that the process
  // may use, callers of run() on the first. WEIR_OUT_OF_MEMORY if the system does not start that many.
  ThreadPool(int threads, bool pin);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  // Calls task(i, thread) for every i in [0, count), in any order and at the same time, `thread` in
  // [0, threads()) being different for calls at the same time. Returns when all are done; if some threw, then
  // with the first exception. Several callers take turns. Not to be called from within a task.
  template <typename Task>
  void run(int64_t count, const Task& task) {
    run_erased(
        count, [](const void* t, int64_t i, int thread) { (*static_cast<const Task*>(t))(i, thread); },
        &task);
  }
  // The same, by the calling thread alone (as thread 0) unless `shared`. Work that takes less than waking the
  // others is not worth sharing.
  template <typename Task>
  void run_if(bool shared, int64_t count, const Task& task) {
    if (shared) {
      run(count, task);
    } else {
      for (int64_t i = 0; i < count; i++) task(i, 0);
    }
  }

 private:
  using Erased = void (*)(const void* task, int64_t i, int thread);

  void run_erased(int64_t count, Erased call, const void* task);
  void work(int thread) noexcept;
  void wait_for_work(int thread);
  void stop() noexcept;
  void pin_thread(int thread) const;

  std::mutex turn_;  // held by the caller whose work is under way
  std::vector<std::thread> workers_;
  std::vector<int> processors_;  // to pin to; empty: not pinned
  std::atomic<bool> stopping_{false};

  // The work under way. Written while the gate is closed.
  Erased call_ = nullptr;
  const void* task_ = nullptr;
  int64_t count_ = 0;
  std::exception_ptr failure_;
  std::atomic<bool> failed_{false};

  alignas(64) std::atomic<int64_t> next_{0};
  // Changes when there is work.
  alignas(64) std::atomic<int32_t> epoch_{0};
  // Threads at work beside the caller, or'ed with kClosed when no more may join.
  alignas(64) std::atomic<int32_t> gate_;
};

// The pool of all devices that do not ask for a number of threads of their own, so that together they use
// each processor once. Lives as long as somebody holds it.
std::shared_ptr<ThreadPool> shared_thread_pool(int threads);

}  // namespace weir::cpu
