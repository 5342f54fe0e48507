// Matrix multiplication by oneDNN, loaded at run time so that the library works without it.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

namespace weir::cpu {

struct OneDnnApi;

// The library if it can be loaded; otherwise null, and `reason` says why. Looked for once a process: at the
// path in the environment variable WEIR_DNNL_LIBRARY, else as libdnnl.so.3 (loaded already, beside libweir,
// or on the system).
const OneDnnApi* load_onednn(std::string& reason);
std::string onednn_version(const OneDnnApi& api);

// Rows for which a compiled kernel is kept. Row counts between two of them are rounded up, so that a few
// kernels serve all batches.
int64_t onednn_rows(int64_t rows);

class OneDnnStream;

// A matrix in the library's packed layout.
class OneDnnMatrix {
 public:
  // `weight` is [out][in] row-major and not used after the constructor returns.
  OneDnnMatrix(const OneDnnApi& api, const float* weight, int64_t out, int64_t in, int threads);
  ~OneDnnMatrix();

 private:
  friend class OneDnnStream;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// What one thread needs to run multiplications: scratch memory and argument objects, kept for each shape.
class OneDnnStream {
 public:
  // `threads` is the most that a multiplication uses; small ones use one.
  OneDnnStream(const OneDnnApi& api, int threads);
  ~OneDnnStream();

  // out = x * matrix^T. x and out have onednn_rows(rows) rows; those beyond `rows` are read and written, and
  // ignored.
  void multiply(const OneDnnMatrix& matrix, const float* x, int64_t rows, float* out);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace weir::cpu
