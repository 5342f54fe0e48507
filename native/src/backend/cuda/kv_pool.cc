#include "backend/cuda/kv_pool.h"

#include <utility>

#include "backend/cuda/error.h"
#include "backend/cuda/nvtx.h"

namespace weir::cuda {

CudaKvPool::CudaKvPool(std::shared_ptr<const Device> device, const KvLayout& layout, int64_t blocks,
                       int64_t swap_blocks)
    : KvPool(layout, nullptr),
      device_((device->use(), std::move(device))),
      blocks_(blocks * layout.block_bytes(), "the KV pool (weir_cache_options.blocks or .bytes)"),
      in_copy_(blocks, false) {
  set_data(blocks_.data());
  if (swap_blocks > 0) {
    swap_ = std::make_unique<PinnedMemory>(swap_blocks * layout.block_bytes(),
                                           "the swap space (weir_cache_options.swap_blocks)");
  }
  in_copies_.reserve(blocks);
}

CudaKvPool::~CudaKvPool() {
  // The copies use memory that goes now. After an error of the device there is nothing left to wait for.
  cudaSetDevice(device_->ordinal());
  cudaStreamSynchronize(stream_.get());
}

std::byte* CudaKvPool::block(int32_t block) const {
  return static_cast<std::byte*>(blocks_.data()) + block * layout().block_bytes();
}

std::byte* CudaKvPool::swap_block(int32_t block) const {
  return static_cast<std::byte*>(swap_->data()) + block * layout().block_bytes();
}

void CudaKvPool::mark(int32_t block) {
  if (in_copy_[block]) return;
  in_copy_[block] = true;
  in_copies_.push_back(block);
}

void CudaKvPool::copy(void* to, const void* from, cudaMemcpyKind kind, const char* what) {
  const Range range(what);
  device_->use();
  check(cudaMemcpyAsync(to, from, layout().block_bytes(), kind, stream_.get()), what);
  check(cudaEventRecord(copied_.get(), stream_.get()), what);
}

void CudaKvPool::copy_block(int32_t from, int32_t to) {
  copy(block(to), block(from), cudaMemcpyDeviceToDevice, "copying a KV block");
  mark(from);
  mark(to);
}

void CudaKvPool::swap_out(int32_t from, int32_t to) {
  copy(swap_block(to), block(from), cudaMemcpyDeviceToHost, "swapping out a KV block");
  mark(from);
}

void CudaKvPool::swap_in(int32_t from, int32_t to) {
  copy(block(to), swap_block(from), cudaMemcpyHostToDevice, "swapping in a KV block");
  mark(to);
}

void CudaKvPool::order_before(cudaStream_t stream, const StepBatch& batch) {
  if (in_copies_.empty()) return;
  const cudaError_t state = cudaEventQuery(copied_.get());
  if (state == cudaErrorNotReady) {
    const int64_t blocks = batch.table_starts[batch.entries];
    for (int64_t i = 0; i < blocks; i++) {
      if (!in_copy_[batch.block_tables[i]]) continue;
      check(cudaStreamWaitEvent(stream, copied_.get(), 0), "waiting for copies of KV blocks");
      return;
    }
    return;
  }
  check(state, "copying KV blocks");
  for (const int32_t block : in_copies_) in_copy_[block] = false;
  in_copies_.clear();
}

}  // namespace weir::cuda
