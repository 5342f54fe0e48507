// A thread that does jobs one by one while others wait for them.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>

namespace emulator {

// Never joined: a process ends with it waiting. The object must live as long as the process.
class ServiceThread {
 public:
  ServiceThread();

  // Runs `job` on the thread and returns when it is done. One caller at a time.
  void run(const std::function<void()>& job);

 private:
  void serve();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable done_;
  const std::function<void()>* job_ = nullptr;
};

}  // namespace emulator
