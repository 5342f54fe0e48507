// The stand-in for cuBLASLt. It multiplies in single precision with plain loops, one sum after the other over
// the inner dimension, or in as many partial sums as the algorithm splits it into: the algorithms differ in
// the last bits, as real ones do.
#include "cublasLt.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <vector>

#include "emulator/small_floats.h"
#include "runtime.h"

struct cublasLtContext {};

struct cublasLtMatmulDescOpaque {
  cublasComputeType_t compute_type;
  cudaDataType_t scale_type;
  int32_t pointer_mode = CUBLASLT_POINTER_MODE_HOST;
  int32_t transpose_a = CUBLAS_OP_N;
  int32_t transpose_b = CUBLAS_OP_N;
  uint32_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
};

struct cublasLtMatrixLayoutOpaque {
  uint32_t type;
  int32_t order = CUBLASLT_ORDER_COL;
  uint64_t rows;
  uint64_t columns;
  int64_t leading_dimension;
};

struct cublasLtMatmulPreferenceOpaque {
  uint64_t max_workspace_bytes = 0;
  uint32_t reduction_schemes = CUBLASLT_REDUCTION_SCHEME_MASK;
};

namespace emulator {
namespace {

using Layout = cublasLtMatrixLayoutOpaque;

// What a cublasLtMatmulAlgo_t holds here: the attributes of cublasLtMatmulAlgoConfigAttributes_t by number.
struct Algorithm {
  uint32_t attributes[9];
  uint32_t magic;
};
constexpr uint32_t kMagic = 0x57454952;
constexpr int kAlgorithmId = 66;
constexpr uint32_t kMaximumSplits = 16;
static_assert(sizeof(Algorithm) <= sizeof(cublasLtMatmulAlgo_t));

Algorithm load(const cublasLtMatmulAlgo_t& memory) {
  Algorithm algorithm;
  std::memcpy(&algorithm, &memory, sizeof algorithm);
  return algorithm;
}

void store(const Algorithm& algorithm, cublasLtMatmulAlgo_t& memory) {
  memory = {};
  std::memcpy(&memory, &algorithm, sizeof algorithm);
}

Algorithm make_algorithm(uint32_t splits) {
  Algorithm algorithm{{}, kMagic};
  algorithm.attributes[CUBLASLT_ALGO_CONFIG_ID] = kAlgorithmId;
  algorithm.attributes[CUBLASLT_ALGO_CONFIG_SPLITK_NUM] = splits;
  algorithm.attributes[CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME] =
      splits == 1 ? CUBLASLT_REDUCTION_SCHEME_NONE : CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
  return algorithm;
}

size_t element_bytes(uint32_t type) { return type == CUDA_R_32F ? 4 : 2; }

bool known_type(uint32_t type) { return type == CUDA_R_32F || type == CUDA_R_16F || type == CUDA_R_16BF; }

float load_element(const void* data, uint32_t type, size_t index) {
  if (type == CUDA_R_32F) return static_cast<const float*>(data)[index];
  const uint16_t bits = static_cast<const uint16_t*>(data)[index];
  return type == CUDA_R_16F ? half_bits_to_float(bits) : bfloat16_bits_to_float(bits);
}

void store_element(void* data, uint32_t type, size_t index, float value) {
  if (type == CUDA_R_32F) {
    static_cast<float*>(data)[index] = value;
  } else {
    static_cast<uint16_t*>(data)[index] =
        type == CUDA_R_16F ? float_to_half_bits(value) : float_to_bfloat16_bits(value);
  }
}

// Elements from the first to the last, with what lies between columns (or rows).
size_t span_bytes(const Layout& layout) {
  const bool by_column = layout.order == CUBLASLT_ORDER_COL;
  const uint64_t lines = by_column ? layout.columns : layout.rows;
  const uint64_t length = by_column ? layout.rows : layout.columns;
  return ((lines - 1) * static_cast<uint64_t>(layout.leading_dimension) + length) *
         element_bytes(layout.type);
}

size_t index_of(const Layout& layout, size_t row, size_t column) {
  const auto leading = static_cast<size_t>(layout.leading_dimension);
  return layout.order == CUBLASLT_ORDER_COL ? column * leading + row : row * leading + column;
}

struct Problem {
  cublasLtMatmulDescOpaque description;
  Layout a, b, c, d;
  size_t m, n, k;

