#include "backend/cuda/launch.h"
#include "backend/cuda/operators.h"
#include "backend/cuda/ptx.h"

namespace weir::cuda {
namespace {

constexpr int32_t kThreads = 128;

// Rows of `units`, whatever elements they hold.
template <typename Unit>
__global__ void __launch_bounds__(kThreads)
    gather_kernel(const int32_t* sample_rows, const Unit* x, Unit* out, int32_t units) {
  griddepcontrol_wait();
  griddepcontrol_launch_dependents();
  const int32_t unit = static_cast<int32_t>(blockIdx.y * kThreads + threadIdx.x);
  if (unit >= units) return;
  const int64_t sample = blockIdx.x;
  out[sample * units + unit] = x[int64_t{sample_rows[sample]} * units + unit];
}

template <typename Unit>
void launch_gather(cudaStream_t stream, const int32_t* sample_rows, const void* x, void* out, int64_t samples,
                   int64_t row_bytes) {
  const int64_t units = row_bytes / static_cast<int64_t>(sizeof(Unit));
  const LaunchShape shape{
      .grid = dim3(static_cast<uint32_t>(samples), static_cast<uint32_t>((units + kThreads - 1) / kThreads)),
      .block = dim3(kThreads),
      .overlaps_previous = true};
  launch(gather_kernel<Unit>, shape, stream, sample_rows, static_cast<const Unit*>(x),
         static_cast<Unit*>(out), static_cast<int32_t>(units));
}

}  // namespace

void gather_samples(cudaStream_t stream, ElementType type, const DeviceBatch& batch, const void* x, void* out,
                    int64_t samples, int64_t columns) {
  if (samples == 0) return;
  const int64_t row_bytes = columns * bytes_of(type);
  if (row_bytes % static_cast<int64_t>(sizeof(uint4)) == 0) {
    launch_gather<uint4>(stream, batch.sample_rows, x, out, samples, row_bytes);
  } else {
    launch_gather<uint16_t>(stream, batch.sample_rows, x, out, samples, row_bytes);
  }
}

}  // namespace weir::cuda
