#include <cmath>

#include "backend/cpu/operators.h"
#include "backend/cpu/simd.h"

namespace weir::cpu {

void reference::silu_multiply(const float* gate_up, int64_t rows, int64_t columns, float* out) {
  for (int64_t row = 0; row < rows; row++) {
    const float* gate = gate_up + row * 2 * columns;
    const float* up = gate + columns;
    for (int64_t i = 0; i < columns; i++) {
      out[row * columns + i] = gate[i] / (1.0f + std::exp(-gate[i])) * up[i];
    }
  }
}

namespace {

WEIR_MULTIVERSION
void silu_row(const float* gate, const float* up, int64_t columns, float* out) {
#pragma omp simd
  for (int64_t i = 0; i < columns; i++) out[i] = gate[i] / (1.0f + fast_exp(-gate[i])) * up[i];
}

}  // namespace

void silu_multiply(const float* gate_up, int64_t rows, int64_t columns, float* out, ThreadPool& threads) {
  threads.run_if(rows * columns > parallel_work.elements, rows, [&](int64_t row, int) {
    const float* gate = gate_up + row * 2 * columns;
    silu_row(gate, gate + columns, columns, out + row * columns);
  });
}

}  // namespace weir::cpu
