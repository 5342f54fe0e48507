// Streams and events.
#include <memory>

#include "runtime.h"

namespace emulator {
namespace {

class RecordWork final : public Work {
 public:
  explicit RecordWork(std::shared_ptr<Record> record) : record_(std::move(record)) {}
  std::optional<Failure> run(Runtime&) const override {
    record_->time = std::chrono::steady_clock::now();
    return {};
  }

 private:
  std::shared_ptr<Record> record_;
};

class WaitWork final : public Work {
 public:
  explicit WaitWork(std::shared_ptr<Record> record) : record_(std::move(record)) {}
  std::optional<Failure> run(Runtime&) const override { return {}; }
  Record* prerequisite() const override { return record_.get(); }

 private:
  std::shared_ptr<Record> record_;
};

// Fails, and ends the capture, if the stream is being captured.
cudaError_t check_not_captured(Stream& stream) {
  if (stream.capture == nullptr) return cudaSuccess;
  stream.capture->invalidated = true;
  return cudaErrorStreamCaptureUnsupported;
}

}  // namespace
}  // namespace emulator

using namespace emulator;

cudaError_t cudaStreamCreate(cudaStream_t* stream) {
  return cudaStreamCreateWithFlags(stream, cudaStreamDefault);
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned int flags) {
  return call("cudaStreamCreateWithFlags", [&](Runtime& runtime, Lock&) {
    if (stream == nullptr || flags > cudaStreamNonBlocking) return cudaErrorInvalidValue;
    auto created = std::make_shared<Stream>();
    created->flags = flags;
    *stream = runtime.streams.add(std::move(created));
    return cudaSuccess;
  });
}

cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned int flags, int) {
  return cudaStreamCreateWithFlags(stream, flags);
}

cudaError_t cudaStreamDestroy(cudaStream_t handle) {
  return release("cudaStreamDestroy", [&](Runtime& runtime, Lock&) {
    std::shared_ptr<Stream> stream = runtime.streams.remove(handle);
    if (stream == nullptr) return cudaErrorInvalidResourceHandle;
    stream->capture.reset();
    runtime.keep_until_finished(std::move(stream));
    return cudaSuccess;
  });
}

cudaError_t cudaStreamSynchronize(cudaStream_t handle) {
  return call("cudaStreamSynchronize", [&](Runtime& runtime, Lock& lock) {
    const std::shared_ptr<Stream> stream = runtime.streams.find(handle);
    if (stream == nullptr) return cudaErrorInvalidResourceHandle;
    if (const cudaError_t error = check_not_captured(*stream); error != cudaSuccess) return error;
    return runtime.wait(lock, stream, stream->submitted);
  });
}

cudaError_t cudaStreamQuery(cudaStream_t handle) {
  return call("cudaStreamQuery", [&](Runtime& runtime, Lock&) {
    const std::shared_ptr<Stream> stream = runtime.streams.find(handle);
    if (stream == nullptr) return cudaErrorInvalidResourceHandle;
    if (const cudaError_t error = check_not_captured(*stream); error != cudaSuccess) return error;
    return runtime.progress(*stream, stream->submitted);
  });
}

cudaError_t cudaStreamWaitEvent(cudaStream_t handle, cudaEvent_t event_handle, unsigned int flags) {
  return call("cudaStreamWaitEvent", [&](Runtime& runtime, Lock&) {
    const std::shared_ptr<Stream> stream = runtime.streams.find(handle);
    const std::shared_ptr<Event> event = runtime.events.find(event_handle);
    if (stream == nullptr || event == nullptr) return cudaErrorInvalidResourceHandle;
    if (flags != cudaEventWaitDefault) return cudaErrorInvalidValue;
    if (event->in_capture) {
      // Within one stream's graph the order is there already; forks into other streams are not emulated.
      if (stream->capture != nullptr && stream->capture->graph == event->captured.lock()) return cudaSuccess;
      return cudaErrorStreamCaptureUnsupported;
    }
    if (event->record == nullptr) return cudaSuccess;
    if (stream->capture != nullptr) {
      stream->capture->invalidated = true;
      return cudaErrorStreamCaptureIsolation;
    }
    return runtime.submit(*stream, std::make_shared<WaitWork>(event->record));
  });
}

