// What streams and graphs hold.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "cuda_runtime_api.h"
#include "executor.h"

namespace emulator {

class Runtime;
struct Stream;

// A point in a stream: it is reached when that many pieces of the stream's work are finished.
struct Record {
  std::shared_ptr<Stream> stream;
  uint64_t ticket = 0;
  std::chrono::steady_clock::time_point time;

  bool reached() const;
};

// One piece of work. It stays as it is while it waits and while it runs: a graph runs it many times.
class Work {
 public:
  virtual ~Work() = default;

  // Runs it on the executor's thread.
  virtual std::optional<Failure> run(Runtime& runtime) const = 0;

  // Begins a block before the work ahead has run, if this is a kernel that may, and now and then; else null.
  // Then run_rest() takes the place of run().
  virtual EarlyBlockPointer begin_early(Runtime&) const { return nullptr; }
  virtual std::optional<Failure> run_rest(Runtime& runtime, EarlyBlock&) const { return run(runtime); }

  // What has to be reached before; null if nothing.
  virtual Record* prerequisite() const { return nullptr; }

  // How many kernels run() runs.
  virtual int64_t kernels() const { return 0; }
};

using WorkPointer = std::shared_ptr<const Work>;

// Runs `work`, with `next` (or null) behind it. `early` is the block of `work` that has begun, then that of
// `next`.
std::optional<Failure> run_with_next(Runtime& runtime, const Work& work, const Work* next,
                                     EarlyBlockPointer& early);

struct Graph {
  std::vector<WorkPointer> work;
};

struct Capture {
  cudaStreamCaptureMode mode;
  std::thread::id thread;
  bool invalidated = false;
  std::shared_ptr<Graph> graph = std::make_shared<Graph>();
};

struct Stream {
  unsigned int flags = cudaStreamDefault;
  std::deque<WorkPointer> queue;
  // A block of the first piece of work that has begun.
  EarlyBlockPointer early;
  uint64_t submitted = 0;
  uint64_t finished = 0;
  std::unique_ptr<Capture> capture;
  // Set while the first piece of work hangs; see weir_emulator_hang_launch.
  std::optional<std::chrono::steady_clock::time_point> hangs_until;
};

struct Event {
  unsigned int flags = cudaEventDefault;
  // Null as long as it was not recorded.
  std::shared_ptr<Record> record;
  // The graph that the event was recorded into, if that was the last place.
  std::weak_ptr<Graph> captured;
  bool in_capture = false;
};

struct Executable {
  std::vector<WorkPointer> work;
};

inline bool Record::reached() const { return stream->finished >= ticket; }

}  // namespace emulator
