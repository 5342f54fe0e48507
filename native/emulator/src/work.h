// What streams and graphs hold.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "block_runner.h"
#include "cuda_runtime_api.h"

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

  // What has to be reached before; null if nothing.
  virtual Record* prerequisite() const { return nullptr; }

  // How many kernels run() runs.
  virtual int64_t kernels() const { return 0; }
};

using WorkPointer = std::shared_ptr<const Work>;

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