  cublasStatus_t check() const {
    for (const Layout* layout : {&a, &b, &c, &d}) {
      const uint64_t length = layout->order == CUBLASLT_ORDER_COL ? layout->rows : layout->columns;
      if (layout->rows == 0 || layout->columns == 0) return CUBLAS_STATUS_INVALID_VALUE;
      if (layout->leading_dimension < static_cast<int64_t>(length)) return CUBLAS_STATUS_INVALID_VALUE;
      if (!known_type(layout->type)) return CUBLAS_STATUS_NOT_SUPPORTED;
    }
    const auto inner_b = description.transpose_b == CUBLAS_OP_N ? b.rows : b.columns;
    const auto columns_b = description.transpose_b == CUBLAS_OP_N ? b.columns : b.rows;
    if (inner_b != k || columns_b != n || c.rows != m || c.columns != n) return CUBLAS_STATUS_INVALID_VALUE;
    // https://docs.nvidia.com/cuda/cublas, cublasLtMatmul(), table of the types that are supported.
    if (a.type != b.type || c.type != d.type) return CUBLAS_STATUS_NOT_SUPPORTED;
    if (d.type != CUDA_R_32F && d.type != a.type) return CUBLAS_STATUS_NOT_SUPPORTED;
    if (description.epilogue != CUBLASLT_EPILOGUE_DEFAULT || description.scale_type != CUDA_R_32F ||
        description.pointer_mode != CUBLASLT_POINTER_MODE_HOST) {
      return CUBLAS_STATUS_NOT_SUPPORTED;
    }
    return CUBLAS_STATUS_SUCCESS;
  }

  size_t workspace_bytes(uint32_t splits) const { return splits == 1 ? 0 : splits * m * n * sizeof(float); }
};

Problem make_problem(const cublasLtMatmulDescOpaque& description, const Layout& a, const Layout& b,
                     const Layout& c, const Layout& d) {
  return {description, a,      b,         c,
          d,           d.rows, d.columns, description.transpose_a == CUBLAS_OP_N ? a.columns : a.rows};
}

cublasStatus_t check_algorithm(const Problem& problem, const Algorithm& algorithm) {
  if (algorithm.magic != kMagic || algorithm.attributes[CUBLASLT_ALGO_CONFIG_ID] != kAlgorithmId) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  const uint32_t splits = algorithm.attributes[CUBLASLT_ALGO_CONFIG_SPLITK_NUM];
  const uint32_t scheme = algorithm.attributes[CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME];
  if (splits == 0 || splits > kMaximumSplits || splits > problem.k) return CUBLAS_STATUS_NOT_SUPPORTED;
  return (splits == 1) == (scheme == CUBLASLT_REDUCTION_SCHEME_NONE) ? CUBLAS_STATUS_SUCCESS
                                                                     : CUBLAS_STATUS_NOT_SUPPORTED;
}

class MatmulWork final : public Work {
 public:
  Problem problem;
  float alpha, beta;
  const void* a;
  const void* b;
  const void* c;
  void* d;
  uint32_t splits;
  float* workspace;

  int64_t kernels() const override { return 1; }

  std::optional<Failure> run(Runtime& runtime) const override {
    if (const cudaError_t error = runtime.count_kernel(); error != cudaSuccess) {
      return Failure{error, "cublasLtMatmul was told to fail"};
    }
    const size_t m = problem.m, n = problem.n, k = problem.k;
    // op(A) as [k][m] and op(B) as [n][k]: the innermost loop runs over the rows of D.
    std::vector<float> left(k * m), right(n * k), sums(m);
    const bool transpose_a = problem.description.transpose_a != CUBLAS_OP_N;
    const bool transpose_b = problem.description.transpose_b != CUBLAS_OP_N;
    for (size_t p = 0; p < k; p++) {
      for (size_t i = 0; i < m; i++) {
        left[p * m + i] = load_element(a, problem.a.type,
                                       transpose_a ? index_of(problem.a, p, i) : index_of(problem.a, i, p));
      }
    }
    for (size_t j = 0; j < n; j++) {
      for (size_t p = 0; p < k; p++) {
        right[j * k + p] = load_element(b, problem.b.type,
                                        transpose_b ? index_of(problem.b, j, p) : index_of(problem.b, p, j));
      }
    }
    for (size_t j = 0; j < n; j++) {
      if (splits == 1) {
        add_products(left.data(), &right[j * k], 0, k, sums.data());
      } else {
        add_split_products(left.data(), &right[j * k], j, sums.data());
      }
      for (size_t i = 0; i < m; i++) {
        float value = alpha * sums[i];
        // C is not read if beta is 0: it may hold anything.
        if (beta != 0) value += beta * load_element(c, problem.c.type, index_of(problem.c, i, j));
        store_element(d, problem.d.type, index_of(problem.d, i, j), value);
      }
    }
    return {};
  }

