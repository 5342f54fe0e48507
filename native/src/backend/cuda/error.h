// Errors of the CUDA runtime as errors of this library.
#pragma once

#include <cuda_runtime_api.h>

#include "core/error.h"

namespace weir::cuda {

// Throws if `error` is one: WEIR_OUT_OF_MEMORY, WEIR_DEVICE_FAILED after an error that the CUDA context does
// not survive, else WEIR_INTERNAL. `what` says in the message what was being done.
void check(cudaError_t error, const char* what);

// Whether every later call on the device fails as well.
bool is_sticky(cudaError_t error);

// The message that `check` gives an error.
std::string describe(cudaError_t error, const char* what);

}  // namespace weir::cuda
