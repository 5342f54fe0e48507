#include "backend/cpu/thread_pool.h"

#include <doctest/doctest.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

using weir::cpu::shared_thread_pool;
using weir::cpu::ThreadPool;

TEST_CASE("thread pool: threads that share work do each piece once, for every size") {
  for (const int threads : {1, 2, 3, 8}) {
    ThreadPool pool(threads, false);
    CHECK(pool.threads() == threads);
    for (const int64_t count : {0, 1, 2, 3, 7, 1000}) {
      std::vector<std::atomic<int>> done(count);
      std::atomic<bool> wrong{false};
      pool.run(count, [&](int64_t i, int thread) {
        done[i]++;
        if (thread < 0 || thread >= threads) wrong = true;
      });
      CHECK_FALSE(wrong);
      for (const auto& times : done) CHECK(times == 1);
    }
  }
}

TEST_CASE("thread pool: what a piece wrote is seen after the run, thousands of times over") {
  ThreadPool pool(4, false);
  std::vector<int64_t> values(64);
  for (int round = 0; round < 5000; round++) {
    pool.run(64, [&](int64_t i, int) { values[i] += i; });
  }
  for (int64_t i = 0; i < 64; i++) CHECK(values[i] == 5000 * i);
}

TEST_CASE("thread pool: no two pieces at the same time have the same thread number") {
  ThreadPool pool(4, false);
  std::vector<std::atomic<int>> busy(4);
  std::atomic<bool> twice{false};
  pool.run(2000, [&](int64_t, int thread) {
    if (busy[thread]++ != 0) twice = true;
    for (int i = 0; i < 50; i++) std::atomic_signal_fence(std::memory_order_seq_cst);
    busy[thread]--;
  });
  CHECK_FALSE(twice);
}

TEST_CASE("thread pool: threads that run at the same time take turns") {
  ThreadPool pool(3, false);
  // Every caller works as thread 0, so two that do not wait for each other meet there.
  std::vector<std::atomic<int>> busy(3);
  std::atomic<bool> met{false};
  std::atomic<int64_t> sum{0};
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 3; caller++) {
    callers.emplace_back([&] {
      for (int round = 0; round < 300; round++) {
        pool.run(8, [&](int64_t, int thread) {
          if (busy[thread]++ != 0) met = true;
          sum += 1;
          busy[thread]--;
        });
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  CHECK_FALSE(met);
  CHECK(sum == 3 * 300 * 8);
}

TEST_CASE("thread pool: an exception of a piece comes out of the run, and the pool goes on") {
  ThreadPool pool(3, false);
  for (int round = 0; round < 50; round++) {
    std::atomic<int> done{0};
    CHECK_THROWS_WITH_AS(pool.run(20,
                                  [&](int64_t i, int) {
                                    done++;
                                    if (i % 7 == 3) throw std::runtime_error("piece");
                                  }),
                         "piece", std::runtime_error);
    CHECK(done == 20);
    done = 0;
    pool.run(20, [&](int64_t, int) { done++; });
    CHECK(done == 20);
  }
}

TEST_CASE("thread pool: unshared work stays on the calling thread") {
  ThreadPool pool(4, false);
  const std::thread::id self = std::this_thread::get_id();
  pool.run_if(false, 100, [&](int64_t, int thread) {
    CHECK(thread == 0);
    CHECK(std::this_thread::get_id() == self);
  });
}

TEST_CASE("thread pool: pinned threads each keep to a processor of their own, and callers are left alone") {
  cpu_set_t before;
  REQUIRE(sched_getaffinity(0, sizeof before, &before) == 0);
  const int threads = CPU_COUNT(&before);
  if (threads < 2) {
    MESSAGE("skipped: this process may use one processor");
    return;
  }
  {
    ThreadPool pool(threads, true);
    std::vector<std::vector<int>> allowed(threads);
    std::vector<std::atomic<bool>> seen(threads);
    // Until all threads were seen: a piece waits for the others.
    pool.run(threads, [&](int64_t, int thread) {
      cpu_set_t set;
      if (sched_getaffinity(0, sizeof set, &set) == 0) {
        for (int i = 0; i < CPU_SETSIZE; i++) {
          if (CPU_ISSET(i, &set)) allowed[thread].push_back(i);
        }
      }
      seen[thread] = true;
      const auto all = [&] {
        return std::all_of(seen.begin(), seen.end(), [](const auto& s) { return s.load(); });
      };
      while (!all()) std::this_thread::yield();
    });
    std::set<int> processors;
    for (int thread = 1; thread < threads; thread++) {
      REQUIRE(allowed[thread].size() == 1);
      CHECK(processors.insert(allowed[thread][0]).second);
    }
    CHECK(allowed[0].size() == static_cast<size_t>(threads));
  }
  cpu_set_t after;
  REQUIRE(sched_getaffinity(0, sizeof after, &after) == 0);
  CHECK(CPU_EQUAL(&before, &after));
}

TEST_CASE("thread pool: devices share one while any holds it") {
  auto first = shared_thread_pool(2);
  CHECK(shared_thread_pool(2) == first);
  std::weak_ptr<ThreadPool> gone = first;
  first.reset();
  CHECK(gone.expired());
  CHECK(shared_thread_pool(2) != nullptr);
}
