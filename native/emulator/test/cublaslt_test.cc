// The stand-in for cuBLASLt against plain products.
#include "cublasLt.h"

#include <cmath>
#include <cstring>

#include "cuda_bf16.h"
#include "cuda_fp16.h"
#include "support.h"

using namespace emulator;

namespace {

#define REQUIRE_CUBLAS(call) REQUIRE(std::string(cublasLtGetStatusName(call)) == "CUBLAS_STATUS_SUCCESS")

// A matrix in device memory, with the gap that its leading dimension leaves.
class Matrix {
 public:
  Matrix(cudaDataType_t type, int rows, int columns, int leading, cublasLtOrder_t order, float seed)
      : type_(type),
        rows_(rows),
        columns_(columns),
        leading_(leading),
        order_(order),
        values_(leading * lines()) {
    for (size_t i = 0; i < values_.size(); i++) {
      values_[i] = std::sin(seed + static_cast<float>(i));
      if (type == CUDA_R_16F) values_[i] = __half2float(__float2half_rn(values_[i]));
      if (type == CUDA_R_16BF) values_[i] = __bfloat162float(__float2bfloat16_rn(values_[i]));
    }
    REQUIRE_CUDA(cudaMalloc(&data_, values_.size() * size()));
    std::vector<char> bytes(values_.size() * size());
    for (size_t i = 0; i < values_.size(); i++) {
      const __half half = __float2half_rn(values_[i]);
      const __nv_bfloat16 bfloat16 = __float2bfloat16_rn(values_[i]);
      const void* element = type == CUDA_R_32F   ? static_cast<const void*>(&values_[i])
                            : type == CUDA_R_16F ? static_cast<const void*>(&half)
                                                 : &bfloat16;
      std::memcpy(&bytes[i * size()], element, size());
    }
    REQUIRE_CUDA(cudaMemcpy(data_, bytes.data(), bytes.size(), cudaMemcpyHostToDevice));
    REQUIRE_CUBLAS(cublasLtMatrixLayoutCreate(&layout_, type, static_cast<uint64_t>(rows),
                                              static_cast<uint64_t>(columns), leading));
    const int32_t value = order;
    REQUIRE_CUBLAS(
        cublasLtMatrixLayoutSetAttribute(layout_, CUBLASLT_MATRIX_LAYOUT_ORDER, &value, sizeof value));
  }
  ~Matrix() {
    cublasLtMatrixLayoutDestroy(layout_);
    cudaFree(data_);
  }
  Matrix(const Matrix&) = delete;
  Matrix& operator=(const Matrix&) = delete;

  cublasLtMatrixLayout_t layout() const { return layout_; }
  void* data() const { return data_; }
  // As it was made.
  float at(int row, int column) const { return values_[index(row, column)]; }
  float in_device(int row, int column) const {
    char bytes[4];
    REQUIRE_CUDA(cudaMemcpy(bytes, static_cast<char*>(data_) + index(row, column) * size(), size(),
                            cudaMemcpyDeviceToHost));
    uint16_t half;
    std::memcpy(&half, bytes, 2);
    float single;
    std::memcpy(&single, bytes, 4);
    return type_ == CUDA_R_32F   ? single
           : type_ == CUDA_R_16F ? __half2float(__ushort_as_half(half))
                                 : __bfloat162float(__ushort_as_bfloat16(half));
  }

 private:
  size_t size() const { return type_ == CUDA_R_32F ? 4 : 2; }
  size_t lines() const { return static_cast<size_t>(order_ == CUBLASLT_ORDER_COL ? columns_ : rows_); }
  size_t index(int row, int column) const {
    return static_cast<size_t>(order_ == CUBLASLT_ORDER_COL ? column * leading_ + row
                                                            : row * leading_ + column);
  }

  cudaDataType_t type_;
  int rows_, columns_, leading_;
  cublasLtOrder_t order_;
  std::vector<float> values_;
  void* data_ = nullptr;
  cublasLtMatrixLayout_t layout_ = nullptr;
};

// Handle, description and preference with some workspace.
class Library {
 public:
  explicit Library(int32_t transpose_a = CUBLAS_OP_N, int32_t transpose_b = CUBLAS_OP_N)
      : workspace_(kWorkspace) {
    REQUIRE_CUBLAS(cublasLtCreate(&handle));
    REQUIRE_CUBLAS(cublasLtMatmulDescCreate(&description, CUBLAS_COMPUTE_32F, CUDA_R_32F));
    REQUIRE_CUBLAS(cublasLtMatmulDescSetAttribute(description, CUBLASLT_MATMUL_DESC_TRANSA, &transpose_a, 4));
    REQUIRE_CUBLAS(cublasLtMatmulDescSetAttribute(description, CUBLASLT_MATMUL_DESC_TRANSB, &transpose_b, 4));
    REQUIRE_CUBLAS(cublasLtMatmulPreferenceCreate(&preference));
    allow_workspace(kWorkspace);
  }
  ~Library() {
    cublasLtMatmulPreferenceDestroy(preference);
    cublasLtMatmulDescDestroy(description);
    cublasLtDestroy(handle);
  }
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;

