// Recorded decode steps, one for each size that batches are padded to.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <functional>
#include <unordered_map>

namespace weir::cuda {

// The sizes that batches of decodes are padded to: 1, 2, 4, 8, then by 8 to 64, by 16 to 256, as far as they
// are below `largest`, and `largest` itself if it is at most kLargestDecodeBucket.
constexpr int32_t kLargestDecodeBucket = 256;
// The one for so many entries; 0 if there is none.
int32_t decode_bucket(int32_t entries, int32_t largest);
// The one after `bucket`; 0 after the last.
int32_t next_decode_bucket(int32_t bucket, int32_t largest);

class Graphs {
 public:
  Graphs() = default;
  ~Graphs();
  Graphs(const Graphs&) = delete;
  Graphs& operator=(const Graphs&) = delete;

  bool has(int32_t bucket) const { return graphs_.contains(bucket); }
  // Records what `work` puts on `stream`, which must be nothing but kernels and copies, without running it.
  // If `work` throws, nothing is recorded.
  void record(int32_t bucket, cudaStream_t stream, const std::function<void()>& work);
  void replay(int32_t bucket, cudaStream_t stream) const;

  // Estimate from above of the device memory of one graph with so many kernels. To be measured on a device:
  // native/GPU-STATUS.md.
  static int64_t bytes_of(int64_t kernels) { return kernels * (16 << 10); }

 private:
  std::unordered_map<int32_t, cudaGraphExec_t> graphs_;
};

}  // namespace weir::cuda