cudaError_t cudaDeviceSynchronize() {
  return call("cudaDeviceSynchronize", [&](Runtime& runtime, Lock& lock) {
    if (const cudaError_t error = runtime.check_no_capture(); error != cudaSuccess) return error;
    return runtime.wait_all(lock, false);
  });
}

cudaError_t cudaEventCreate(cudaEvent_t* event) { return cudaEventCreateWithFlags(event, cudaEventDefault); }

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned int flags) {
  return call("cudaEventCreateWithFlags", [&](Runtime& runtime, Lock&) {
    if (event == nullptr || (flags & ~(cudaEventBlockingSync | cudaEventDisableTiming)) != 0) {
      return cudaErrorInvalidValue;
    }
    auto created = std::make_shared<Event>();
    created->flags = flags;
    *event = runtime.events.add(std::move(created));
    return cudaSuccess;
  });
}

cudaError_t cudaEventDestroy(cudaEvent_t handle) {
  return release("cudaEventDestroy", [&](Runtime& runtime, Lock&) {
    return runtime.events.remove(handle) == nullptr ? cudaErrorInvalidResourceHandle : cudaSuccess;
  });
}

cudaError_t cudaEventRecord(cudaEvent_t handle, cudaStream_t stream_handle) {
  return call("cudaEventRecord", [&](Runtime& runtime, Lock&) {
    const std::shared_ptr<Event> event = runtime.events.find(handle);
    const std::shared_ptr<Stream> stream = runtime.streams.find(stream_handle);
    if (event == nullptr || stream == nullptr) return cudaErrorInvalidResourceHandle;
    event->in_capture = stream->capture != nullptr;
    if (event->in_capture) {
      if (stream->capture->invalidated) return cudaErrorStreamCaptureInvalidated;
      event->captured = stream->capture->graph;
      return cudaSuccess;
    }
    auto record = std::make_shared<Record>();
    record->stream = stream;
    record->ticket = stream->submitted + 1;
    event->record = record;
    return runtime.submit(*stream, std::make_shared<RecordWork>(std::move(record)));
  });
}

cudaError_t cudaEventSynchronize(cudaEvent_t handle) {
  return call("cudaEventSynchronize", [&](Runtime& runtime, Lock& lock) {
    const std::shared_ptr<Event> event = runtime.events.find(handle);
    if (event == nullptr) return cudaErrorInvalidResourceHandle;
    if (event->in_capture) return cudaErrorCapturedEvent;
    if (event->record == nullptr) return cudaSuccess;
    const std::shared_ptr<Record> record = event->record;
    return runtime.wait(lock, record->stream, record->ticket);
  });
}

cudaError_t cudaEventQuery(cudaEvent_t handle) {
  return call("cudaEventQuery", [&](Runtime& runtime, Lock&) {
    const std::shared_ptr<Event> event = runtime.events.find(handle);
    if (event == nullptr) return cudaErrorInvalidResourceHandle;
    if (event->in_capture) return cudaErrorCapturedEvent;
    if (const cudaError_t error = runtime.check_no_capture(); error != cudaSuccess) return error;
    if (event->record == nullptr) return cudaSuccess;
    return runtime.progress(*event->record->stream, event->record->ticket);
  });
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start_handle, cudaEvent_t end_handle) {
  return call("cudaEventElapsedTime", [&](Runtime& runtime, Lock&) {
    const std::shared_ptr<Event> start = runtime.events.find(start_handle);
    const std::shared_ptr<Event> end = runtime.events.find(end_handle);
    if (start == nullptr || end == nullptr) return cudaErrorInvalidResourceHandle;
    if (milliseconds == nullptr) return cudaErrorInvalidValue;
    if ((start->flags | end->flags) & cudaEventDisableTiming) return cudaErrorInvalidResourceHandle;
    if (start->record == nullptr || end->record == nullptr) return cudaErrorInvalidResourceHandle;
    if (!start->record->reached() || !end->record->reached()) return cudaErrorNotReady;
    *milliseconds = std::chrono::duration<float, std::milli>(end->record->time - start->record->time).count();
    return cudaSuccess;
  });
}
