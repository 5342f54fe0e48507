#include <algorithm>

#include "backend/cpu/operators.h"

namespace weir::cpu {

void embed(const StepBatch& batch, const float* table, int64_t columns, float* out) {
  gather_rows(table, batch.token_ids, batch.tokens, columns, out);
}

void gather_rows(const float* x, const int32_t* rows, int64_t count, int64_t columns, float* out) {
  for (int64_t i = 0; i < count; i++) std::copy_n(x + rows[i] * columns, columns, out + i * columns);
}

}  // namespace weir::cpu
