#include "runtime.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "executor.h"

namespace emulator {
namespace {

thread_local cudaError_t last_error = cudaSuccess;

uint64_t number_from_environment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr || *text == 0 ? otherwise : std::strtoull(text, nullptr, 10);
}

}  // namespace

std::optional<Failure> run_with_next(Runtime& runtime, const Work& work, const Work* next,
                                     EarlyBlockPointer& early) {
  EarlyBlockPointer following;
  if (next != nullptr && work.kernels() == 1) following = next->begin_early(runtime);
  std::optional<Failure> failure = early != nullptr ? work.run_rest(runtime, *early) : work.run(runtime);
  early = failure ? nullptr : std::move(following);
  return failure;
}

Settings Settings::from_environment() {
  Settings settings;
  settings.architecture = static_cast<int>(number_from_environment("WEIR_EMULATOR_ARCHITECTURE", 90));
  settings.threads =
      static_cast<int>(std::clamp<uint64_t>(number_from_environment("WEIR_EMULATOR_THREADS", 1), 1, 256));
  settings.seed = number_from_environment("WEIR_EMULATOR_SEED", 1);
  return settings;
}

Runtime& Runtime::instance() {
  // Never destroyed: objects of the program may free device memory as it ends.
  static Runtime& runtime = *new Runtime;
  return runtime;
}

cudaError_t remember(cudaError_t error) {
  if (error != cudaSuccess) last_error = error;
  return error;
}

cudaError_t Runtime::begin(const char* function) {
  if (const auto fault = faults.calls.find(function); fault != faults.calls.end()) {
    Faults::Call& planned = fault->second;
    if (planned.countdown > 1) {
      planned.countdown--;
    } else {
      const cudaError_t error = planned.error;
      if (!planned.sticky) faults.calls.erase(fault);
      return error;
    }
  }
  if (settings.driver_missing) return cudaErrorInsufficientDriver;
  if (settings.device_count == 0) return cudaErrorNoDevice;
  return sticky_error;
}

cudaError_t Runtime::check_no_capture() {
  bool prohibited = false;
  for (const auto& [handle, stream] : streams.all()) {
    Capture* capture = stream->capture.get();
    if (capture == nullptr || capture->mode == cudaStreamCaptureModeRelaxed) continue;
    if (capture->mode == cudaStreamCaptureModeGlobal || capture->thread == std::this_thread::get_id()) {
      capture->invalidated = prohibited = true;
    }
  }
  return prohibited ? cudaErrorStreamCaptureUnsupported : cudaSuccess;
}

cudaError_t Runtime::submit(Stream& stream, WorkPointer work) {
  if (stream.capture != nullptr) {
    if (stream.capture->invalidated) return cudaErrorStreamCaptureInvalidated;
    stream.capture->graph->work.push_back(std::move(work));
    return cudaSuccess;
  }
  stream.queue.push_back(std::move(work));
  stream.submitted++;
  return cudaSuccess;
}

cudaError_t Runtime::wait(Lock& lock, const std::shared_ptr<Stream>& stream, uint64_t ticket) {
  counters.synchronizations++;
  while (stream->finished < ticket) {
    Step step = Step::kRan;
    Executor::instance().run([&] { step = advance(*stream, ticket); });
    if (sticky_error != cudaSuccess) return sticky_error;
    if (step == Step::kHangs) {
      lock.unlock();
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      lock.lock();
    }
  }
  return sticky_error;
}

cudaError_t Runtime::wait_all(Lock& lock, bool blocking_only) {
  std::vector<std::pair<std::shared_ptr<Stream>, uint64_t>> waited;
  for (const auto& [handle, stream] : streams.all()) waited.emplace_back(stream, stream->submitted);
  for (const auto& stream : destroyed_) waited.emplace_back(stream, stream->submitted);
  if (blocking_only)
    std::erase_if(waited, [](const auto& w) { return w.first->flags & cudaStreamNonBlocking; });
  for (const auto& [stream, ticket] : waited) {
    if (const cudaError_t error = wait(lock, stream, ticket); error != cudaSuccess) return error;
  }
  std::erase_if(destroyed_, [](const auto& stream) { return stream->queue.empty(); });
  return cudaSuccess;
}