 private:
  void add_products(const float* left, const float* right, size_t begin, size_t end, float* sums) const {
    std::fill_n(sums, problem.m, 0.0f);
    for (size_t p = begin; p < end; p++) {
      const float factor = right[p];
      const float* row = left + p * problem.m;
      for (size_t i = 0; i < problem.m; i++) sums[i] += row[i] * factor;
    }
  }

  void add_split_products(const float* left, const float* right, size_t column, float* sums) const {
    const size_t m = problem.m;
    const auto partial = [&](size_t split) { return workspace + (split * problem.n + column) * m; };
    for (size_t split = 0; split < splits; split++) {
      add_products(left, right, problem.k * split / splits, problem.k * (split + 1) / splits, partial(split));
    }
    std::fill_n(sums, m, 0.0f);
    for (size_t split = 0; split < splits; split++) {
      for (size_t i = 0; i < m; i++) sums[i] += partial(split)[i];
    }
  }
};

// As call() of the runtime's functions. An injected fault's number is taken as a cublasStatus_t.
template <class Body>
cublasStatus_t call_cublas(const char* function, Body body) {
  Runtime& runtime = Runtime::instance();
  const std::lock_guard lock(runtime.mutex);
  if (const cudaError_t error = runtime.begin(function); error != cudaSuccess) {
    if (error == runtime.sticky_error) return CUBLAS_STATUS_EXECUTION_FAILED;
    if (error == cudaErrorInsufficientDriver || error == cudaErrorNoDevice)
      return CUBLAS_STATUS_NOT_INITIALIZED;
    return static_cast<cublasStatus_t>(error);
  }
  return body(runtime);
}

// Copies an attribute whose size must be right.
template <class T>
cublasStatus_t set(T& attribute, const void* value, size_t bytes) {
  if (value == nullptr || bytes != sizeof(T)) return CUBLAS_STATUS_INVALID_VALUE;
  std::memcpy(&attribute, value, sizeof(T));
  return CUBLAS_STATUS_SUCCESS;
}

template <class T>
cublasStatus_t destroy(T* object) {
  delete object;
  return CUBLAS_STATUS_SUCCESS;
}

struct StatusText {
  cublasStatus_t status;
  const char* name;
  const char* text;
};
constexpr StatusText kStatuses[] = {
    {CUBLAS_STATUS_SUCCESS, "CUBLAS_STATUS_SUCCESS", "success"},
    {CUBLAS_STATUS_NOT_INITIALIZED, "CUBLAS_STATUS_NOT_INITIALIZED", "the library was not initialized"},
    {CUBLAS_STATUS_ALLOC_FAILED, "CUBLAS_STATUS_ALLOC_FAILED", "the resource allocation failed"},
    {CUBLAS_STATUS_INVALID_VALUE, "CUBLAS_STATUS_INVALID_VALUE", "an invalid value was used as an argument"},
    {CUBLAS_STATUS_ARCH_MISMATCH, "CUBLAS_STATUS_ARCH_MISMATCH",
     "an absent device architectural feature is required"},
    {CUBLAS_STATUS_MAPPING_ERROR, "CUBLAS_STATUS_MAPPING_ERROR", "an access to GPU memory space failed"},
    {CUBLAS_STATUS_EXECUTION_FAILED, "CUBLAS_STATUS_EXECUTION_FAILED",
     "the function failed to launch on the GPU"},
    {CUBLAS_STATUS_INTERNAL_ERROR, "CUBLAS_STATUS_INTERNAL_ERROR", "an internal operation failed"},
    {CUBLAS_STATUS_NOT_SUPPORTED, "CUBLAS_STATUS_NOT_SUPPORTED", "the functionality is not supported"},
};

const StatusText& text_of(cublasStatus_t status) {
  static constexpr StatusText kUnknown{CUBLAS_STATUS_INTERNAL_ERROR, "unknown status", "unknown status"};
  const auto* found = std::find_if(std::begin(kStatuses), std::end(kStatuses),
                                   [status](const StatusText& s) { return s.status == status; });
  return found == std::end(kStatuses) ? kUnknown : *found;
}

}  // namespace
}  // namespace emulator

