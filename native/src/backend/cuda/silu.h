// The activation function of the MLP: S. Elfwing et al., "Sigmoid-weighted linear units", 2018. In one place,
// so that kernels that fuse it give the same bits as the one that does not.
#pragma once

#include <cuda_runtime.h>

namespace weir::cuda {

// 0 where e^-x is infinite.
__device__ __forceinline__ float silu(float x) { return __fdividef(x, 1.0f + __expf(-x)); }

}  // namespace weir::cuda
