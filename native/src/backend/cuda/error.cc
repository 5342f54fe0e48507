#include "backend/cuda/error.h"

#include <string>

namespace weir::cuda {

bool is_sticky(cudaError_t error) {
  switch (error) {
    case cudaErrorECCUncorrectable:
    case cudaErrorNvlinkUncorrectable:
    case cudaErrorContained:
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchTimeout:
    case cudaErrorContextIsDestroyed:
    case cudaErrorAssert:
    case cudaErrorHardwareStackError:
    case cudaErrorIllegalInstruction:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorLaunchFailure:
    case cudaErrorCudartUnloading:
    case cudaErrorDevicesUnavailable:
    case cudaErrorSystemDriverMismatch:
    case cudaErrorTensorMemoryLeak:
    case cudaErrorMpsClientTerminated:
    case cudaErrorExternalDevice:
    case cudaErrorUnknown:
      return true;
    default:
      return false;
  }
}

std::string describe(cudaError_t error, const char* what) {
  std::string message = std::string(what) + ": " + cudaGetErrorName(error) + ", " + cudaGetErrorString(error);
  if (is_sticky(error)) {
    message +=
        "; the device cannot be used any more by this process: start it again, and look for its Xid in the "
        "kernel's log";
  }
  return message;
}

void check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  // Otherwise the next call that looks for errors of launches would find this one.
  cudaGetLastError();
  if (error == cudaErrorMemoryAllocation) {
    throw Error(WEIR_OUT_OF_MEMORY,
                describe(error, what) +
                    "; the device is out of memory: lower weir_cache_options.blocks or .bytes, "
                    "or weir_step_options.max_tokens");
  }
  throw Error(is_sticky(error) ? WEIR_DEVICE_FAILED : WEIR_INTERNAL, describe(error, what));
}

}  // namespace weir::cuda
