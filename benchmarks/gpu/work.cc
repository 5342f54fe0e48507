#include "work.h"

#include <algorithm>

namespace weir::benchmark {
namespace {

constexpr double kElement = 2;  // bytes of a weight or an activation
constexpr double kFloat = 4;

double as_double(int64_t value) { return static_cast<double>(value); }

}  // namespace

int64_t ModelShape::layer_matrix_parameters() const {
  return hidden * (query_size() + 2 * kv_size()) + query_size() * hidden + 3 * hidden * intermediate;
}

int64_t ModelShape::parameters() const {
  return layers * layer_matrix_parameters() + 2 * head_parameters() + norm_parameters();
}

ModelShape llama_2_7b() { return {"llama-2-7b", 4096, 11008, 32, 32, 32, 128, 32000, 4096}; }
ModelShape tinyllama_1b() { return {"tinyllama-1.1b", 2048, 5632, 22, 32, 4, 64, 32000, 2048}; }
ModelShape smoke_model() { return {"smoke", 256, 256, 2, 2, 2, 128, 320, 256}; }

double kv_bytes_per_token(const ModelShape& shape, const KvFormat& kv) {
  const double of_head = as_double(shape.head_size * kv.bytes) + (kv.scaled ? kFloat : 0);
  return 2 * as_double(shape.kv_heads) * of_head;
}

double attended_pairs(const Entry& entry) {
  const double context = as_double(entry.context);
  const double tokens = as_double(entry.tokens);
  return tokens * context - tokens * (tokens - 1) / 2;
}

Work attention_work(const ModelShape& shape, const KvFormat& kv, std::span<const Entry> entries) {
  Work work;
  for (const Entry& entry : entries) {
    work.bytes += as_double(entry.context) * kv_bytes_per_token(shape, kv);
    work.bytes += 2 * as_double(entry.tokens * shape.query_size()) * kElement;
    work.operations += 4 * as_double(shape.query_size()) * attended_pairs(entry);
  }
  return work;
}

Work matmul_work(int64_t rows, int64_t in, int64_t out, int64_t output_bytes) {
  return {as_double(out * in + rows * in) * kElement + as_double(rows * out * output_bytes),
          2 * as_double(rows) * as_double(in) * as_double(out)};
}

StepWork step_work(const ModelShape& shape, const KvFormat& kv, std::span<const Entry> entries) {
  double tokens = 0, samples = 0;
  StepWork work;
  for (const Entry& entry : entries) {
    tokens += as_double(entry.tokens);
    samples += entry.samples ? 1 : 0;
    work.attention.bytes +=
        as_double(entry.context) * as_double(shape.layers) * kv_bytes_per_token(shape, kv);
    work.attention.operations +=
        4 * as_double(shape.query_size()) * attended_pairs(entry) * as_double(shape.layers);
  }
  const double layers = as_double(shape.layers * shape.layer_matrix_parameters());
  const double head = as_double(shape.head_parameters());
  work.matrices.bytes = layers * kElement + as_double(shape.norm_parameters()) * kFloat +
                        tokens * as_double(shape.hidden) * kElement + (samples > 0 ? head * kElement : 0);
  work.matrices.operations = 2 * (layers * tokens + head * samples);
  return work;
}

double tabulated_floor_bytes(const ModelShape& shape, const KvFormat& kv, int64_t resident_tokens) {
  return as_double(shape.parameters()) * kElement +
         as_double(resident_tokens * shape.layers) * kv_bytes_per_token(shape, kv);
}

Floor floor_of(const Work& work, double bytes_per_second, double operations_per_second) {
  const double memory = bytes_per_second > 0 ? work.bytes / bytes_per_second : 0;
  const double arithmetic = operations_per_second > 0 ? work.operations / operations_per_second : 0;
  return {std::max(memory, arithmetic), memory >= arithmetic ? "memory" : "arithmetic"};
}

double floor_by_part(const StepWork& work, double bytes_per_second, double operations_per_second) {
  return floor_of(work.matrices, bytes_per_second, operations_per_second).seconds +
         floor_of(work.attention, bytes_per_second, operations_per_second).seconds;
}

}  // namespace weir::benchmark
