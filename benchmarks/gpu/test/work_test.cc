#include "work.h"

#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <vector>

using namespace weir::benchmark;

namespace {

std::vector<Entry> decodes(int64_t batch, int64_t context) {
  return std::vector<Entry>(static_cast<size_t>(batch), {context, 1, true});
}

// The table has two decimals, one for the last number, and was computed from 13.48 GB of weights.
void check_floor(int64_t batch, int64_t context, double bytes_per_second, double milliseconds) {
  CAPTURE(batch);
  CAPTURE(context);
  const double bytes = tabulated_floor_bytes(llama_2_7b(), {}, batch * context);
  CHECK(std::fabs(bytes / bytes_per_second * 1e3 - milliseconds) < (milliseconds == 35.1 ? 0.05 : 0.006));
}

}  // namespace

TEST_CASE("Llama-2-7B has as many parameters as it is known for") {
  const ModelShape model = llama_2_7b();
  CHECK(model.parameters() == 6738415616);
  // 4 * 4096^2 + 3 * 4096 * 11008.
  CHECK(model.layer_matrix_parameters() == 202375168);
  CHECK(model.head_parameters() == 131072000);
  CHECK(kv_bytes_per_token(model, {}) * 32 == 524288);
  CHECK(tinyllama_1b().parameters() == 1100048384);
}

TEST_CASE("the floors of shared/design/gpu.md") {
  constexpr double kA100 = 2.039e12, kH200 = 4.3e12;
  check_floor(1, 512, kA100, 6.74);
  check_floor(1, 1024, kA100, 6.87);
  check_floor(8, 512, kA100, 7.66);
  check_floor(8, 1024, kA100, 8.72);
  check_floor(32, 512, kA100, 10.82);
  check_floor(32, 1024, kA100, 15.04);
  check_floor(64, 512, kA100, 15.04);
  check_floor(64, 1024, kA100, 23.46);
  check_floor(128, 512, kA100, 23.46);
  check_floor(1, 512, kH200, 3.20);
  check_floor(1, 1024, kH200, 3.26);
  check_floor(8, 512, kH200, 3.63);
  check_floor(8, 1024, kH200, 4.13);
  check_floor(32, 512, kH200, 5.13);
  check_floor(32, 1024, kH200, 7.13);
  check_floor(64, 512, kH200, 7.13);
  check_floor(64, 1024, kH200, 11.13);
  check_floor(128, 512, kH200, 11.13);
  check_floor(128, 1024, kH200, 19.12);
  check_floor(256, 512, kH200, 19.12);
  check_floor(256, 1024, kH200, 35.1);
}

TEST_CASE(
    "a step of decodes: what it counts less than the tabulated floor is the embedding it does not read") {
  const ModelShape model = llama_2_7b();
  const StepWork work = step_work(model, {}, decodes(64, 512));
  const double table = 32000.0 * 4096 * 2, rows = 64.0 * 4096 * 2;
  // Gains of norms are kept in 32 bits.
  const double norms = 65.0 * 4096 * 2;
  CHECK(work.total().bytes == tabulated_floor_bytes(model, {}, 64 * 512) - table + rows + norms);
  // 2 operations for each parameter that is multiplied with: 6,607,077,376 of them.
  CHECK(work.matrices.operations == 64 * 2 * 6607077376.0);
  // 4 * 4096 * 512 a sequence and layer.
  CHECK(work.attention.operations == 64.0 * 32 * 4 * 4096 * 512);
}

TEST_CASE("gpu.md: at batch 256 and context 512, with multiplications at their own limit, 20.3 ms") {
  const StepWork work = step_work(llama_2_7b(), {}, decodes(256, 512));
  CHECK(floor_by_part(work, 4.3e12, 790e12) * 1e3 == doctest::Approx(20.3).epsilon(0.005));
  const Floor together = floor_of(work.total(), 4.3e12, 790e12);
  CHECK(together.seconds < floor_by_part(work, 4.3e12, 790e12));
  CHECK(std::string(together.bound) == "memory");
}

TEST_CASE("a prompt: each token sees those before it and itself; only the last one has logits") {
  const Entry entry{4, 4, true};
  CHECK(attended_pairs(entry) == 1 + 2 + 3 + 4);
  CHECK(attended_pairs({10, 2, false}) == 9 + 10);
  const StepWork work = step_work(llama_2_7b(), {}, std::vector<Entry>{{512, 512, true}});
  CHECK(work.matrices.operations == 2.0 * (512 * 32 * 202375168.0 + 131072000.0));
  CHECK(work.attention.operations == 32.0 * 4 * 4096 * (512.0 * 513 / 2));
  CHECK(std::string(floor_of(work.total(), 4.3e12, 790e12).bound) == "arithmetic");
  // Without logits the head is not read either.
  const StepWork silent = step_work(llama_2_7b(), {}, std::vector<Entry>{{512, 512, false}});
  CHECK(work.matrices.bytes - silent.matrices.bytes == 32000.0 * 4096 * 2);
}

TEST_CASE("operators: attention reads keys, values and queries and writes its result") {
  const ModelShape model = llama_2_7b();
  const Work plain = attention_work(model, {}, decodes(2, 100));
  CHECK(plain.bytes == 2 * 100 * 16384.0 + 2 * 2 * 4096 * 2.0);
  CHECK(plain.operations == 2 * 4 * 4096 * 100.0);
  const Work scaled = attention_work(model, {"int8", 1, true}, decodes(2, 100));
  CHECK(scaled.bytes == 2 * 100 * 2 * 32 * (128 + 4.0) + 2 * 2 * 4096 * 2.0);
  // Groups of 8 queries share keys and values.
  CHECK(kv_bytes_per_token(tinyllama_1b(), {}) == 2 * 4 * 64 * 2);
}

TEST_CASE("operators: a multiplication") {
  const Work work = matmul_work(8, 4096, 12288, 2);
  CHECK(work.bytes == 2.0 * 4096 * 12288 + 8 * 4096 * 2.0 + 8 * 12288 * 2.0);
  CHECK(work.operations == 2.0 * 8 * 4096 * 12288);
}

TEST_CASE("a ceiling that was not measured limits nothing") {
  CHECK(floor_of({10, 20}, 0, 0).seconds == 0);
  CHECK(floor_of({10, 20}, 5, 0).seconds == 2);
  CHECK(std::string(floor_of({10, 20}, 5, 1).bound) == "arithmetic");
}
