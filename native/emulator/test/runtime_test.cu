// Memory, streams, events, graphs and faults.
#include <chrono>
#include <cmath>
#include <cstring>
#include <functional>

#include "support.h"

using namespace emulator;

namespace {

__global__ void add_one(int* value) { *value += 1; }

__global__ void store(int* out, int value) { *out = value; }

class PinnedInt {
 public:
  explicit PinnedInt(int value) {
    REQUIRE_CUDA(cudaMallocHost(&data_, sizeof(int)));
    *data_ = value;
  }
  ~PinnedInt() { cudaFreeHost(data_); }
  PinnedInt(const PinnedInt&) = delete;
  PinnedInt& operator=(const PinnedInt&) = delete;
  int* data() const { return data_; }
  int& operator*() const { return *data_; }

 private:
  int* data_ = nullptr;
};

TEST_CASE("runtime: device memory has a size, is checked, and begins as NaNs") {
  TestStream stream;
  weir_emulator_set_device_memory(1000);
  void* first = nullptr;
  void* second = nullptr;
  REQUIRE_CUDA(cudaMalloc(&first, 600));
  CHECK(reinterpret_cast<uintptr_t>(first) % 256 == 0);
  CHECK(cudaMalloc(&second, 401) == cudaErrorMemoryAllocation);
  CHECK(second == nullptr);
  CHECK(cudaGetLastError() == cudaErrorMemoryAllocation);
  CHECK(cudaGetLastError() == cudaSuccess);
  size_t free = 0, total = 0;
  REQUIRE_CUDA(cudaMemGetInfo(&free, &total));
  CHECK(free == 400);
  CHECK(total == 1000);
  float value = 0;
  REQUIRE_CUDA(cudaMemcpy(&value, first, 4, cudaMemcpyDeviceToHost));
  CHECK(std::isnan(value));
  // Ranges beyond the allocation, and the wrong direction.
  std::vector<char> host(700);
  CHECK(cudaMemcpy(first, host.data(), 601, cudaMemcpyHostToDevice) == cudaErrorInvalidValue);
  CHECK(cudaMemcpy(static_cast<char*>(first) + 1, host.data(), 600, cudaMemcpyHostToDevice) ==
        cudaErrorInvalidValue);
  CHECK(cudaMemcpy(first, host.data(), 600, cudaMemcpyDeviceToHost) == cudaErrorInvalidValue);
  CHECK(cudaMemcpy(first, host.data(), 600, cudaMemcpyDefault) == cudaSuccess);
  CHECK(cudaMemsetAsync(first, 0, 601, stream) == cudaErrorInvalidValue);
  CHECK(cudaFree(host.data()) == cudaErrorInvalidValue);
  CHECK(cudaFree(static_cast<char*>(first) + 1) == cudaErrorInvalidValue);
  CHECK(counters().live_allocations == 1);
  CHECK(cudaFree(first) == cudaSuccess);
  CHECK(cudaFree(first) == cudaErrorInvalidValue);
  CHECK(cudaFree(nullptr) == cudaSuccess);
  CHECK(counters().live_allocations == 0);
  CHECK(counters().live_bytes == 0);
  CHECK(counters().host_to_device == 600);
  CHECK(counters().device_to_host == 4);
}

TEST_CASE("runtime: a stream runs nothing before somebody waits for it") {
  TestStream stream;
  const DeviceVector<int> value(std::vector<int>{1});
  REQUIRE_CUDA(launch_kernel(add_one, {1, 1}, stream, value.data()));
  // cudaMemcpy does not wait for a stream that does not block.
  CHECK(value.values()[0] == 1);
  REQUIRE_CUDA(stream.synchronize());
  CHECK(value.values()[0] == 2);
  cudaStream_t blocking = nullptr;
  REQUIRE_CUDA(cudaStreamCreateWithFlags(&blocking, cudaStreamDefault));
  REQUIRE_CUDA(launch_kernel(add_one, {1, 1}, blocking, value.data()));
  CHECK(value.values()[0] == 3);
  REQUIRE_CUDA(launch_kernel(add_one, {1, 1}, blocking, value.data()));
  REQUIRE_CUDA(cudaStreamDestroy(blocking));
  CHECK(cudaStreamSynchronize(blocking) == cudaErrorInvalidResourceHandle);
  // Its work is not lost.
  REQUIRE_CUDA(cudaDeviceSynchronize());
  CHECK(value.values()[0] == 4);
}

TEST_CASE("runtime: pinned memory is read when the copy runs, other host memory at once") {
  TestStream stream;
  const DeviceVector<int> value(1);
  PinnedInt pinned(10);
  REQUIRE_CUDA(cudaMemcpyAsync(value.data(), pinned.data(), sizeof(int), cudaMemcpyHostToDevice, stream));
  *pinned = 11;
  REQUIRE_CUDA(stream.synchronize());
  CHECK(value.values()[0] == 11);
  int pageable = 20;
  REQUIRE_CUDA(cudaMemcpyAsync(value.data(), &pageable, sizeof(int), cudaMemcpyHostToDevice, stream));
  pageable = 21;
  REQUIRE_CUDA(stream.synchronize());
  CHECK(value.values()[0] == 20);
  REQUIRE_CUDA(cudaMemcpyAsync(pinned.data(), value.data(), sizeof(int), cudaMemcpyDeviceToHost, stream));
  CHECK(*pinned == 11);
  REQUIRE_CUDA(stream.synchronize());
  CHECK(*pinned == 20);
  REQUIRE_CUDA(launch_kernel(store, {1, 1}, stream, value.data(), 30));
  REQUIRE_CUDA(cudaMemcpyAsync(&pageable, value.data(), sizeof(int), cudaMemcpyDeviceToHost, stream));
  CHECK(pageable == 30);
}

TEST_CASE("runtime: kernel arguments are taken at the launch") {
  TestStream stream;
  const DeviceVector<int> value(1);
  int argument = 5;
  REQUIRE_CUDA(launch_kernel(store, {1, 1}, stream, value.data(), argument));
  argument = 6;
  REQUIRE_CUDA(stream.synchronize());
  CHECK(value.values()[0] == 5);
}

TEST_CASE("runtime: events order streams, and without them streams have no order") {
  int without_wait[2] = {0, 0};
  for (uint64_t seed = 0; seed < 40; seed++) {
    TestStream first, second;
    weir_emulator_set_seed(seed);
    cudaEvent_t event = nullptr;
    REQUIRE_CUDA(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
    const DeviceVector<int> source(std::vector<int>{0}), target(std::vector<int>{0});
    for (const bool wait : {true, false}) {
      REQUIRE_CUDA(launch_kernel(store, {1, 1}, first, source.data(), 0));
      REQUIRE_CUDA(first.synchronize());
      REQUIRE_CUDA(launch_kernel(store, {1, 1}, first, source.data(), 7));
      REQUIRE_CUDA(cudaEventRecord(event, first));
      // What is recorded later does not count.
      REQUIRE_CUDA(launch_kernel(store, {1, 1}, first, target.data(), 100));
      if (wait) REQUIRE_CUDA(cudaStreamWaitEvent(second, event));
      REQUIRE_CUDA(
          cudaMemcpyAsync(target.data(), source.data(), sizeof(int), cudaMemcpyDeviceToDevice, second));
      REQUIRE_CUDA(second.synchronize());
      const int seen = target.values()[0];
      if (wait) {
        CHECK((seen == 7 || seen == 100));
      } else {
        without_wait[seen == 0 ? 0 : 1]++;
      }
      REQUIRE_CUDA(first.synchronize());
    }
    REQUIRE_CUDA(cudaEventDestroy(event));
  }
  CHECK(without_wait[0] > 0);
  CHECK(without_wait[1] > 0);
}

TEST_CASE("runtime: who asks again and again sees the stream finish") {
  TestStream stream;
  const DeviceVector<int> value(std::vector<int>{0});
  cudaEvent_t start = nullptr, end = nullptr;
  REQUIRE_CUDA(cudaEventCreate(&start));
  REQUIRE_CUDA(cudaEventCreate(&end));
  CHECK(cudaEventQuery(start) == cudaSuccess);
  REQUIRE_CUDA(cudaEventRecord(start, stream));
  for (int i = 0; i < 3; i++) REQUIRE_CUDA(launch_kernel(add_one, {1, 1}, stream, value.data()));
  REQUIRE_CUDA(cudaEventRecord(end, stream));
  float milliseconds = -1;
  CHECK(cudaEventElapsedTime(&milliseconds, start, end) == cudaErrorNotReady);
  int asked = 0;
  while (cudaEventQuery(end) == cudaErrorNotReady) asked++;
  CHECK(asked >= 3);
  CHECK(value.values()[0] == 3);
  REQUIRE_CUDA(cudaEventElapsedTime(&milliseconds, start, end));
  CHECK(milliseconds >= 0);
  REQUIRE_CUDA(launch_kernel(add_one, {1, 1}, stream, value.data()));
  CHECK(cudaStreamQuery(stream) == cudaSuccess);
  REQUIRE_CUDA(cudaEventDestroy(start));
  REQUIRE_CUDA(cudaEventDestroy(end));
  CHECK(cudaEventSynchronize(end) == cudaErrorInvalidResourceHandle);
}

TEST_CASE("runtime: a graph runs again with what memory holds then") {
  TestStream stream;
  const DeviceVector<int> value(std::vector<int>{0});
  PinnedInt in(100), out(0);
  REQUIRE_CUDA(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  REQUIRE_CUDA(cudaMemcpyAsync(value.data(), in.data(), sizeof(int), cudaMemcpyHostToDevice, stream));
  REQUIRE_CUDA(launch_kernel(add_one, {1, 1}, stream, value.data()));
  REQUIRE_CUDA(launch_kernel(add_one, {1, 1}, stream, value.data()));
  REQUIRE_CUDA(cudaMemcpyAsync(out.data(), value.data(), sizeof(int), cudaMemcpyDeviceToHost, stream));
  cudaGraph_t graph = nullptr;
  REQUIRE_CUDA(cudaStreamEndCapture(stream, &graph));
  cudaGraphExec_t executable = nullptr;
  REQUIRE_CUDA(cudaGraphInstantiate(&executable, graph, 0));
  REQUIRE_CUDA(cudaGraphDestroy(graph));
  REQUIRE_CUDA(stream.synchronize());
  // Capturing ran nothing.
  CHECK(value.values()[0] == 0);
  for (int i = 0; i < 3; i++) {
    *in = 10 * i;
    REQUIRE_CUDA(cudaGraphLaunch(executable, stream));
    CHECK(*out == (i == 0 ? 0 : 10 * (i - 1) + 2));
    REQUIRE_CUDA(stream.synchronize());
    CHECK(*out == 10 * i + 2);
  }
  REQUIRE_CUDA(cudaGraphLaunch(executable, stream));
  REQUIRE_CUDA(cudaGraphExecDestroy(executable));
  REQUIRE_CUDA(stream.synchronize());
  CHECK(counters().graph_launches == 4);
  CHECK(counters().kernels == 8);
  CHECK(counters().launches == 2);
  CHECK(counters().live_graphs == 0);
}

TEST_CASE("runtime: what must not be called while a stream is captured") {
  TestStream stream, other;
  const DeviceVector<int> value(std::vector<int>{0});
  cudaEvent_t event = nullptr;
  REQUIRE_CUDA(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
  REQUIRE_CUDA(cudaEventRecord(event, other));
  const std::pair<cudaError_t, std::function<cudaError_t()>> calls[] = {
      {cudaErrorStreamCaptureUnsupported,
       [] {
         void* memory = nullptr;
         return cudaMalloc(&memory, 16);
       }},
      {cudaErrorStreamCaptureUnsupported, [] { return cudaFree(nullptr); }},
      {cudaErrorStreamCaptureUnsupported, [] { return cudaDeviceSynchronize(); }},
      {cudaErrorStreamCaptureUnsupported, [&] { return cudaStreamSynchronize(stream); }},
      {cudaErrorStreamCaptureUnsupported, [&] { return cudaStreamQuery(stream); }},
      {cudaErrorStreamCaptureUnsupported, [&] { return cudaMemset(value.data(), 0, 4); }},
      {cudaErrorStreamCaptureIsolation, [&] { return cudaStreamWaitEvent(stream, event); }},
  };
  for (const auto& [error, function] : calls) {
    REQUIRE_CUDA(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
    CHECK(function() == error);
    cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
    REQUIRE_CUDA(cudaStreamIsCapturing(stream, &status));
    CHECK(status == cudaStreamCaptureStatusInvalidated);
    CHECK(launch_kernel(add_one, {1, 1}, stream, value.data()) == cudaErrorStreamCaptureInvalidated);
    cudaGraph_t graph = nullptr;
    CHECK(cudaStreamEndCapture(stream, &graph) == cudaErrorStreamCaptureInvalidated);
    CHECK(graph == nullptr);
  }
  // Relaxed captures allow calls that have nothing to do with the stream.
  REQUIRE_CUDA(cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed));
  void* memory = nullptr;
  CHECK(cudaMalloc(&memory, 16) == cudaSuccess);
  CHECK(cudaFree(memory) == cudaSuccess);
  cudaGraph_t graph = nullptr;
  REQUIRE_CUDA(cudaEventRecord(event, stream));
  CHECK(cudaStreamWaitEvent(other, event) == cudaErrorStreamCaptureUnsupported);
  CHECK(cudaEventQuery(event) == cudaErrorCapturedEvent);
  CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed) == cudaErrorIllegalState);
  REQUIRE_CUDA(cudaStreamEndCapture(stream, &graph));
  REQUIRE_CUDA(cudaGraphDestroy(graph));
  CHECK(cudaGraphDestroy(graph) == cudaErrorInvalidValue);
  CHECK(cudaStreamEndCapture(stream, &graph) == cudaErrorIllegalState);
  REQUIRE_CUDA(cudaEventDestroy(event));
}

TEST_CASE("runtime: injected faults of calls") {
  TestStream stream;
  void* memory = nullptr;
  weir_emulator_fail_call("cudaMalloc", 2, cudaErrorMemoryAllocation, 0);
  REQUIRE_CUDA(cudaMalloc(&memory, 16));
  REQUIRE_CUDA(cudaFree(memory));
  CHECK(cudaMalloc(&memory, 16) == cudaErrorMemoryAllocation);
  REQUIRE_CUDA(cudaMalloc(&memory, 16));
  REQUIRE_CUDA(cudaFree(memory));
  weir_emulator_fail_call("cudaMalloc", 1, cudaErrorMemoryAllocation, 1);
  CHECK(cudaMalloc(&memory, 16) == cudaErrorMemoryAllocation);
  CHECK(cudaMalloc(&memory, 16) == cudaErrorMemoryAllocation);
  weir_emulator_fail_call("cudaMalloc", 0, 0, 0);
  REQUIRE_CUDA(cudaMalloc(&memory, 16));
  REQUIRE_CUDA(cudaFree(memory));
}

TEST_CASE("runtime: a kernel that fails leaves an error that stays") {
  TestStream stream;
  const DeviceVector<int> value(std::vector<int>{0});
  weir_emulator_fail_launch(2, cudaErrorIllegalAddress);
  for (int i = 0; i < 3; i++) REQUIRE_CUDA(launch_kernel(add_one, {1, 1}, stream, value.data()));
  CHECK(stream.synchronize() == cudaErrorIllegalAddress);
  CHECK(launch_kernel(add_one, {1, 1}, stream, value.data()) == cudaErrorIllegalAddress);
  size_t free, total;
  CHECK(cudaMemGetInfo(&free, &total) == cudaErrorIllegalAddress);
  CHECK(cudaGetLastError() == cudaErrorIllegalAddress);
  CHECK(cudaGetLastError() == cudaErrorIllegalAddress);
  CHECK(last_message().find("add_one") != std::string::npos);
  weir_emulator_reset();
  CHECK(cudaGetLastError() == cudaErrorIllegalAddress);
  CHECK(cudaGetLastError() == cudaSuccess);
  CHECK(value.values()[0] == 1);
}

TEST_CASE("runtime: memory is freed even after an error that stays") {
  TestStream stream;
  void* memory = nullptr;
  REQUIRE_CUDA(cudaMalloc(&memory, 16));
  weir_emulator_fail_launch(1, cudaErrorIllegalAddress);
  REQUIRE_CUDA(launch_kernel(add_one, {1, 1}, stream, static_cast<int*>(memory)));
  CHECK(stream.synchronize() == cudaErrorIllegalAddress);
  CHECK(cudaFree(memory) == cudaErrorIllegalAddress);
  CHECK(counters().live_allocations == 0);
}

TEST_CASE("runtime: a kernel that hangs for a while") {
  TestStream stream;
  const DeviceVector<int> value(std::vector<int>{0});
  weir_emulator_hang_launch(2, 50);
  for (int i = 0; i < 2; i++) REQUIRE_CUDA(launch_kernel(add_one, {1, 1}, stream, value.data()));
  const auto start = std::chrono::steady_clock::now();
  CHECK(cudaStreamQuery(stream) == cudaErrorNotReady);
  CHECK(cudaStreamQuery(stream) == cudaErrorNotReady);
  CHECK(value.values()[0] == 1);
  REQUIRE_CUDA(stream.synchronize());
  CHECK(std::chrono::steady_clock::now() - start >= std::chrono::milliseconds(50));
  CHECK(value.values()[0] == 2);
}

TEST_CASE("runtime: no driver, no device") {
  TestStream stream;
  int count = -1, version = -1;
  weir_emulator_set_driver_missing(1);
  CHECK(cudaGetDeviceCount(&count) == cudaErrorInsufficientDriver);
  REQUIRE_CUDA(cudaDriverGetVersion(&version));
  CHECK(version == 0);
  weir_emulator_set_driver_missing(0);
  weir_emulator_set_device_count(0);
  CHECK(cudaGetDeviceCount(&count) == cudaErrorNoDevice);
  weir_emulator_set_device_count(2);
  REQUIRE_CUDA(cudaGetDeviceCount(&count));
  CHECK(count == 2);
  cudaDeviceProp properties;
  REQUIRE_CUDA(cudaGetDeviceProperties(&properties, 1));
  CHECK(properties.major * 100 + properties.minor * 10 == WEIR_EMULATED_ARCHITECTURE);
  CHECK(cudaGetDeviceProperties(&properties, 2) == cudaErrorInvalidDevice);
  char bus[16];
  REQUIRE_CUDA(cudaDeviceGetPCIBusId(bus, sizeof bus, 0));
  CHECK(std::strcmp(bus, "0000:17:00.0") == 0);
  int blocks = 0;
  REQUIRE_CUDA(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, add_one, 256, size_t{40} << 10));
  CHECK(blocks == (WEIR_EMULATED_ARCHITECTURE == 900 ? 5 : 4));
}

}  // namespace
