// cuBLASLt, found at run time: neither building nor loading this library needs it. What is declared here is
// the part of its C interface that we use, with the names and numbers of https://docs.nvidia.com/cuda/cublas
// ("Using the cuBLASLt API").
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace weir::cuda {

namespace lt {

using Status = int;  // cublasStatus_t; 0: success
using Handle = void*;
using MatmulDesc = void*;
using MatrixLayout = void*;
using MatmulPreference = void*;

struct Algo {
  uint64_t data[8];
};

struct HeuristicResult {
  Algo algo;
  size_t workspace_bytes;
  Status state;
  float waves;
  int reserved[4];
};

enum ComputeType : int { kCompute32F = 68 };
enum DataType : int { kR32F = 0, kR16F = 2, kR16BF = 14 };
enum Operation : int { kN = 0, kT = 1 };
enum MatmulDescAttribute : int { kTransA = 3, kTransB = 4 };
enum PreferenceAttribute : int { kMaxWorkspaceBytes = 1, kReductionSchemeMask = 3 };
enum ReductionScheme : uint32_t { kReduceInComputeType = 2 };
constexpr Status kNotSupported = 15;

}  // namespace lt

// The functions, as NVIDIA names them without "cublasLt". The library is never unloaded.
class CublasLt {
 public:
  // The same object for all callers. Looks for the library WEIR_CUBLASLT names, or else for that of CUDA 13
  // and of CUDA 12, where the loader finds it and in the folders of the CUDA toolkit. Throws
  // WEIR_DEVICE_UNAVAILABLE if it is not there, or of another version.
  static std::shared_ptr<const CublasLt> load();

  CublasLt(const CublasLt&) = delete;
  CublasLt& operator=(const CublasLt&) = delete;

  // Such as "cuBLASLt 13.1.0".
  std::string describe() const;

  lt::Status (*Create)(lt::Handle*) = nullptr;
  lt::Status (*Destroy)(lt::Handle) = nullptr;
  size_t (*GetVersion)() = nullptr;
  lt::Status (*MatmulDescCreate)(lt::MatmulDesc*, lt::ComputeType, lt::DataType) = nullptr;
  lt::Status (*MatmulDescDestroy)(lt::MatmulDesc) = nullptr;
  lt::Status (*MatmulDescSetAttribute)(lt::MatmulDesc, lt::MatmulDescAttribute, const void*,
                                       size_t) = nullptr;
  lt::Status (*MatrixLayoutCreate)(lt::MatrixLayout*, lt::DataType, uint64_t rows, uint64_t columns,
                                   int64_t leading_dimension) = nullptr;
  lt::Status (*MatrixLayoutDestroy)(lt::MatrixLayout) = nullptr;
  lt::Status (*MatmulPreferenceCreate)(lt::MatmulPreference*) = nullptr;
  lt::Status (*MatmulPreferenceDestroy)(lt::MatmulPreference) = nullptr;
  lt::Status (*MatmulPreferenceSetAttribute)(lt::MatmulPreference, lt::PreferenceAttribute, const void*,
                                             size_t) = nullptr;
  lt::Status (*MatmulAlgoGetHeuristic)(lt::Handle, lt::MatmulDesc, lt::MatrixLayout a, lt::MatrixLayout b,
                                       lt::MatrixLayout c, lt::MatrixLayout d, lt::MatmulPreference,
                                       int requested, lt::HeuristicResult*, int* found) = nullptr;
  lt::Status (*MatmulAlgoCheck)(lt::Handle, lt::MatmulDesc, lt::MatrixLayout a, lt::MatrixLayout b,
                                lt::MatrixLayout c, lt::MatrixLayout d, const lt::Algo*,
                                lt::HeuristicResult*) = nullptr;
  lt::Status (*Matmul)(lt::Handle, lt::MatmulDesc, const void* alpha, const void* a, lt::MatrixLayout,
                       const void* b, lt::MatrixLayout, const void* beta, const void* c, lt::MatrixLayout,
                       void* d, lt::MatrixLayout, const lt::Algo*, void* workspace, size_t workspace_bytes,
                       cudaStream_t) = nullptr;

 private:
  CublasLt(void* library, std::string path);

  void* library_;
  std::string path_;
};

// Throws if `status` is not success: WEIR_OUT_OF_MEMORY, WEIR_DEVICE_FAILED if the device has failed, else
// WEIR_INTERNAL.
void check_cublaslt(lt::Status status, const char* what);

}  // namespace weir::cuda
