// Stream capture and graphs. A graph is a list: captures of one stream only.
#include <memory>

#include "runtime.h"

namespace emulator {
namespace {

class GraphWork final : public Work {
 public:
  explicit GraphWork(std::shared_ptr<const Executable> executable) : executable_(std::move(executable)) {
    for (const WorkPointer& work : executable_->work) kernels_ += work->kernels();
  }

  std::optional<Failure> run(Runtime& runtime) const override {
    EarlyBlockPointer early;
    const std::vector<WorkPointer>& work = executable_->work;
    for (size_t i = 0; i < work.size(); i++) {
      const Work* next = i + 1 < work.size() ? work[i + 1].get() : nullptr;
      if (std::optional<Failure> failure = run_with_next(runtime, *work[i], next, early)) return failure;
    }
    return {};
  }

  int64_t kernels() const override { return kernels_; }

 private:
  std::shared_ptr<const Executable> executable_;
  int64_t kernels_ = 0;
};

}  // namespace
}  // namespace emulator

using namespace emulator;

cudaError_t cudaStreamBeginCapture(cudaStream_t handle, cudaStreamCaptureMode mode) {
  return call("cudaStreamBeginCapture", [&](Runtime& runtime, Lock&) {
    const std::shared_ptr<Stream> stream = runtime.streams.find(handle);
    if (stream == nullptr) return cudaErrorInvalidResourceHandle;
    if (mode < cudaStreamCaptureModeGlobal || mode > cudaStreamCaptureModeRelaxed)
      return cudaErrorInvalidValue;
    if (stream->capture != nullptr) return cudaErrorIllegalState;
    stream->capture = std::make_unique<Capture>();
    stream->capture->mode = mode;
    stream->capture->thread = std::this_thread::get_id();
    return cudaSuccess;
  });
}

cudaError_t cudaStreamEndCapture(cudaStream_t handle, cudaGraph_t* graph) {
  return call("cudaStreamEndCapture", [&](Runtime& runtime, Lock&) {
    const std::shared_ptr<Stream> stream = runtime.streams.find(handle);
    if (stream == nullptr) return cudaErrorInvalidResourceHandle;
    if (graph == nullptr) return cudaErrorInvalidValue;
    *graph = nullptr;
    if (stream->capture == nullptr) return cudaErrorIllegalState;
    if (stream->capture->mode != cudaStreamCaptureModeRelaxed &&
        stream->capture->thread != std::this_thread::get_id()) {
      return cudaErrorStreamCaptureWrongThread;
    }
    const std::unique_ptr<Capture> capture = std::move(stream->capture);
    if (capture->invalidated) return cudaErrorStreamCaptureInvalidated;
    *graph = runtime.graphs.add(capture->graph);
    return cudaSuccess;
  });
}

cudaError_t cudaStreamIsCapturing(cudaStream_t handle, cudaStreamCaptureStatus* status) {
  return call("cudaStreamIsCapturing", [&](Runtime& runtime, Lock&) {
    const std::shared_ptr<Stream> stream = runtime.streams.find(handle);
    if (stream == nullptr) return cudaErrorInvalidResourceHandle;
    if (status == nullptr) return cudaErrorInvalidValue;
    *status = stream->capture == nullptr     ? cudaStreamCaptureStatusNone
              : stream->capture->invalidated ? cudaStreamCaptureStatusInvalidated
                                             : cudaStreamCaptureStatusActive;
    return cudaSuccess;
  });
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t handle, unsigned long long flags) {
  return call("cudaGraphInstantiate", [&](Runtime& runtime, Lock&) {
    const std::shared_ptr<Graph> graph = runtime.graphs.find(handle);
    if (graph == nullptr || executable == nullptr || flags != 0) return cudaErrorInvalidValue;
    *executable = runtime.executables.add(std::make_shared<Executable>(Executable{graph->work}));
    return cudaSuccess;
  });
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t handle, cudaStream_t stream_handle) {
  return call("cudaGraphLaunch", [&](Runtime& runtime, Lock&) {
    const std::shared_ptr<Executable> executable = runtime.executables.find(handle);
    const std::shared_ptr<Stream> stream = runtime.streams.find(stream_handle);
    if (executable == nullptr) return cudaErrorInvalidValue;
    if (stream == nullptr) return cudaErrorInvalidResourceHandle;
    runtime.counters.graph_launches++;
    return runtime.submit(*stream, std::make_shared<GraphWork>(executable));
  });
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t handle) {
  return release("cudaGraphExecDestroy", [&](Runtime& runtime, Lock&) {
    return runtime.executables.remove(handle) == nullptr ? cudaErrorInvalidValue : cudaSuccess;
  });
}

cudaError_t cudaGraphDestroy(cudaGraph_t handle) {
  return release("cudaGraphDestroy", [&](Runtime& runtime, Lock&) {
    return runtime.graphs.remove(handle) == nullptr ? cudaErrorInvalidValue : cudaSuccess;
  });
}