  void allow_workspace(uint64_t bytes) const {
    REQUIRE_CUBLAS(cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                                        &bytes, sizeof bytes));
  }

  std::vector<cublasLtMatmulHeuristicResult_t> heuristic(const Matrix& a, const Matrix& b,
                                                         const Matrix& d) const {
    std::vector<cublasLtMatmulHeuristicResult_t> results(8);
    int returned = 0;
    REQUIRE_CUBLAS(cublasLtMatmulAlgoGetHeuristic(handle, description, a.layout(), b.layout(), d.layout(),
                                                  d.layout(), preference, 8, results.data(), &returned));
    results.resize(static_cast<size_t>(returned));
    return results;
  }

  cublasStatus_t multiply(float alpha, const Matrix& a, const Matrix& b, float beta, const Matrix& d,
                          const cublasLtMatmulAlgo_t* algorithm, cudaStream_t stream,
                          size_t workspace_bytes = kWorkspace) const {
    return cublasLtMatmul(handle, description, &alpha, a.data(), a.layout(), b.data(), b.layout(), &beta,
                          d.data(), d.layout(), d.data(), d.layout(), algorithm, workspace_.data(),
                          workspace_bytes, stream);
  }

  static constexpr size_t kWorkspace = 1 << 20;
  cublasLtHandle_t handle = nullptr;
  cublasLtMatmulDesc_t description = nullptr;
  cublasLtMatmulPreference_t preference = nullptr;

 private:
  DeviceVector<char> workspace_;
};

TEST_CASE("cublasLt: types, transposes, orders, leading dimensions, alpha and beta") {
  TestStream stream;
  constexpr int kM = 13, kN = 7, kK = 37;
  for (const auto& [in, out] : {std::pair{CUDA_R_16F, CUDA_R_16F}, std::pair{CUDA_R_16F, CUDA_R_32F},
                                std::pair{CUDA_R_16BF, CUDA_R_16BF}, std::pair{CUDA_R_16BF, CUDA_R_32F},
                                std::pair{CUDA_R_32F, CUDA_R_32F}}) {
    for (int variant = 0; variant < 8; variant++) {
      const bool transpose_a = variant & 1, transpose_b = variant & 2;
      const cublasLtOrder_t order = variant & 4 ? CUBLASLT_ORDER_ROW : CUBLASLT_ORDER_COL;
      const Library library(transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N, transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N);
      const Matrix a(in, transpose_a ? kK : kM, transpose_a ? kM : kK, 40, order, 1);
      const Matrix b(in, transpose_b ? kN : kK, transpose_b ? kK : kN, 41, order, 2);
      const Matrix d(out, kM, kN, 17, order, 3);
      REQUIRE_CUBLAS(library.multiply(0.5f, a, b, 2.0f, d, nullptr, stream));
      REQUIRE_CUDA(stream.synchronize());
      const double tolerance = out == CUDA_R_32F ? 1e-5 : out == CUDA_R_16F ? 4e-3 : 4e-2;
      for (int i = 0; i < kM; i++) {
        for (int j = 0; j < kN; j++) {
          double sum = 0;
          for (int k = 0; k < kK; k++) {
            sum += static_cast<double>(transpose_a ? a.at(k, i) : a.at(i, k)) *
                   (transpose_b ? b.at(j, k) : b.at(k, j));
          }
          const double expected = 0.5 * sum + 2.0 * d.at(i, j);
          CHECK(std::fabs(d.in_device(i, j) - expected) <= tolerance);
        }
      }
    }
  }
}

