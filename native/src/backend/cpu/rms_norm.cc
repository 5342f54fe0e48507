#include <cmath>

#include "backend/cpu/operators.h"
#include "backend/cpu/simd.h"

namespace weir::cpu {

void reference::rms_norm(const float* x, const float* gain, float epsilon, int64_t rows, int64_t columns,
                         float* out) {
  for (int64_t row = 0; row < rows; row++) {
    float squares = 0;
    for (int64_t i = 0; i < columns; i++) squares += x[row * columns + i] * x[row * columns + i];
    const float scale = 1.0f / std::sqrt(squares / static_cast<float>(columns) + epsilon);
    for (int64_t i = 0; i < columns; i++) out[row * columns + i] = x[row * columns + i] * scale * gain[i];
  }
}

namespace {

WEIR_MULTIVERSION
void norm_row(const float* x, const float* gain, float epsilon, int64_t columns, float* out) {
  const float scale = 1.0f / std::sqrt(dot(x, x, columns) / static_cast<float>(columns) + epsilon);
#pragma omp simd
  for (int64_t i = 0; i < columns; i++) out[i] = x[i] * scale * gain[i];
}

WEIR_MULTIVERSION
void add_row(float* residual, const float* delta, int64_t columns) {
#pragma omp simd
  for (int64_t i = 0; i < columns; i++) residual[i] += delta[i];
}

}  // namespace

void rms_norm(const float* x, const float* gain, float epsilon, int64_t rows, int64_t columns, float* out,
              ThreadPool& threads) {
  threads.run_if(rows * columns > parallel_work.elements, rows, [&](int64_t row, int) {
    norm_row(x + row * columns, gain, epsilon, columns, out + row * columns);
  });
}

void add_rms_norm(float* residual, const float* delta, const float* gain, float epsilon, int64_t rows,
                  int64_t columns, float* out, ThreadPool& threads) {
  threads.run_if(rows * columns > parallel_work.elements, rows, [&](int64_t row, int) {
    add_row(residual + row * columns, delta + row * columns, columns);
    norm_row(residual + row * columns, gain, epsilon, columns, out + row * columns);
  });
}

}  // namespace weir::cpu
