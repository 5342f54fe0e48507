// The KV blocks on the device, and the swap space in pinned host memory.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "backend/backend.h"
#include "backend/cuda/device.h"
#include "backend/cuda/memory.h"

namespace weir::cuda {

// Copies run on a stream of their own, and the calls that ask for them do not wait: the next step goes on
// beside them unless it uses a block that is being copied.
class CudaKvPool final : public KvPool {
 public:
  CudaKvPool(std::shared_ptr<const Device> device, const KvLayout& layout, int64_t blocks,
             int64_t swap_blocks);
  ~CudaKvPool() override;

  void copy_block(int32_t from, int32_t to) override;
  void swap_out(int32_t block, int32_t swap_block) override;
  void swap_in(int32_t swap_block, int32_t block) override;

  // Work that is put on `stream` from now on waits for copies of the blocks of `batch` that are not done yet.
  void order_before(cudaStream_t stream, const StepBatch& batch);

 private:
  std::byte* block(int32_t block) const;
  std::byte* swap_block(int32_t block) const;
  void copy(void* to, const void* from, cudaMemcpyKind kind, const char* what);
  void mark(int32_t block);

  std::shared_ptr<const Device> device_;
  Stream stream_;
  Event copied_;  // after the last copy
  DeviceMemory blocks_;
  std::unique_ptr<PinnedMemory> swap_;
  std::vector<bool> in_copy_;       // by block
  std::vector<int32_t> in_copies_;  // the blocks for which in_copy_ holds
};

}  // namespace weir::cuda
