// Matrix multiplication by oneDNN, loaded at run time so that the library works without it. Each call runs on
// the calling thread alone: the thread pool divides the work, so that the library's own threads never start.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "backend/cpu/bfloat16.h"

namespace weir::cpu {

struct OneDnnApi;

// The library if it can be loaded; otherwise null, and `reason` says why. Looked for once a process: at the
// path in the environment variable WEIR_DNNL_LIBRARY, else as libdnnl.so.3 (loaded already, beside libweir,
// or on the system).
const OneDnnApi* load_onednn(std::string& reason);
std::string onednn_version(const OneDnnApi& api);
// Whether the library multiplies by matrices that are packed as avx512/matmul.h says, in bfloat16 and in
// 8-bit integers: not if it was told to leave out AVX-512 (ONEDNN_MAX_CPU_ISA).
bool onednn_multiplies_packed(const OneDnnApi& api);

// Rows for which a kernel for 32-bit floats is compiled. Row counts between two of them are rounded up, so
// that a few kernels serve all batches.
int64_t onednn_rows(int64_t rows);

// A matrix of 32-bit floats in the library's packed layout.
class OneDnnMatrix {
 public:
  // `weight` is [out][in] row-major and not used after the constructor returns.
  OneDnnMatrix(const OneDnnApi& api, const float* weight, int64_t out, int64_t in);
  ~OneDnnMatrix();

 private:
  friend class OneDnnStream;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// What one thread needs to run multiplications: scratch memory and argument objects, kept for each shape.
class OneDnnStream {
 public:
  explicit OneDnnStream(const OneDnnApi& api);
  ~OneDnnStream();

  // out = x * matrix^T, rows of out being out_stride floats apart. x and out have onednn_rows(rows) rows;
  // those beyond `rows` are read and written, and ignored.
  void multiply(const OneDnnMatrix& matrix, const float* x, int64_t rows, float* out, int64_t out_stride);
  // The same in bfloat16 with exactly `rows` rows, by `width` outputs (a multiple of 64 but for the last) of
  // a matrix that is packed as avx512/matmul.h says.
  void multiply(const Bfloat16* packed, int64_t width, int64_t in, const Bfloat16* x, int64_t rows,
                float* out, int64_t out_stride);
  // The same in 8-bit integers, unsigned by signed, to 32-bit integers.
  void multiply(const int8_t* packed, int64_t width, int64_t in, const uint8_t* x, int64_t x_stride,
                int64_t rows, int32_t* out, int64_t out_stride);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace weir::cpu
