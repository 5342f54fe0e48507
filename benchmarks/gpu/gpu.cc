#include "gpu.h"

#include <chrono>
#include <string>

#include "backend/cuda/error.h"

namespace weir::benchmark {

using cuda::check;

DeviceBuffer::DeviceBuffer(int64_t bytes) : bytes_(bytes) {
  check(cudaMalloc(&data_, static_cast<size_t>(bytes)), "allocating memory for the benchmark");
}
DeviceBuffer::~DeviceBuffer() { cudaFree(data_); }

PinnedBuffer::PinnedBuffer(int64_t bytes) {
  check(cudaMallocHost(&data_, static_cast<size_t>(bytes)), "allocating pinned memory for the benchmark");
}
PinnedBuffer::~PinnedBuffer() { cudaFreeHost(data_); }

TimedStream::TimedStream() {
  check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "creating a stream");
  check(cudaEventCreateWithFlags(&begin_, cudaEventDefault), "creating an event");
  check(cudaEventCreateWithFlags(&end_, cudaEventDefault), "creating an event");
}

TimedStream::~TimedStream() {
  cudaStreamSynchronize(stream_);
  cudaEventDestroy(begin_);
  cudaEventDestroy(end_);
  cudaStreamDestroy(stream_);
}

void TimedStream::synchronize() const { check(cudaStreamSynchronize(stream_), "running the benchmark"); }

double TimedStream::seconds(const std::function<void(cudaStream_t)>& work) const {
  check(cudaEventRecord(begin_, stream_), "recording an event");
  work(stream_);
  check(cudaEventRecord(end_, stream_), "recording an event");
  check(cudaEventSynchronize(end_), "running the benchmark");
  float milliseconds = 0;
  check(cudaEventElapsedTime(&milliseconds, begin_, end_), "reading events");
  return milliseconds * 1e-3;
}

std::vector<double> TimedStream::sample(int samples, const std::function<void(cudaStream_t)>& work) const {
  seconds(work);
  std::vector<double> taken;
  for (int i = 0; i < samples; i++) taken.push_back(seconds(work));
  return taken;
}

std::vector<double> TimedStream::sample_recorded(int samples, int launches,
                                                 const std::function<void(cudaStream_t, int)>& call) const {
  // What is set up at the first use must not be recorded.
  call(stream_, 0);
  synchronize();
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t executable = nullptr;
  check(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal), "recording launches");
  for (int i = 0; i < launches; i++) call(stream_, i);
  check(cudaStreamEndCapture(stream_, &graph), "recording launches");
  check(cudaGraphInstantiate(&executable, graph, 0), "recording launches");
  check(cudaGraphDestroy(graph), "recording launches");
  std::vector<double> taken = sample(samples, [&](cudaStream_t stream) {
    check(cudaGraphLaunch(executable, stream), "replaying launches");
  });
  check(cudaGraphExecDestroy(executable), "recording launches");
  for (double& seconds : taken) seconds /= launches;
  return taken;
}

int64_t free_device_memory() {
  size_t free = 0, total = 0;
  check(cudaMemGetInfo(&free, &total), "asking for free memory");
  return static_cast<int64_t>(free);
}

namespace {

int attribute(cudaDeviceAttr which) {
  int device = 0, value = 0;
  check(cudaGetDevice(&device), "asking for the device");
  check(cudaDeviceGetAttribute(&value, which, device), "asking for an attribute of the device");
  return value;
}

}  // namespace

int64_t second_level_cache_bytes() { return attribute(cudaDevAttrL2CacheSize); }
int32_t multiprocessors() { return attribute(cudaDevAttrMultiProcessorCount); }

nlohmann::ordered_json describe_device() {
  int device = 0, driver = 0, runtime = 0;
  check(cudaGetDevice(&device), "asking for the device");
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, device), "asking for the device's properties");
  check(cudaDriverGetVersion(&driver), "asking for the driver's version");
  check(cudaRuntimeGetVersion(&runtime), "asking for the runtime's version");
  const auto version = [](int number) {
    return std::to_string(number / 1000) + "." + std::to_string(number % 1000 / 10);
  };
  return {{"name", properties.name},
          {"compute_capability", std::to_string(properties.major) + "." + std::to_string(properties.minor)},
          {"multiprocessors", properties.multiProcessorCount},
          {"memory_bytes", properties.totalGlobalMem},
          {"l2_bytes", second_level_cache_bytes()},
          {"cuda_of_driver", version(driver)},
          {"cuda_runtime", version(runtime)}};
}

}  // namespace weir::benchmark
