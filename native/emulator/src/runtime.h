// The state of the emulated device and of the CUDA runtime, under one lock.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "cuda_runtime_api.h"
#include "emulator/control.h"
#include "random.h"
#include "work.h"

namespace emulator {

struct Settings {
  int device_count = 1;
  bool driver_missing = false;
  uint64_t memory_bytes = uint64_t{8} << 30;
  int architecture = 90;
  int multiprocessors = 4;
  int threads = 1;
  uint64_t seed = 1;

  // The defaults, and what the environment says.
  static Settings from_environment();
};

// Faults that are to come; see emulator/control.h.
struct Faults {
  struct Call {
    int64_t countdown;
    cudaError_t error;
    bool sticky;
  };
  std::map<std::string, Call> calls;
  int64_t launch_countdown = 0;
  cudaError_t launch_error = cudaSuccess;
  int64_t hang_countdown = 0;
  std::chrono::milliseconds hang{0};
};

// Objects behind opaque handles. A handle that is not in the table is an error, not an access to freed
// memory.
template <class Handle, class Object>
class HandleTable {
 public:
  Handle add(std::shared_ptr<Object> object) {
    const auto handle = reinterpret_cast<Handle>(object.get());
    objects_.emplace(handle, std::move(object));
    return handle;
  }
  std::shared_ptr<Object> find(Handle handle) const {
    const auto found = objects_.find(handle);
    return found == objects_.end() ? nullptr : found->second;
  }
  std::shared_ptr<Object> remove(Handle handle) {
    const auto found = objects_.find(handle);
    if (found == objects_.end()) return nullptr;
    std::shared_ptr<Object> object = std::move(found->second);
    objects_.erase(found);
    return object;
  }
  const std::map<Handle, std::shared_ptr<Object>>& all() const { return objects_; }

 private:
  std::map<Handle, std::shared_ptr<Object>> objects_;
};

// Live allocations by address.
class Allocations {
 public:
  // Null if the system has no memory.
  void* allocate(size_t bytes, size_t alignment);
  // False if no allocation begins there.
  bool free(void* pointer);
  // Whether all `bytes` from `pointer` on are in one allocation.
  bool contains(const void* pointer, size_t bytes) const;
  bool overlaps(const void* pointer, size_t bytes) const;
  uint64_t bytes() const { return bytes_; }
  size_t count() const { return sizes_.size(); }

 private:
  std::map<uintptr_t, size_t> sizes_;
  uint64_t bytes_ = 0;
};

using Lock = std::unique_lock<std::mutex>;

class Runtime {
 public:
  static Runtime& instance();

  std::mutex mutex;
  Settings settings = Settings::from_environment();
  Faults faults;
  weir_emulator_counters counters{};
  std::string message;
  cudaError_t sticky_error = cudaSuccess;
  Allocations device_memory;
  Allocations pinned_memory;
  HandleTable<cudaStream_t, Stream> streams;
  HandleTable<cudaEvent_t, Event> events;
  HandleTable<cudaGraph_t, Graph> graphs;
  HandleTable<cudaGraphExec_t, Executable> executables;
  std::unordered_map<const void*, int> dynamic_shared_limits;
  uint64_t launch_number = 0;

  // Whether the function may do its work: the injected fault, a missing device, or the sticky error.
  cudaError_t begin(const char* function);

  // Fails, and invalidates what the thread captures, if the thread captures a stream.
  cudaError_t check_no_capture();

  // Puts work at the end of the stream, or into the graph that it captures.
  cudaError_t submit(Stream& stream, WorkPointer work);

  // Runs work until the stream has finished `ticket` pieces. Releases the lock while the device hangs.
  cudaError_t wait(Lock& lock, const std::shared_ptr<Stream>& stream, uint64_t ticket);
  // Waits for everything that was submitted to streams; if `blocking_only`, to those that the default stream
  // waits for.
  cudaError_t wait_all(Lock& lock, bool blocking_only);
  // Runs some work, for a query: whoever asks again and again sees the stream finish.
  cudaError_t progress(Stream& stream, uint64_t ticket);

  // Where a destroyed stream's work goes on.
  void keep_until_finished(std::shared_ptr<Stream> stream);

  // What a failed kernel does: every call returns this error from now on, and nothing runs any more.
  void fail(Failure failure);

  // See weir_emulator_reset() and weir_emulator_set_seed().
  void reset();
  void set_seed(uint64_t seed);

  // Counts the kernel that is about to run; an error if it is to fail.
  cudaError_t count_kernel();

  int max_dynamic_shared_bytes() const { return settings.architecture >= 90 ? 232448 : 166912; }

 private:
  enum class Step { kRan, kHangs };

  void drop_all_work();

  Step run_first(Stream& stream);
  Step advance(Stream& stream, uint64_t ticket);
  void run_another_stream(const Stream& except);
  bool hangs(Stream& stream, const Work& work);

  Random random_{settings.seed};
  std::vector<std::shared_ptr<Stream>> destroyed_;
};

// The thread's last error, for cudaGetLastError.
cudaError_t remember(cudaError_t error);

// The frame of every function of the runtime: takes the lock, checks, and remembers the error.
template <class Body>
cudaError_t call(const char* function, Body body) {
  Runtime& runtime = Runtime::instance();
  Lock lock(runtime.mutex);
  cudaError_t error = runtime.begin(function);
  if (error == cudaSuccess) error = body(runtime, lock);
  return remember(error);
}

// As call(), for functions that destroy: they do so even after a sticky error, which they return, so that a
// test can look for leaks.
template <class Body>
cudaError_t release(const char* function, Body body) {
  Runtime& runtime = Runtime::instance();
  Lock lock(runtime.mutex);
  const cudaError_t error = runtime.begin(function);
  if (error != cudaSuccess && error != runtime.sticky_error) return remember(error);
  const cudaError_t released = body(runtime, lock);
  return remember(error != cudaSuccess ? error : released);
}

}  // namespace emulator
