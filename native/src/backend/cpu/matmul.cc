#include <algorithm>

#include "backend/cpu/operators.h"
#include "backend/cpu/simd.h"

namespace weir::cpu {

void reference::matmul(const float* weight, const float* x, int64_t rows, int64_t in, int64_t out_size,
                       float* out) {
  for (int64_t row = 0; row < rows; row++) {
    for (int64_t j = 0; j < out_size; j++) {
      float sum = 0;
      for (int64_t i = 0; i < in; i++) sum += x[row * in + i] * weight[j * in + i];
      out[row * out_size + j] = sum;
    }
  }
}

namespace {

WEIR_MULTIVERSION
void multiply_output(const float* weight_row, const float* x, int64_t rows, int64_t in, int64_t out_size,
                     float* out) {
  for (int64_t row = 0; row < rows; row++) out[row * out_size] = dot(x + row * in, weight_row, in);
}

}  // namespace

// Used where oneDNN is not at hand: reads every weight once, however many rows there are.
void matmul(const float* weight, const float* x, int64_t rows, int64_t in, int64_t out_size, float* out,
            ThreadPool& threads) {
  constexpr int64_t kOutputs = 16;
  threads.run_if(rows * in * out_size > parallel_work.multiply_adds, (out_size + kOutputs - 1) / kOutputs,
                 [&](int64_t i, int) {
                   const int64_t end = std::min(out_size, (i + 1) * kOutputs);
                   for (int64_t j = i * kOutputs; j < end; j++) {
                     multiply_output(weight + j * in, x, rows, in, out_size, out + j);
                   }
                 });
}

}  // namespace weir::cpu