cudaError_t Runtime::progress(Stream& stream, uint64_t ticket) {
  if (stream.finished < ticket) {
    Executor::instance().run([&] { advance(stream, std::min(ticket, stream.finished + 1)); });
  }
  if (sticky_error != cudaSuccess) return sticky_error;
  return stream.finished < ticket ? cudaErrorNotReady : cudaSuccess;
}

void Runtime::keep_until_finished(std::shared_ptr<Stream> stream) {
  if (!stream->queue.empty()) destroyed_.push_back(std::move(stream));
}

Runtime::Step Runtime::advance(Stream& stream, uint64_t ticket) {
  while (stream.finished < ticket) {
    if (Record* record = stream.queue.front()->prerequisite(); record != nullptr && !record->reached()) {
      if (advance(*record->stream, record->ticket) == Step::kHangs) return Step::kHangs;
      if (sticky_error != cudaSuccess) return Step::kRan;
      // Meanwhile this stream may have gone on as well.
      continue;
    }
    run_another_stream(stream);
    if (run_first(stream) == Step::kHangs) return Step::kHangs;
  }
  return Step::kRan;
}

// Work that nobody waits for yet may run at any time on a GPU; here it does so now and then.
void Runtime::run_another_stream(const Stream& except) {
  if (streams.all().size() < 2 || random_.below(4) != 0) return;
  std::vector<Stream*> others;
  for (const auto& [handle, stream] : streams.all()) {
    if (stream.get() == &except || stream->queue.empty()) continue;
    const Record* record = stream->queue.front()->prerequisite();
    if (record == nullptr || record->reached()) others.push_back(stream.get());
  }
  if (!others.empty()) run_first(*others[random_.below(static_cast<uint32_t>(others.size()))]);
}

Runtime::Step Runtime::run_first(Stream& stream) {
  if (sticky_error != cudaSuccess) return Step::kRan;
  const WorkPointer work = stream.queue.front();
  if (hangs(stream, *work)) return Step::kHangs;
  const Work* next = stream.queue.size() > 1 ? stream.queue[1].get() : nullptr;
  std::optional<Failure> failure = run_with_next(*this, *work, next, stream.early);
  if (failure) {
    fail(std::move(*failure));
    return Step::kRan;
  }
  stream.queue.pop_front();
  stream.finished++;
  return Step::kRan;
}

bool Runtime::hangs(Stream& stream, const Work& work) {
  const auto now = std::chrono::steady_clock::now();
  if (stream.hangs_until) {
    if (now < *stream.hangs_until) return true;
    stream.hangs_until.reset();
    return false;
  }
  if (faults.hang_countdown == 0 || work.kernels() == 0) return false;
  if (faults.hang_countdown > work.kernels()) {
    faults.hang_countdown -= work.kernels();
    return false;
  }
  faults.hang_countdown = 0;
  stream.hangs_until = now + faults.hang;
  return true;
}

cudaError_t Runtime::count_kernel() {
  counters.kernels++;
  if (faults.launch_countdown != 0 && --faults.launch_countdown == 0) return faults.launch_error;
  return cudaSuccess;
}

void Runtime::fail(Failure failure) {
  std::fprintf(stderr, "CUDA emulator: %s\n", failure.message.c_str());
  message = std::move(failure.message);
  sticky_error = failure.error;
  drop_all_work();
}

void Runtime::reset() {
  drop_all_work();
  settings = Settings::from_environment();
  faults = {};
  counters = {};
  message.clear();
  sticky_error = cudaSuccess;
  launch_number = 0;
  set_seed(settings.seed);
}

void Runtime::set_seed(uint64_t seed) {
  settings.seed = seed;
  random_ = Random(seed);
}

void Runtime::drop_all_work() {
  for (const auto& [handle, stream] : streams.all()) {
    stream->queue.clear();
    stream->early.reset();
    stream->finished = stream->submitted;
    stream->hangs_until.reset();
  }
  destroyed_.clear();
}

}  // namespace emulator

using emulator::last_error;

cudaError_t cudaGetLastError() {
  emulator::Runtime& runtime = emulator::Runtime::instance();
  const std::lock_guard lock(runtime.mutex);
  if (runtime.sticky_error != cudaSuccess) return runtime.sticky_error;
  return std::exchange(last_error, cudaSuccess);
}

cudaError_t cudaPeekAtLastError() {
  emulator::Runtime& runtime = emulator::Runtime::instance();
  const std::lock_guard lock(runtime.mutex);
  return runtime.sticky_error != cudaSuccess ? runtime.sticky_error : last_error;
}
