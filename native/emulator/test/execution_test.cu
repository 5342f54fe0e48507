// How threads, warps and blocks run.
#include <cmath>
#include <numeric>

#include "support.h"

using namespace emulator;

namespace {

__global__ void add(const float* a, const float* b, float* sum, int count) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < count) sum[i] = a[i] + b[i];
}

TEST_CASE("emulator: every thread of every block runs once") {
  TestStream stream;
  constexpr int kCount = 1000;
  std::vector<float> a(kCount), b(kCount);
  for (int i = 0; i < kCount; i++) {
    a[i] = static_cast<float>(i);
    b[i] = static_cast<float>(2 * i);
  }
  const DeviceVector<float> da(a), db(b), sum(kCount);
  REQUIRE_CUDA(launch_kernel(add, {8, 128}, stream, da.data(), db.data(), sum.data(), kCount));
  REQUIRE_CUDA(stream.synchronize());
  for (int i = 0; i < kCount; i++) CHECK(sum.values()[i] == static_cast<float>(3 * i));
}

__global__ void record_indices(uint4* out) {
  const unsigned int block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
  const unsigned int thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
  out[block * blockDim.x * blockDim.y * blockDim.z + thread] = {block, threadIdx.x, threadIdx.y, threadIdx.z};
}

TEST_CASE("emulator: three-dimensional grids and blocks") {
  TestStream stream;
  const DeviceVector<uint4> out(2 * 3 * 4 * 5 * 3 * 2);
  REQUIRE_CUDA(launch_kernel(record_indices, {{2, 3, 4}, {5, 3, 2}}, stream, out.data()));
  REQUIRE_CUDA(stream.synchronize());
  const std::vector<uint4> values = out.values();
  for (unsigned int i = 0; i < values.size(); i++) {
    CHECK(values[i].x == i / 30);
    CHECK(values[i].y == i % 30 % 5);
    CHECK(values[i].z == i % 30 / 5 % 3);
    CHECK(values[i].w == i % 30 / 15);
  }
}

__global__ void sum_of_block(const float* in, float* out, int count) {
  __shared__ float partial[32];
  float sum = 0;
  for (int i = static_cast<int>(threadIdx.x); i < count; i += static_cast<int>(blockDim.x)) sum += in[i];
  for (int distance = 16; distance > 0; distance /= 2) sum += __shfl_xor_sync(0xFFFFFFFF, sum, distance);
  if (threadIdx.x % 32 == 0) partial[threadIdx.x / 32] = sum;
  __syncthreads();
  if (threadIdx.x < 32) {
    sum = threadIdx.x < blockDim.x / 32 ? partial[threadIdx.x] : 0.0f;
    for (int distance = 16; distance > 0; distance /= 2) sum += __shfl_down_sync(0xFFFFFFFF, sum, distance);
    if (threadIdx.x == 0) out[blockIdx.x] = sum;
  }
}

TEST_CASE("emulator: a reduction with shuffles and shared memory") {
  TestStream stream;
  std::vector<float> values(5000);
  std::iota(values.begin(), values.end(), 0.0f);
  const DeviceVector<float> in(values), out(3);
  for (uint64_t seed = 0; seed < 20; seed++) {
    weir_emulator_set_seed(seed);
    REQUIRE_CUDA(launch_kernel(sum_of_block, {3, 256}, stream, in.data(), out.data(), 5000));
    REQUIRE_CUDA(stream.synchronize());
    for (const float sum : out.values()) CHECK(sum == 5000.0f * 4999 / 2);
  }
}

template <bool kBarrier>
__global__ void transpose(const float* in, float* out) {
  __shared__ float tile[32][33];
  for (unsigned int row = threadIdx.y; row < 32; row += 8)
    tile[row][threadIdx.x] = in[row * 32 + threadIdx.x];
  if (kBarrier) __syncthreads();
  for (unsigned int row = threadIdx.y; row < 32; row += 8)
    out[row * 32 + threadIdx.x] = tile[threadIdx.x][row];
}

// Number of seeds out of 20 with which the kernel does not transpose.
int wrong_transposes(void (*kernel)(const float*, float*)) {
  TestStream stream;
  std::vector<float> values(32 * 32);
  std::iota(values.begin(), values.end(), 0.0f);
  const DeviceVector<float> in(values), out(values.size());
  int wrong = 0;
  for (uint64_t seed = 0; seed < 20; seed++) {
    weir_emulator_set_seed(seed);
    REQUIRE_CUDA(launch_kernel(kernel, {1, {32, 8}}, stream, in.data(), out.data()));
    REQUIRE_CUDA(stream.synchronize());
    const std::vector<float> result = out.values();
    bool right = true;
    for (int i = 0; i < 32 * 32; i++) right = right && result[i] == values[i % 32 * 32 + i / 32];
    wrong += right ? 0 : 1;
  }
  return wrong;
}

TEST_CASE("emulator: a missing barrier is seen") {
  CHECK(wrong_transposes(transpose<true>) == 0);
  CHECK(wrong_transposes(transpose<false>) == 20);
}

