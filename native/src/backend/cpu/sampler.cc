#include <algorithm>
#include <cmath>

#include "backend/cpu/operators.h"
#include "core/philox.h"

namespace weir::cpu {
namespace {

// Order of likelihood; equal logits by id, so that the result never depends on the sort.
struct MoreLikely {
  const float* logits;
  bool operator()(int32_t a, int32_t b) const {
    return logits[a] > logits[b] || (logits[a] == logits[b] && a < b);
  }
};

int32_t argmax(const float* logits, int32_t count) {
  return static_cast<int32_t>(std::max_element(logits, logits + count) - logits);
}

double log_sum_exp(const float* logits, int32_t count, float largest) {
  double sum = 0;
  for (int32_t i = 0; i < count; i++) sum += std::exp(static_cast<double>(logits[i]) - largest);
  return largest + std::log(sum);
}

void apply_penalty(float* logits, const SampleRequest& request, uint64_t* seen) {
  for (const int32_t token : request.history) {
    const uint64_t bit = uint64_t{1} << (token % 64);
    if (seen[token / 64] & bit) continue;
    seen[token / 64] |= bit;
    float& logit = logits[token];
    logit = logit > 0 ? logit / request.repetition_penalty : logit * request.repetition_penalty;
  }
  for (const int32_t token : request.history) seen[token / 64] = 0;
}

int32_t choose(const float* logits, int32_t count, const SampleRequest& request, int32_t* candidates) {
  const int32_t best = argmax(logits, count);
  if (request.temperature == 0) return best;
  const auto weight = [&](int32_t token) {
    return std::exp((static_cast<double>(logits[token]) - logits[best]) / request.temperature);
  };
  const double uniform = philox_uniform(request.seed, static_cast<uint64_t>(request.position));

  const bool limited = request.top_k > 0 && request.top_k < count;
  if (!limited && request.top_p >= 1) {
    double total = 0;
    for (int32_t token = 0; token < count; token++) total += weight(token);
    double sum = 0;
    for (int32_t token = 0; token < count; token++) {
      sum += weight(token);
      if (sum > uniform * total) return token;
    }
    return best;  // uniform * total rounded up to the sum of all
  }

  const MoreLikely more_likely{logits};
  for (int32_t i = 0; i < count; i++) candidates[i] = i;
  int32_t kept = count;
  if (limited) {
    kept = request.top_k;
    std::nth_element(candidates, candidates + kept - 1, candidates + count, more_likely);
  }
  double total = 0;
  for (int32_t i = 0; i < kept; i++) total += weight(candidates[i]);
  // A heap yields the most likely tokens one by one; the nucleus is usually a few of them, so sorting all is
  // a waste.
  const auto less_likely = [&](int32_t a, int32_t b) { return more_likely(b, a); };
  std::make_heap(candidates, candidates + kept, less_likely);
  double nucleus = 0;
  int32_t left = kept;
  do {
    std::pop_heap(candidates, candidates + left, less_likely);
    nucleus += weight(candidates[--left]);
  } while (left > 0 && nucleus < request.top_p * total);
  double sum = 0;
  for (int32_t i = kept - 1; i > left; i--) {
    sum += weight(candidates[i]);
    if (sum > uniform * nucleus) return candidates[i];
  }
  return candidates[left];
}

}  // namespace

bool sample_row(const float* logits, int32_t vocabulary_size, const SampleRequest& request,
                const SampleResult& result, const SampleScratch& scratch) {
  const int32_t best = argmax(logits, vocabulary_size);
  const double normalizer = log_sum_exp(logits, vocabulary_size, logits[best]);
  if (!std::isfinite(normalizer)) return false;

  if (request.top_logprobs > 0) {
    int32_t* order = scratch.candidates;
    for (int32_t i = 0; i < vocabulary_size; i++) order[i] = i;
    const int32_t reported = std::min(request.top_logprobs, vocabulary_size);
    std::partial_sort(order, order + reported, order + vocabulary_size, MoreLikely{logits});
    for (int32_t i = 0; i < reported; i++) {
      result.top_tokens[i] = order[i];
      result.top_token_logprobs[i] = static_cast<float>(logits[order[i]] - normalizer);
    }
  }

  const float* penalized = logits;
  if (request.repetition_penalty != 1) {
    std::copy_n(logits, vocabulary_size, scratch.logits);
    apply_penalty(scratch.logits, request, scratch.seen);
    penalized = scratch.logits;
  }
  *result.token = choose(penalized, vocabulary_size, request, scratch.candidates);
  *result.logprob = static_cast<float>(logits[*result.token] - normalizer);
  return true;
}

}  // namespace weir::cpu
