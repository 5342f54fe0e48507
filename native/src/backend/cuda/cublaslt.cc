#include "backend/cuda/cublaslt.h"

#include <dlfcn.h>

#include <cstdlib>
#include <mutex>
#include <utility>
#include <vector>

#include "backend/cuda/error.h"
#include "core/error.h"

namespace weir::cuda {
namespace {

[[noreturn]] void unavailable(const std::string& message) { throw Error(WEIR_DEVICE_UNAVAILABLE, message); }

std::vector<std::string> candidates() {
  const char* named = std::getenv("WEIR_CUBLASLT");
  if (named != nullptr && *named != '\0') return {named};
  std::vector<std::string> paths;
  for (const char* name : {"libcublasLt.so.13", "libcublasLt.so.12"}) {
    paths.emplace_back(name);
    paths.push_back(std::string("/usr/local/cuda/lib64/") + name);
  }
  return paths;
}

// Those of 12 and 13 have what we use with the same numbers and layouts.
bool is_known(size_t version) {
  const size_t major = version / 10000;
  return major == 12 || major == 13;
}

std::string version_text(size_t version) {
  return std::to_string(version / 10000) + "." + std::to_string(version / 100 % 100) + "." +
         std::to_string(version % 100);
}

constexpr lt::Status kNotInitialized = 1;
constexpr lt::Status kAllocationFailed = 3;
constexpr lt::Status kExecutionFailed = 13;

}  // namespace

std::shared_ptr<const CublasLt> CublasLt::load() {
  static std::mutex mutex;
  static std::shared_ptr<const CublasLt> loaded;
  static std::string loaded_from;
  const std::lock_guard lock(mutex);
  const std::vector<std::string> paths = candidates();
  // WEIR_CUBLASLT may have changed since.
  if (loaded != nullptr && loaded_from == paths.front()) return loaded;
  std::string tried;
  for (const std::string& path : paths) {
    void* const library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) {
      const char* const reason = dlerror();
      tried += (tried.empty() ? "" : "; ") + std::string(reason != nullptr ? reason : path.c_str());
      continue;
    }
    loaded.reset(new CublasLt(library, path));
    loaded_from = paths.front();
    return loaded;
  }
  unavailable("no CUDA device can be used without cuBLASLt, which was not found (" + tried +
              "); install it (it comes with the CUDA toolkit, and as NVIDIA's package libcublas), or set "
              "WEIR_CUBLASLT to the path of libcublasLt.so");
}

CublasLt::CublasLt(void* library, std::string path) : library_(library), path_(std::move(path)) {
  const auto find = [&](auto& function, const char* name) {
    void* const symbol = dlsym(library_, name);
    if (symbol == nullptr) {
      unavailable(path_ + " has no function " + name +
                  "; set WEIR_CUBLASLT to the path of a libcublasLt.so of CUDA 12 or 13");
    }
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(symbol);
  };
  find(GetVersion, "cublasLtGetVersion");
  if (!is_known(GetVersion())) {
    unavailable(
        path_ + " is cuBLASLt " + version_text(GetVersion()) +
        ", and this build knows those of CUDA 12 and 13; set WEIR_CUBLASLT to the path of such a library");
  }
  find(Create, "cublasLtCreate");
  find(Destroy, "cublasLtDestroy");
  find(MatmulDescCreate, "cublasLtMatmulDescCreate");
  find(MatmulDescDestroy, "cublasLtMatmulDescDestroy");
  find(MatmulDescSetAttribute, "cublasLtMatmulDescSetAttribute");
  find(MatrixLayoutCreate, "cublasLtMatrixLayoutCreate");
  find(MatrixLayoutDestroy, "cublasLtMatrixLayoutDestroy");
  find(MatmulPreferenceCreate, "cublasLtMatmulPreferenceCreate");
  find(MatmulPreferenceDestroy, "cublasLtMatmulPreferenceDestroy");
  find(MatmulPreferenceSetAttribute, "cublasLtMatmulPreferenceSetAttribute");
  find(MatmulAlgoGetHeuristic, "cublasLtMatmulAlgoGetHeuristic");
  find(MatmulAlgoCheck, "cublasLtMatmulAlgoCheck");
  find(Matmul, "cublasLtMatmul");
}

std::string CublasLt::describe() const {
  return "cuBLASLt " + version_text(GetVersion()) + " (" + path_ + "), own kernels";
}

void check_cublaslt(lt::Status status, const char* what) {
  if (status == 0) return;
  // A device that has failed says why itself. Other errors may be from earlier calls.
  const cudaError_t error = cudaPeekAtLastError();
  if (is_sticky(error)) check(error, what);
  const std::string message = std::string(what) + ": cuBLASLt gives status " + std::to_string(status);
  if (status == kAllocationFailed || status == kNotInitialized) {
    throw Error(WEIR_OUT_OF_MEMORY, message + ", it lacks memory; lower weir_cache_options.blocks or .bytes");
  }
  throw Error(status == kExecutionFailed ? WEIR_DEVICE_FAILED : WEIR_INTERNAL, message);
}

}  // namespace weir::cuda