__global__ void read_unwritten(float* out) {
  __shared__ float memory[4];
  float* dynamic = reinterpret_cast<float*>(dynamic_shared());
  out[2 * blockIdx.x] = memory[3];
  out[2 * blockIdx.x + 1] = dynamic[7];
  memory[3] = dynamic[7] = 1;
}

TEST_CASE("emulator: shared memory is not a number before it is written, in each block") {
  TestStream stream;
  const DeviceVector<float> out(std::vector<float>(20, 0.0f));
  REQUIRE_CUDA(launch_kernel(read_unwritten, {10, 1, 32}, stream, out.data()));
  REQUIRE_CUDA(stream.synchronize());
  for (const float value : out.values()) CHECK(std::isnan(value));
}

__global__ void divergent(int* out) {
  const int lane = static_cast<int>(threadIdx.x);
  int value;
  if (lane < 12) {
    value = __shfl_xor_sync(0x00000FFF, lane, 1);
    value += 100 * __shfl_sync(0x00000FFF, lane, 3);
  } else {
    value = __shfl_up_sync(0xFFFFF000, lane, 1);
    value += 1000 * __popc(__ballot_sync(0xFFFFF000, lane % 2));
  }
  __syncwarp();
  out[lane] = value;
}

TEST_CASE("emulator: lanes meet in divergent branches") {
  TestStream stream;
  const DeviceVector<int> out(32);
  for (uint64_t seed = 0; seed < 20; seed++) {
    weir_emulator_set_seed(seed);
    REQUIRE_CUDA(launch_kernel(divergent, {1, 32}, stream, out.data()));
    REQUIRE_CUDA(stream.synchronize());
    const std::vector<int> values = out.values();
    for (int lane = 0; lane < 12; lane++) CHECK(values[lane] == (lane ^ 1) + 300);
    // Lane 12 reads lane 11, which is not in the mask: undefined.
    for (int lane = 13; lane < 32; lane++) CHECK(values[lane] == lane - 1 + 10000);
  }
}

__global__ void shuffles(int* out) {
  const int lane = static_cast<int>(threadIdx.x);
  out[lane] = __shfl_sync(0xFFFFFFFF, lane, lane + 5, 8);
  out[32 + lane] = __shfl_up_sync(0xFFFFFFFF, lane, 3, 16);
  out[64 + lane] = __shfl_down_sync(0xFFFFFFFF, lane, 3, 16);
  out[96 + lane] = __shfl_xor_sync(0xFFFFFFFF, lane, 9, 8);
  out[128 + lane] = __any_sync(0xFFFFFFFF, lane == 31) + 2 * __all_sync(0xFFFFFFFF, lane < 31);
}

TEST_CASE("emulator: shuffles within segments, and votes") {
  TestStream stream;
  const DeviceVector<int> out(160);
  REQUIRE_CUDA(launch_kernel(shuffles, {1, 32}, stream, out.data()));
  REQUIRE_CUDA(stream.synchronize());
  const std::vector<int> values = out.values();
  for (int lane = 0; lane < 32; lane++) {
    CHECK(values[lane] == lane / 8 * 8 + (lane + 5) % 8);
    CHECK(values[32 + lane] == (lane % 16 >= 3 ? lane - 3 : lane));
    CHECK(values[64 + lane] == (lane % 16 < 13 ? lane + 3 : lane));
    // Lane ^ 9 is in the next or the previous segment of eight. The instruction keeps lanes from reading a
    // later one.
    CHECK(values[96 + lane] == ((lane ^ 9) <= (lane | 7) ? lane ^ 9 : lane));
    CHECK(values[128 + lane] == 1);
  }
}

__global__ void early_exit(int* out) {
  if (threadIdx.x % 32 >= 20) return;
  __syncthreads();
  out[threadIdx.x] = __shfl_xor_sync(0xFFFFFFFF, static_cast<int>(threadIdx.x), 1);
}

TEST_CASE("emulator: nobody waits for threads that have ended") {
  TestStream stream;
  const DeviceVector<int> out(std::vector<int>(64, -5));
  REQUIRE_CUDA(launch_kernel(early_exit, {1, 50}, stream, out.data()));
  REQUIRE_CUDA(stream.synchronize());
  const std::vector<int> values = out.values();
  for (int i = 0; i < 64; i++)
    CHECK(values[i] == (i % 32 < 20 && i < 50 ? (i == 49 || i == 48 ? (i ^ 1) : (i ^ 1)) : -5));
}

__global__ void missed_barrier() {
  if (threadIdx.x != 40) __syncthreads();
  if (threadIdx.x == 40) __shfl_sync(0xFFFFFFFF, 1, 0);
}

