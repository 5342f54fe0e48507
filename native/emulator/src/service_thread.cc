#include "service_thread.h"

#include <thread>

namespace emulator {

ServiceThread::ServiceThread() {
  std::thread([this] { serve(); }).detach();
}

void ServiceThread::run(const std::function<void()>& job) {
  std::unique_lock lock(mutex_);
  job_ = &job;
  wake_.notify_one();
  done_.wait(lock, [this] { return job_ == nullptr; });
}

void ServiceThread::serve() {
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

}  // namespace emulator
