#include "backend/cuda/graphs.h"

#include <algorithm>

#include "backend/cuda/error.h"

namespace weir::cuda {
namespace {

int32_t next_step(int32_t bucket) {
  if (bucket < 8) return bucket * 2;
  return bucket < 64 ? bucket + 8 : bucket + 16;
}

}  // namespace

int32_t decode_bucket(int32_t entries, int32_t largest) {
  largest = std::min(largest, kLargestDecodeBucket);
  if (entries > largest) return 0;
  int32_t bucket = 1;
  while (bucket < entries) bucket = next_step(bucket);
  return std::min(bucket, largest);
}

int32_t next_decode_bucket(int32_t bucket, int32_t largest) {
  largest = std::min(largest, kLargestDecodeBucket);
  return bucket < largest ? std::min(next_step(bucket), largest) : 0;
}

Graphs::~Graphs() {
  for (const auto& [bucket, graph] : graphs_) cudaGraphExecDestroy(graph);
}

void Graphs::record(int32_t bucket, cudaStream_t stream, const std::function<void()>& work) {
  cudaGraph_t graph = nullptr;
  // Other threads may allocate meanwhile.
  check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "recording a graph");
  try {
    work();
  } catch (...) {
    if (cudaStreamEndCapture(stream, &graph) == cudaSuccess && graph != nullptr) cudaGraphDestroy(graph);
    cudaGetLastError();
    throw;
  }
  check(cudaStreamEndCapture(stream, &graph), "recording a graph");
  cudaGraphExec_t executable = nullptr;
  const cudaError_t error = cudaGraphInstantiate(&executable, graph, 0);
  cudaGraphDestroy(graph);
  check(error, "making a graph");
  graphs_.emplace(bucket, executable);
}

void Graphs::replay(int32_t bucket, cudaStream_t stream) const {
  check(cudaGraphLaunch(graphs_.at(bucket), stream), "launching a graph");
}

}  // namespace weir::cuda
