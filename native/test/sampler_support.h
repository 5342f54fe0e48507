// What the tests of the samplers share: rows to sample, and what 64-bit arithmetic says of them.
#pragma once

#include "core/philox.h"
#include "operator_support.h"

namespace weir::test {

struct Sample {
  int32_t token = -7;
  float logprob = -7;
  std::vector<int32_t> top_tokens = std::vector<int32_t>(64, -7);
  std::vector<float> top_logprobs = std::vector<float>(64, -7);
};

inline std::vector<double> softmax(const std::vector<float>& logits, double temperature) {
  const double largest = *std::max_element(logits.begin(), logits.end());
  std::vector<double> p;
  double sum = 0;
  for (const float logit : logits) sum += p.emplace_back(std::exp((logit - largest) / temperature));
  for (double& value : p) value /= sum;
  return p;
}

// Samples single rows without a backend.
class RowSampler {
 public:
  explicit RowSampler(size_t vocabulary_size)
      : logits_(vocabulary_size),
        weights_(vocabulary_size),
        candidates_(vocabulary_size),
        seen_((vocabulary_size + 63) / 64) {}

  Sample operator()(const std::vector<float>& logits, const SampleRequest& request,
                    decltype(cpu::sample_row)* sample_row = cpu::sample_row) {
    REQUIRE(logits.size() == logits_.size());
    Sample s;
    REQUIRE(sample_row(logits.data(), static_cast<int32_t>(logits.size()), request,
                       {&s.token, &s.logprob, s.top_tokens.data(), s.top_logprobs.data()},
                       {logits_.data(), weights_.data(), candidates_.data(), seen_.data()}));
    return s;
  }

 private:
  std::vector<float> logits_, weights_;
  std::vector<int32_t> candidates_;
  std::vector<uint64_t> seen_;
};

// Random logits of a vocabulary: flat, as of a model with random weights, or with a few likely tokens.
inline std::vector<float> random_logits(size_t vocabulary_size, uint32_t seed, bool peaked) {
  std::vector<float> logits = random_floats(vocabulary_size, seed, 2);
  std::mt19937 random(seed);
  for (int i = 0; peaked && i < 20; i++) {
    logits[random() % vocabulary_size] = 10 + 0.01f * static_cast<float>(random() % 1000);
  }
  return logits;
}

inline std::vector<int32_t> by_likelihood(const std::vector<float>& logits) {
  std::vector<int32_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) { return logits[a] > logits[b]; });
  return order;
}

// Whether 64-bit arithmetic draws `token`, too, if the random number and top_p may each be off by
// `tolerance`.
inline bool agrees(const std::vector<float>& logits, const SampleRequest& request, int32_t token,
                   double tolerance) {
  const double uniform = philox_uniform(request.seed, static_cast<uint64_t>(request.position));
  std::vector<int32_t> kept = by_likelihood(logits);
  if (request.top_k > 0) kept.resize(std::min(kept.size(), static_cast<size_t>(request.top_k)));
  const std::vector<double> p = softmax(logits, request.temperature);
  double total = 0;
  for (const int32_t i : kept) total += p[i];
  const bool filtered = request.top_p < 1;
  double mass = 0;
  for (size_t size = 1; size <= kept.size(); size++) {
    const double without = mass;
    mass += p[kept[size - 1]] / total;
    if (filtered ? mass < request.top_p - tolerance : size < kept.size()) continue;
    if (filtered && without >= request.top_p + tolerance) break;
    std::vector<int32_t> nucleus(kept.begin(), kept.begin() + static_cast<std::ptrdiff_t>(size));
    std::sort(nucleus.begin(), nucleus.end());
    double before = 0;
    for (const int32_t i : nucleus) {
      const double after = before + p[i] / total / mass;
      if (i == token && uniform >= before - tolerance && uniform < after + tolerance) return true;
      before = after;
    }
  }
  return false;
}

}  // namespace weir::test