TEST_CASE("emulator: a deadlock ends the kernel and says who waits where") {
  TestStream stream;
  REQUIRE_CUDA(launch_kernel(missed_barrier, {{2, 3}, 64}, stream));
  CHECK(stream.synchronize() == cudaErrorLaunchFailure);
  const std::string message = last_message();
  CAPTURE(message);
  CHECK(message.find("missed_barrier") != std::string::npos);
  CHECK(message.find("block (") != std::string::npos);
  CHECK(message.find("threads 0 to 39 in __syncthreads at execution_test.cu:") != std::string::npos);
  CHECK(message.find("thread 40 in __shfl_sync at execution_test.cu:") != std::string::npos);
  CHECK(message.find("threads 41 to 63 in __syncthreads") != std::string::npos);
  // The error stays.
  void* memory = nullptr;
  CHECK(cudaMalloc(&memory, 16) == cudaErrorLaunchFailure);
  weir_emulator_reset();
  const DeviceVector<float> out(2);
  REQUIRE_CUDA(launch_kernel(read_unwritten, {1, 1, 32}, stream, out.data()));
  CHECK(stream.synchronize() == cudaSuccess);
}

__global__ void two_barriers() {
  if (threadIdx.x < 32) {
    __syncthreads();
  } else {
    __syncthreads();
  }
}

__global__ void lane_not_in_mask() { __syncwarp(0x7FFFFFFF); }

TEST_CASE("emulator: barriers in different places and masks without the caller are errors") {
  TestStream stream;
  REQUIRE_CUDA(launch_kernel(two_barriers, {1, 64}, stream));
  CHECK(stream.synchronize() == cudaErrorLaunchFailure);
  CHECK(last_message().find("while others wait in __syncthreads") != std::string::npos);
  weir_emulator_reset();
  REQUIRE_CUDA(launch_kernel(lane_not_in_mask, {1, 32}, stream));
  CHECK(stream.synchronize() == cudaErrorLaunchFailure);
  CHECK(last_message().find("lacks the lane that calls, 31") != std::string::npos);
}

__global__ void count(int* sum, unsigned long long* wide, float* real, unsigned int* most, int* least,
                      unsigned int* turns) {
  const unsigned int i = blockIdx.x * blockDim.x + threadIdx.x;
  atomicAdd(sum, 3);
  atomicAdd(wide, 1ull << 33);
  atomicAdd(real, 0.5f);
  atomicMax(most, i);
  atomicMin(least, -static_cast<int>(i));
  atomicInc(turns, 6);
}

TEST_CASE("emulator: atomics of many blocks on several threads") {
  TestStream stream;
  weir_emulator_set_threads(4);
  const DeviceVector<int> sum(std::vector<int>{0}), least(std::vector<int>{0});
  const DeviceVector<unsigned long long> wide(std::vector<unsigned long long>{0});
  const DeviceVector<float> real(std::vector<float>{0});
  const DeviceVector<unsigned int> most(std::vector<unsigned int>{0}), turns(std::vector<unsigned int>{0});
  REQUIRE_CUDA(launch_kernel(count, {100, 96}, stream, sum.data(), wide.data(), real.data(), most.data(),
                             least.data(), turns.data()));
  REQUIRE_CUDA(stream.synchronize());
  CHECK(sum.values()[0] == 3 * 9600);
  CHECK(wide.values()[0] == 9600ull << 33);
  CHECK(real.values()[0] == 4800.0f);
  CHECK(most.values()[0] == 9599);
  CHECK(least.values()[0] == -9599);
  CHECK(turns.values()[0] == 9600 % 7);
}

__global__ void nothing() {}

TEST_CASE("emulator: launches beyond the limits of a GPU fail") {
  TestStream stream;
  CHECK(launch_kernel(nothing, {1, 1025}, stream) == cudaErrorInvalidConfiguration);
  CHECK(launch_kernel(nothing, {1, {1, 1, 65}}, stream) == cudaErrorInvalidConfiguration);
  CHECK(launch_kernel(nothing, {0, 32}, stream) == cudaErrorInvalidConfiguration);
  CHECK(launch_kernel(nothing, {{1, 65536}, 32}, stream) == cudaErrorInvalidConfiguration);
  CHECK(launch_kernel(nothing, {1, 32}, nullptr) == cudaErrorInvalidResourceHandle);
  const size_t most = WEIR_EMULATED_ARCHITECTURE == 900 ? 232448 : 166912;
  CHECK(launch_kernel(nothing, {1, 32, (48 << 10) + 1}, stream) == cudaErrorInvalidValue);
  CHECK(cudaFuncSetAttribute(nothing, cudaFuncAttributeMaxDynamicSharedMemorySize,
                             static_cast<int>(most) + 1) == cudaErrorInvalidValue);
  REQUIRE_CUDA(
      cudaFuncSetAttribute(nothing, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(most)));
  CHECK(launch_kernel(nothing, {1, 32, most}, stream) == cudaSuccess);
  CHECK(stream.synchronize() == cudaSuccess);
  weir_emulator_set_architecture(70);
  CHECK(launch_kernel(nothing, {1, 32}, stream) == cudaErrorNoKernelImageForDevice);
}

}  // namespace
