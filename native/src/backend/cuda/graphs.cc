#include "backend/cuda/graphs.h"

#include "backend/cuda/error.h"

namespace weir::cuda {

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