using namespace emulator;

size_t cublasLtGetVersion() { return 130000; }

size_t cublasLtGetCudartVersion() { return CUDART_VERSION; }

const char* cublasLtGetStatusName(cublasStatus_t status) { return text_of(status).name; }

const char* cublasLtGetStatusString(cublasStatus_t status) { return text_of(status).text; }

cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) {
  return call_cublas("cublasLtCreate", [&](Runtime&) {
    if (handle == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
    *handle = new cublasLtContext;
    return CUBLAS_STATUS_SUCCESS;
  });
}

cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) { return destroy(handle); }

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* description, cublasComputeType_t compute_type,
                                        cudaDataType_t scale_type) {
  return call_cublas("cublasLtMatmulDescCreate", [&](Runtime&) {
    if (description == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
    if (compute_type != CUBLAS_COMPUTE_32F && compute_type != CUBLAS_COMPUTE_32F_PEDANTIC) {
      return CUBLAS_STATUS_NOT_SUPPORTED;
    }
    *description = new cublasLtMatmulDescOpaque{compute_type, scale_type};
    return CUBLAS_STATUS_SUCCESS;
  });
}

cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t description) { return destroy(description); }

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t description,
                                              cublasLtMatmulDescAttributes_t attribute, const void* value,
                                              size_t bytes) {
  return call_cublas("cublasLtMatmulDescSetAttribute", [&](Runtime&) {
    switch (attribute) {
      case CUBLASLT_MATMUL_DESC_COMPUTE_TYPE:
        return set(description->compute_type, value, bytes);
      case CUBLASLT_MATMUL_DESC_SCALE_TYPE:
        return set(description->scale_type, value, bytes);
      case CUBLASLT_MATMUL_DESC_POINTER_MODE:
        return set(description->pointer_mode, value, bytes);
      case CUBLASLT_MATMUL_DESC_TRANSA:
        return set(description->transpose_a, value, bytes);
      case CUBLASLT_MATMUL_DESC_TRANSB:
        return set(description->transpose_b, value, bytes);
      case CUBLASLT_MATMUL_DESC_EPILOGUE:
        return set(description->epilogue, value, bytes);
    }
    return CUBLAS_STATUS_NOT_SUPPORTED;
  });
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* layout, cudaDataType_t type, uint64_t rows,
                                          uint64_t columns, int64_t leading_dimension) {
  return call_cublas("cublasLtMatrixLayoutCreate", [&](Runtime&) {
    if (layout == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
    *layout = new cublasLtMatrixLayoutOpaque{static_cast<uint32_t>(type), CUBLASLT_ORDER_COL, rows, columns,
                                             leading_dimension};
    return CUBLAS_STATUS_SUCCESS;
  });
}

cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) { return destroy(layout); }

cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t layout,
                                                cublasLtMatrixLayoutAttribute_t attribute, const void* value,
                                                size_t bytes) {
  return call_cublas("cublasLtMatrixLayoutSetAttribute", [&](Runtime&) {
    switch (attribute) {
      case CUBLASLT_MATRIX_LAYOUT_TYPE:
        return set(layout->type, value, bytes);
      case CUBLASLT_MATRIX_LAYOUT_ORDER:
        return set(layout->order, value, bytes);
      case CUBLASLT_MATRIX_LAYOUT_ROWS:
        return set(layout->rows, value, bytes);
      case CUBLASLT_MATRIX_LAYOUT_COLS:
        return set(layout->columns, value, bytes);
      case CUBLASLT_MATRIX_LAYOUT_LD:
        return set(layout->leading_dimension, value, bytes);
      case CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT:
        break;
    }
    return CUBLAS_STATUS_NOT_SUPPORTED;
  });
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* preference) {
  return call_cublas("cublasLtMatmulPreferenceCreate", [&](Runtime&) {
    if (preference == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
    *preference = new cublasLtMatmulPreferenceOpaque;
    return CUBLAS_STATUS_SUCCESS;
  });
}

cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) {
  return destroy(preference);
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t attribute,
                                                    const void* value, size_t bytes) {
  return call_cublas("cublasLtMatmulPreferenceSetAttribute", [&](Runtime&) {
    // What does not change which algorithms there are here.
    uint32_t word;
    uint64_t mask;
    float waves;
    switch (attribute) {
      case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES:
        return set(preference->max_workspace_bytes, value, bytes);
      case CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK:
        return set(preference->reduction_schemes, value, bytes);
      case CUBLASLT_MATMUL_PREF_SEARCH_MODE:
      case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES:
      case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES:
      case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES:
      case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES:
        return set(word, value, bytes);
      case CUBLASLT_MATMUL_PREF_IMPL_MASK:
        return set(mask, value, bytes);
      case CUBLASLT_MATMUL_PREF_MAX_WAVES_COUNT:
        return set(waves, value, bytes);
    }
    return CUBLAS_STATUS_INVALID_VALUE;
  });
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle, cublasLtMatmulDesc_t description,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t preference, int requested,
                                              cublasLtMatmulHeuristicResult_t* results, int* returned) {
  return call_cublas("cublasLtMatmulAlgoGetHeuristic", [&](Runtime&) {
    if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
    if (requested <= 0 || results == nullptr || returned == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
    *returned = 0;
    const Problem problem = make_problem(*description, *a, *b, *c, *d);
    if (const cublasStatus_t status = problem.check(); status != CUBLAS_STATUS_SUCCESS) return status;
    for (const uint32_t splits : {1u, 4u, 2u}) {
      const Algorithm algorithm = make_algorithm(splits);
      const size_t bytes = problem.workspace_bytes(splits);
      const uint32_t scheme = algorithm.attributes[CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME];
      if (*returned == requested || bytes > preference->max_workspace_bytes) continue;
      if ((scheme & ~preference->reduction_schemes) != 0) continue;
      if (check_algorithm(problem, algorithm) != CUBLAS_STATUS_SUCCESS) continue;
      cublasLtMatmulHeuristicResult_t& result = results[(*returned)++];
      result = {};
      store(algorithm, result.algo);
      result.workspaceSize = bytes;
      result.state = CUBLAS_STATUS_SUCCESS;
      result.wavesCount = 1;
    }
    return *returned == 0 ? CUBLAS_STATUS_NOT_SUPPORTED : CUBLAS_STATUS_SUCCESS;
  });
}

cublasStatus_t cublasLtMatmulAlgoInit(cublasLtHandle_t handle, cublasComputeType_t, cudaDataType_t,
                                      cudaDataType_t, cudaDataType_t, cudaDataType_t, cudaDataType_t, int id,
                                      cublasLtMatmulAlgo_t* algorithm) {
  return call_cublas("cublasLtMatmulAlgoInit", [&](Runtime&) {
    if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
    if (algorithm == nullptr || id != kAlgorithmId) return CUBLAS_STATUS_INVALID_VALUE;
    store(make_algorithm(1), *algorithm);
    return CUBLAS_STATUS_SUCCESS;
  });
}

cublasStatus_t cublasLtMatmulAlgoCheck(cublasLtHandle_t handle, cublasLtMatmulDesc_t description,
                                       cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                       cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                       const cublasLtMatmulAlgo_t* algorithm,
                                       cublasLtMatmulHeuristicResult_t* result) {
  return call_cublas("cublasLtMatmulAlgoCheck", [&](Runtime&) {
    if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
    if (algorithm == nullptr || result == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
    const Problem problem = make_problem(*description, *a, *b, *c, *d);
    if (const cublasStatus_t status = problem.check(); status != CUBLAS_STATUS_SUCCESS) return status;
    const Algorithm loaded = load(*algorithm);
    *result = {};
    result->algo = *algorithm;
    result->state = check_algorithm(problem, loaded);
    result->workspaceSize = problem.workspace_bytes(loaded.attributes[CUBLASLT_ALGO_CONFIG_SPLITK_NUM]);
    result->wavesCount = 1;
    return result->state;
  });
}

cublasStatus_t cublasLtMatmulAlgoConfigSetAttribute(cublasLtMatmulAlgo_t* algorithm,
                                                    cublasLtMatmulAlgoConfigAttributes_t attribute,
                                                    const void* value, size_t bytes) {
  return call_cublas("cublasLtMatmulAlgoConfigSetAttribute", [&](Runtime&) {
    if (algorithm == nullptr || attribute <= CUBLASLT_ALGO_CONFIG_ID ||
        attribute > CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID) {
      return CUBLAS_STATUS_INVALID_VALUE;
    }
    Algorithm loaded = load(*algorithm);
    if (attribute >= CUBLASLT_ALGO_CONFIG_INNER_SHAPE_ID) {
      uint16_t shape;
      const cublasStatus_t status = set(shape, value, bytes);
      if (status == CUBLAS_STATUS_SUCCESS) loaded.attributes[attribute] = shape;
      store(loaded, *algorithm);
      return status;
    }
    const cublasStatus_t status = set(loaded.attributes[attribute], value, bytes);
    store(loaded, *algorithm);
    return status;
  });
}

cublasStatus_t cublasLtMatmulAlgoConfigGetAttribute(const cublasLtMatmulAlgo_t* algorithm,
                                                    cublasLtMatmulAlgoConfigAttributes_t attribute,
                                                    void* value, size_t bytes, size_t* written) {
  return call_cublas("cublasLtMatmulAlgoConfigGetAttribute", [&](Runtime&) {
    if (algorithm == nullptr || attribute < CUBLASLT_ALGO_CONFIG_ID ||
        attribute > CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID) {
      return CUBLAS_STATUS_INVALID_VALUE;
    }
    const uint32_t word = load(*algorithm).attributes[attribute];
    const auto shape = static_cast<uint16_t>(word);
    const size_t size = attribute >= CUBLASLT_ALGO_CONFIG_INNER_SHAPE_ID ? sizeof shape : sizeof word;
    if (written != nullptr) *written = size;
    // With no room the caller asks for the size.
    if (bytes == 0) return CUBLAS_STATUS_SUCCESS;
    if (value == nullptr || bytes != size) return CUBLAS_STATUS_INVALID_VALUE;
    std::memcpy(value, size == sizeof word ? static_cast<const void*>(&word) : &shape, size);
    return CUBLAS_STATUS_SUCCESS;
  });
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t description, const void* alpha,
                              const void* a, cublasLtMatrixLayout_t a_layout, const void* b,
                              cublasLtMatrixLayout_t b_layout, const void* beta, const void* c,
                              cublasLtMatrixLayout_t c_layout, void* d, cublasLtMatrixLayout_t d_layout,
                              const cublasLtMatmulAlgo_t* algorithm, void* workspace, size_t workspace_bytes,
                              cudaStream_t stream_handle) {
  return call_cublas("cublasLtMatmul", [&](Runtime& runtime) {
    if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
    if (alpha == nullptr || beta == nullptr || a == nullptr || b == nullptr || d == nullptr) {
      return CUBLAS_STATUS_INVALID_VALUE;
    }
    const std::shared_ptr<Stream> stream = runtime.streams.find(stream_handle);
    if (stream == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
    auto work = std::make_shared<MatmulWork>();
    work->problem = make_problem(*description, *a_layout, *b_layout, *c_layout, *d_layout);
    const Problem& problem = work->problem;
    if (const cublasStatus_t status = problem.check(); status != CUBLAS_STATUS_SUCCESS) return status;
    const Algorithm chosen = algorithm == nullptr ? make_algorithm(1) : load(*algorithm);
    if (const cublasStatus_t status = check_algorithm(problem, chosen); status != CUBLAS_STATUS_SUCCESS)
      return status;
    work->splits = chosen.attributes[CUBLASLT_ALGO_CONFIG_SPLITK_NUM];
    const size_t needed = problem.workspace_bytes(work->splits);
    if (needed > workspace_bytes) return CUBLAS_STATUS_INVALID_VALUE;
    work->alpha = *static_cast<const float*>(alpha);
    work->beta = *static_cast<const float*>(beta);
    const Allocations& memory = runtime.device_memory;
    if (!memory.contains(a, span_bytes(problem.a)) || !memory.contains(b, span_bytes(problem.b)) ||
        !memory.contains(d, span_bytes(problem.d)) ||
        (work->beta != 0 && !memory.contains(c, span_bytes(problem.c))) ||
        (needed != 0 && !memory.contains(workspace, needed))) {
      return CUBLAS_STATUS_INVALID_VALUE;
    }
    work->a = a;
    work->b = b;
    work->c = c;
    work->d = d;
    work->workspace = static_cast<float*>(workspace);
    runtime.counters.launches++;
    return runtime.submit(*stream, std::move(work)) == cudaSuccess ? CUBLAS_STATUS_SUCCESS
                                                                   : CUBLAS_STATUS_EXECUTION_FAILED;
  });
}
