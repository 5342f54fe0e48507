// The device's properties and the names of errors. Figures of the A100 and H200 where they do not depend on
// the settings: CUDA C++ Programming Guide, "Technical Specifications".
#include <algorithm>
#include <cstdio>
#include <cstring>

#include "runtime.h"

namespace emulator {
namespace {

constexpr int kVersion = CUDART_VERSION;

cudaDeviceProp properties_of(const Runtime& runtime) {
  cudaDeviceProp properties{};
  const Settings& settings = runtime.settings;
  std::snprintf(properties.name, sizeof properties.name, "Weir CUDA emulator sm_%d", settings.architecture);
  properties.totalGlobalMem = settings.memory_bytes;
  properties.sharedMemPerBlock = 48 << 10;
  properties.regsPerBlock = 65536;
  properties.warpSize = 32;
  properties.maxThreadsPerBlock = 1024;
  properties.maxThreadsDim[0] = properties.maxThreadsDim[1] = 1024;
  properties.maxThreadsDim[2] = 64;
  properties.maxGridSize[0] = 0x7FFFFFFF;
  properties.maxGridSize[1] = properties.maxGridSize[2] = 65535;
  properties.major = settings.architecture / 10;
  properties.minor = settings.architecture % 10;
  properties.multiProcessorCount = settings.multiprocessors;
  properties.concurrentKernels = 1;
  properties.ECCEnabled = 1;
  properties.pciBusID = 0x17;
  properties.asyncEngineCount = 3;
  properties.unifiedAddressing = 1;
  properties.memoryBusWidth = settings.architecture >= 90 ? 6144 : 5120;
  properties.l2CacheSize = settings.architecture >= 90 ? 50 << 20 : 40 << 20;
  properties.persistingL2CacheMaxSize = properties.l2CacheSize / 8 * 5;
  properties.maxThreadsPerMultiProcessor = 2048;
  properties.reservedSharedMemPerBlock = 1024;
  properties.sharedMemPerBlockOptin = static_cast<size_t>(runtime.max_dynamic_shared_bytes());
  properties.sharedMemPerMultiprocessor =
      properties.sharedMemPerBlockOptin + properties.reservedSharedMemPerBlock;
  properties.regsPerMultiprocessor = 65536;
  properties.cooperativeLaunch = 0;
  properties.maxBlocksPerMultiProcessor = 32;
  return properties;
}

struct ErrorText {
  cudaError_t error;
  const char* name;
  const char* text;
};

#define WEIR_EMULATOR_ERROR(error, text) \
  { error, #error, text }
constexpr ErrorText kErrors[] = {
    WEIR_EMULATOR_ERROR(cudaSuccess, "no error"),
    WEIR_EMULATOR_ERROR(cudaErrorInvalidValue, "invalid argument"),
    WEIR_EMULATOR_ERROR(cudaErrorMemoryAllocation, "out of memory"),
    WEIR_EMULATOR_ERROR(cudaErrorInitializationError, "initialization error"),
    WEIR_EMULATOR_ERROR(cudaErrorCudartUnloading, "driver shutting down"),
    WEIR_EMULATOR_ERROR(cudaErrorInvalidConfiguration, "invalid configuration argument"),
    WEIR_EMULATOR_ERROR(cudaErrorInvalidHostPointer, "invalid host pointer"),
    WEIR_EMULATOR_ERROR(cudaErrorInvalidDevicePointer, "invalid device pointer"),
    WEIR_EMULATOR_ERROR(cudaErrorInvalidMemcpyDirection, "invalid copy direction for memcpy"),
    WEIR_EMULATOR_ERROR(cudaErrorStubLibrary, "CUDA driver is a stub library"),
    WEIR_EMULATOR_ERROR(cudaErrorInsufficientDriver,
                        "CUDA driver version is insufficient for CUDA runtime version"),
    WEIR_EMULATOR_ERROR(cudaErrorDevicesUnavailable, "all CUDA-capable devices are busy or unavailable"),
    WEIR_EMULATOR_ERROR(cudaErrorInvalidDeviceFunction, "invalid device function"),
    WEIR_EMULATOR_ERROR(cudaErrorNoDevice, "no CUDA-capable device is detected"),
    WEIR_EMULATOR_ERROR(cudaErrorInvalidDevice, "invalid device ordinal"),
    WEIR_EMULATOR_ERROR(cudaErrorInvalidKernelImage, "device kernel image is invalid"),
    WEIR_EMULATOR_ERROR(cudaErrorNoKernelImageForDevice,
                        "no kernel image is available for execution on the device"),
    WEIR_EMULATOR_ERROR(cudaErrorECCUncorrectable, "uncorrectable ECC error encountered"),
    WEIR_EMULATOR_ERROR(cudaErrorUnsupportedLimit, "limit is not supported on this architecture"),
    WEIR_EMULATOR_ERROR(cudaErrorDeviceAlreadyInUse,
                        "exclusive-thread device already in use by a different thread"),
    WEIR_EMULATOR_ERROR(cudaErrorNvlinkUncorrectable,
                        "uncorrectable NVLink error detected during the execution"),
    WEIR_EMULATOR_ERROR(cudaErrorOperatingSystem, "OS call failed or operation not supported on this OS"),
    WEIR_EMULATOR_ERROR(cudaErrorInvalidResourceHandle, "invalid resource handle"),
    WEIR_EMULATOR_ERROR(cudaErrorIllegalState, "the operation cannot be performed in the present state"),
    WEIR_EMULATOR_ERROR(cudaErrorNotReady, "device not ready"),
    WEIR_EMULATOR_ERROR(cudaErrorIllegalAddress, "an illegal memory access was encountered"),
    WEIR_EMULATOR_ERROR(cudaErrorLaunchOutOfResources, "too many resources requested for launch"),
    WEIR_EMULATOR_ERROR(cudaErrorLaunchTimeout, "the launch timed out and was terminated"),
    WEIR_EMULATOR_ERROR(cudaErrorContextIsDestroyed, "context is destroyed"),
    WEIR_EMULATOR_ERROR(cudaErrorAssert, "device-side assert triggered"),
    WEIR_EMULATOR_ERROR(cudaErrorHardwareStackError, "hardware stack error"),
    WEIR_EMULATOR_ERROR(cudaErrorIllegalInstruction, "an illegal instruction was encountered"),
    WEIR_EMULATOR_ERROR(cudaErrorMisalignedAddress, "misaligned address"),
    WEIR_EMULATOR_ERROR(cudaErrorInvalidAddressSpace,
                        "operation not supported on global/shared address space"),
    WEIR_EMULATOR_ERROR(cudaErrorInvalidPc, "invalid program counter"),
    WEIR_EMULATOR_ERROR(cudaErrorLaunchFailure, "unspecified launch failure"),
    WEIR_EMULATOR_ERROR(cudaErrorCooperativeLaunchTooLarge, "too many blocks in cooperative launch"),
    WEIR_EMULATOR_ERROR(cudaErrorNotPermitted, "operation not permitted"),
    WEIR_EMULATOR_ERROR(cudaErrorNotSupported, "operation not supported"),
    WEIR_EMULATOR_ERROR(cudaErrorContained, "contained error"),
    WEIR_EMULATOR_ERROR(cudaErrorTensorMemoryLeak, "tensor memory not completely freed"),
    WEIR_EMULATOR_ERROR(cudaErrorMpsClientTerminated, "the MPS client has been terminated"),
    WEIR_EMULATOR_ERROR(cudaErrorExternalDevice, "an error of an external device"),
    WEIR_EMULATOR_ERROR(cudaErrorSystemNotReady, "system not yet initialized"),
    WEIR_EMULATOR_ERROR(cudaErrorSystemDriverMismatch,
                        "system has unsupported display driver / cuda driver combination"),
    WEIR_EMULATOR_ERROR(cudaErrorStreamCaptureUnsupported,
                        "operation not permitted when stream is capturing"),
    WEIR_EMULATOR_ERROR(cudaErrorStreamCaptureInvalidated,
                        "operation failed due to a previous error during capture"),
    WEIR_EMULATOR_ERROR(cudaErrorStreamCaptureMerge,
                        "operation would result in a merge of separate capture sequences"),
    WEIR_EMULATOR_ERROR(cudaErrorStreamCaptureUnmatched,
                        "capture was not ended in the same stream as it began"),
    WEIR_EMULATOR_ERROR(cudaErrorStreamCaptureUnjoined, "capturing stream has unjoined work"),
    WEIR_EMULATOR_ERROR(cudaErrorStreamCaptureIsolation,
                        "dependency created on uncaptured work in another stream"),
    WEIR_EMULATOR_ERROR(cudaErrorStreamCaptureImplicit,
                        "operation would make the legacy stream depend on a capturing blocking stream"),
    WEIR_EMULATOR_ERROR(cudaErrorCapturedEvent,
                        "operation not permitted on an event last recorded in a capturing stream"),
    WEIR_EMULATOR_ERROR(cudaErrorStreamCaptureWrongThread,
                        "attempt to terminate a thread-local capture sequence from another thread"),
    WEIR_EMULATOR_ERROR(cudaErrorTimeout, "wait operation timed out"),
    WEIR_EMULATOR_ERROR(cudaErrorUnknown, "unknown error"),
};
#undef WEIR_EMULATOR_ERROR

const ErrorText* find(cudaError_t error) {
  const auto* found = std::find_if(std::begin(kErrors), std::end(kErrors),
                                   [error](const ErrorText& e) { return e.error == error; });
  return found == std::end(kErrors) ? nullptr : found;
}

}  // namespace
}  // namespace emulator

using namespace emulator;

const char* cudaGetErrorName(cudaError_t error) {
  const ErrorText* found = find(error);
  return found == nullptr ? "unrecognized error code" : found->name;
}

const char* cudaGetErrorString(cudaError_t error) {
  const ErrorText* found = find(error);
  return found == nullptr ? "unrecognized error code" : found->text;
}

cudaError_t cudaRuntimeGetVersion(int* version) {
  if (version == nullptr) return remember(cudaErrorInvalidValue);
  *version = kVersion;
  return cudaSuccess;
}

// Without a driver CUDA answers 0.
cudaError_t cudaDriverGetVersion(int* version) {
  if (version == nullptr) return remember(cudaErrorInvalidValue);
  Runtime& runtime = Runtime::instance();
  const std::lock_guard lock(runtime.mutex);
  *version = runtime.settings.driver_missing ? 0 : kVersion;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int* count) {
  return call("cudaGetDeviceCount", [&](Runtime& runtime, Lock&) {
    if (count == nullptr) return cudaErrorInvalidValue;
    *count = runtime.settings.device_count;
    return cudaSuccess;
  });
}

cudaError_t cudaGetDevice(int* device) {
  return call("cudaGetDevice", [&](Runtime&, Lock&) {
    if (device == nullptr) return cudaErrorInvalidValue;
    *device = 0;
    return cudaSuccess;
  });
}

// Several devices share one memory and one set of streams; only their number is emulated.
cudaError_t cudaSetDevice(int device) {
  return call("cudaSetDevice", [&](Runtime& runtime, Lock&) {
    return device >= 0 && device < runtime.settings.device_count ? cudaSuccess : cudaErrorInvalidDevice;
  });
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  return call("cudaGetDeviceProperties", [&](Runtime& runtime, Lock&) {
    if (properties == nullptr) return cudaErrorInvalidValue;
    if (device < 0 || device >= runtime.settings.device_count) return cudaErrorInvalidDevice;
    *properties = properties_of(runtime);
    properties->pciDeviceID = device;
    return cudaSuccess;
  });
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  return call("cudaDeviceGetAttribute", [&](Runtime& runtime, Lock&) {
    if (value == nullptr) return cudaErrorInvalidValue;
    if (device < 0 || device >= runtime.settings.device_count) return cudaErrorInvalidDevice;
    const cudaDeviceProp p = properties_of(runtime);
    switch (attribute) {
      case cudaDevAttrMaxThreadsPerBlock:
        *value = p.maxThreadsPerBlock;
        return cudaSuccess;
      case cudaDevAttrMaxBlockDimX:
        *value = p.maxThreadsDim[0];
        return cudaSuccess;
      case cudaDevAttrMaxGridDimX:
        *value = p.maxGridSize[0];
        return cudaSuccess;
      case cudaDevAttrMaxSharedMemoryPerBlock:
        *value = static_cast<int>(p.sharedMemPerBlock);
        return cudaSuccess;
      case cudaDevAttrWarpSize:
        *value = p.warpSize;
        return cudaSuccess;
      case cudaDevAttrMaxRegistersPerBlock:
        *value = p.regsPerBlock;
        return cudaSuccess;
      case cudaDevAttrClockRate:
        *value = runtime.settings.architecture >= 90 ? 1980000 : 1410000;
        return cudaSuccess;
      case cudaDevAttrMultiProcessorCount:
        *value = p.multiProcessorCount;
        return cudaSuccess;
      case cudaDevAttrIntegrated:
        *value = p.integrated;
        return cudaSuccess;
      case cudaDevAttrConcurrentKernels:
        *value = p.concurrentKernels;
        return cudaSuccess;
      case cudaDevAttrEccEnabled:
        *value = p.ECCEnabled;
        return cudaSuccess;
      case cudaDevAttrPciBusId:
        *value = p.pciBusID;
        return cudaSuccess;
      case cudaDevAttrPciDeviceId:
        *value = device;
        return cudaSuccess;
      case cudaDevAttrMemoryClockRate:
        *value = runtime.settings.architecture >= 90 ? 3201000 : 1593000;
        return cudaSuccess;
      case cudaDevAttrGlobalMemoryBusWidth:
        *value = p.memoryBusWidth;
        return cudaSuccess;
      case cudaDevAttrL2CacheSize:
        *value = p.l2CacheSize;
        return cudaSuccess;
      case cudaDevAttrMaxThreadsPerMultiProcessor:
        *value = p.maxThreadsPerMultiProcessor;
        return cudaSuccess;
      case cudaDevAttrAsyncEngineCount:
        *value = p.asyncEngineCount;
        return cudaSuccess;
      case cudaDevAttrPciDomainId:
        *value = p.pciDomainID;
        return cudaSuccess;
      case cudaDevAttrComputeCapabilityMajor:
        *value = p.major;
        return cudaSuccess;
      case cudaDevAttrComputeCapabilityMinor:
        *value = p.minor;
        return cudaSuccess;
      case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
        *value = static_cast<int>(p.sharedMemPerMultiprocessor);
        return cudaSuccess;
      case cudaDevAttrMaxRegistersPerMultiprocessor:
        *value = p.regsPerMultiprocessor;
        return cudaSuccess;
      case cudaDevAttrCooperativeLaunch:
        *value = p.cooperativeLaunch;
        return cudaSuccess;
      case cudaDevAttrMaxSharedMemoryPerBlockOptin:
        *value = static_cast<int>(p.sharedMemPerBlockOptin);
        return cudaSuccess;
      case cudaDevAttrMaxBlocksPerMultiprocessor:
        *value = p.maxBlocksPerMultiProcessor;
        return cudaSuccess;
      case cudaDevAttrMaxPersistingL2CacheSize:
        *value = p.persistingL2CacheMaxSize;
        return cudaSuccess;
    }
    return cudaErrorInvalidValue;
  });
}

cudaError_t cudaDeviceGetPCIBusId(char* text, int length, int device) {
  return call("cudaDeviceGetPCIBusId", [&](Runtime& runtime, Lock&) {
    if (text == nullptr || length < 13) return cudaErrorInvalidValue;
    if (device < 0 || device >= runtime.settings.device_count) return cudaErrorInvalidDevice;
    std::snprintf(text, static_cast<size_t>(length), "%04x:%02x:%02x.0", 0, 0x17,
                  static_cast<unsigned int>(device) & 31);
    return cudaSuccess;
  });
}
