// Which kernels do the attention of a step.
#include <cmath>
#include <string>

#include "backend/cuda/attention_kernels.h"
#include "backend/cuda/error.h"

namespace weir::cuda {
namespace {

constexpr int32_t kLargestHead = 256;
constexpr int kBulkCopies = 9;  // major compute capability that has them
constexpr float kLog2E = 1.4426950408889634f;

}  // namespace

AttentionParameters attention_parameters(const AttentionArguments& arguments) {
  const QkvShape& shape = arguments.shape;
  const AttentionLimits& limits = arguments.plan.limits;
  auto* const scratch = static_cast<unsigned char*>(arguments.scratch);
  AttentionParameters p{};
  p.layout = shape.layout;
  p.offsets = LayerOffsets(shape.layout, shape.layer);
  p.layer = shape.layer;
  p.heads = shape.heads;
  p.group = shape.heads / shape.layout.kv_heads;
  p.scale = kLog2E / std::sqrt(static_cast<float>(shape.layout.head_size));
  p.max_chunks = limits.max_chunks();
  p.divider = BlockDivider(shape.layout.block_size);
  p.batch = arguments.batch;
  p.lists = arguments.plan.lists;
  p.qkv = arguments.qkv;
  p.pool = static_cast<const unsigned char*>(arguments.pool);
  p.out = arguments.out;
  p.finished_chunks = reinterpret_cast<int32_t*>(scratch);
  p.partial_sums = reinterpret_cast<float*>(scratch + limits.partial_sums_offset());
  p.partial_softmax = reinterpret_cast<float2*>(scratch + limits.partial_softmax_offset());
  return p;
}

AttentionLaunch prepare_attention(const QkvShape& shape, const AttentionLimits& limits) {
  const int32_t size = shape.layout.head_size;
  if (size % 2 != 0 || size > kLargestHead) {
    throw Error(WEIR_UNSUPPORTED, "the heads have " + std::to_string(size) +
                                      " elements; CUDA has attention for even numbers up to " +
                                      std::to_string(kLargestHead));
  }
  int device = 0;
  int major = 0;
  check(cudaGetDevice(&device), "asking for the device");
  check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device),
        "asking for the compute capability");
  AttentionLaunch launch;
  // They take tokens by 16.
  launch.bulk_copies = major >= kBulkCopies && shape.layout.block_size % 16 == 0;
  if (!has_tiled_kernels(size)) return launch;
  if (shape.heads == shape.layout.kv_heads) prepare_decode(shape, limits, launch);
  prepare_tensor(shape, limits, launch);
  return launch;
}

void attention(cudaStream_t stream, const AttentionArguments& arguments) {
  const QkvShape& shape = arguments.shape;
  if (!has_tiled_kernels(shape.layout.head_size)) {
    general_attention(stream, arguments);
    return;
  }
  if (arguments.plan.decodes) {
    if (shape.heads == shape.layout.kv_heads) {
      decode_attention(stream, arguments);
    } else {
      grouped_decode_attention(stream, arguments);
    }
  }
  if (arguments.plan.prefill_work > 0) prefill_attention(stream, arguments);
}

}  // namespace weir::cuda