TEST_CASE("cublasLt: several algorithms, with workspaces, that can be pinned") {
  TestStream stream;
  const Library library;
  const Matrix a(CUDA_R_32F, 8, 64, 8, CUBLASLT_ORDER_COL, 1),
      b(CUDA_R_32F, 64, 4, 64, CUBLASLT_ORDER_COL, 2);
  const Matrix d(CUDA_R_32F, 8, 4, 8, CUBLASLT_ORDER_COL, 3);
  const auto found = library.heuristic(a, b, d);
  REQUIRE(found.size() == 3);
  CHECK(found[0].workspaceSize == 0);
  CHECK(found[1].workspaceSize == 4 * 8 * 4 * sizeof(float));
  std::vector<float> results[3];
  for (size_t i = 0; i < 3; i++) {
    // As written into a file of tuned algorithms and read back.
    cublasLtMatmulAlgo_t algorithm;
    REQUIRE_CUBLAS(cublasLtMatmulAlgoInit(library.handle, CUBLAS_COMPUTE_32F, CUDA_R_32F, CUDA_R_32F,
                                          CUDA_R_32F, CUDA_R_32F, CUDA_R_32F, 66, &algorithm));
    for (const auto attribute : {CUBLASLT_ALGO_CONFIG_SPLITK_NUM, CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME}) {
      uint32_t value = 0;
      size_t written = 0;
      REQUIRE_CUBLAS(
          cublasLtMatmulAlgoConfigGetAttribute(&found[i].algo, attribute, &value, sizeof value, &written));
      CHECK(written == sizeof value);
      REQUIRE_CUBLAS(cublasLtMatmulAlgoConfigSetAttribute(&algorithm, attribute, &value, sizeof value));
    }
    cublasLtMatmulHeuristicResult_t checked;
    REQUIRE_CUBLAS(cublasLtMatmulAlgoCheck(library.handle, library.description, a.layout(), b.layout(),
                                           d.layout(), d.layout(), &algorithm, &checked));
    CHECK(checked.workspaceSize == found[i].workspaceSize);
    REQUIRE_CUBLAS(library.multiply(1, a, b, 0, d, &algorithm, stream));
    REQUIRE_CUDA(stream.synchronize());
    for (int j = 0; j < 32; j++) results[i].push_back(d.in_device(j % 8, j / 8));
    if (found[i].workspaceSize > 0) {
      CHECK(library.multiply(1, a, b, 0, d, &algorithm, stream, found[i].workspaceSize - 1) ==
            CUBLAS_STATUS_INVALID_VALUE);
    }
  }
  CHECK(results[0] != results[1]);
  for (size_t j = 0; j < 32; j++) CHECK(results[0][j] == doctest::Approx(results[1][j]).epsilon(1e-4));
  library.allow_workspace(0);
  CHECK(library.heuristic(a, b, d).size() == 1);
}

TEST_CASE("cublasLt: products wait in streams, are captured, and fail when told to") {
  TestStream stream;
  const Library library;
  const Matrix a(CUDA_R_32F, 2, 2, 2, CUBLASLT_ORDER_COL, 1), b(CUDA_R_32F, 2, 2, 2, CUBLASLT_ORDER_COL, 2);
  const Matrix d(CUDA_R_32F, 2, 2, 2, CUBLASLT_ORDER_COL, 3);
  REQUIRE_CUDA(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  REQUIRE_CUBLAS(library.multiply(1, a, b, 0, d, nullptr, stream));
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t executable = nullptr;
  REQUIRE_CUDA(cudaStreamEndCapture(stream, &graph));
  REQUIRE_CUDA(cudaGraphInstantiate(&executable, graph, 0));
  REQUIRE_CUDA(cudaGraphDestroy(graph));
  REQUIRE_CUDA(cudaGraphLaunch(executable, stream));
  CHECK(d.in_device(1, 1) == d.at(1, 1));
  REQUIRE_CUDA(stream.synchronize());
  CHECK(d.in_device(1, 1) == doctest::Approx(a.at(1, 0) * b.at(0, 1) + a.at(1, 1) * b.at(1, 1)));
  REQUIRE_CUDA(cudaGraphExecDestroy(executable));
  weir_emulator_fail_call("cublasLtMatmul", 1, CUBLAS_STATUS_INTERNAL_ERROR, 0);
  CHECK(library.multiply(1, a, b, 0, d, nullptr, stream) == CUBLAS_STATUS_INTERNAL_ERROR);
  weir_emulator_fail_launch(1, cudaErrorIllegalAddress);
  REQUIRE_CUBLAS(library.multiply(1, a, b, 0, d, nullptr, stream));
  CHECK(stream.synchronize() == cudaErrorIllegalAddress);
  CHECK(library.multiply(1, a, b, 0, d, nullptr, stream) == CUBLAS_STATUS_EXECUTION_FAILED);
}

TEST_CASE("cublasLt: shapes that do not fit and types that are not supported") {
  TestStream stream;
  const Library library;
  const Matrix a(CUDA_R_16F, 4, 6, 4, CUBLASLT_ORDER_COL, 1), b(CUDA_R_16F, 6, 2, 6, CUBLASLT_ORDER_COL, 2);
  const Matrix d(CUDA_R_16F, 4, 2, 4, CUBLASLT_ORDER_COL, 3),
      wrong(CUDA_R_16F, 4, 3, 4, CUBLASLT_ORDER_COL, 3);
  const Matrix other(CUDA_R_16BF, 4, 2, 4, CUBLASLT_ORDER_COL, 3);
  CHECK(library.multiply(1, a, b, 0, d, nullptr, stream) == CUBLAS_STATUS_SUCCESS);
  CHECK(library.multiply(1, a, b, 0, wrong, nullptr, stream) == CUBLAS_STATUS_INVALID_VALUE);
  CHECK(library.multiply(1, a, b, 0, other, nullptr, stream) == CUBLAS_STATUS_NOT_SUPPORTED);
  // More columns than there is memory.
  const uint64_t columns = 3;
  REQUIRE_CUBLAS(
      cublasLtMatrixLayoutSetAttribute(b.layout(), CUBLASLT_MATRIX_LAYOUT_COLS, &columns, sizeof columns));
  CHECK(library.multiply(1, a, b, 0, wrong, nullptr, stream) == CUBLAS_STATUS_INVALID_VALUE);
  REQUIRE_CUDA(stream.synchronize());
}

}  // namespace
