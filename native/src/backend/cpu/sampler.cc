// Every pass over the vocabulary treats each element alone or adds in a fixed order in fixed lanes, and
// CMakeLists.txt has this file compiled without contraction of a * b + c, so that a row gives the same bits
// with every instruction set.
#include <algorithm>
#include <cmath>
#include <limits>

#include "backend/cpu/operators.h"
#include "backend/cpu/simd.h"
#include "core/philox.h"

namespace weir::cpu {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Lanes that reductions are taken in, whatever the length of the registers: enough additions that do not wait
// for each other.
constexpr int32_t kLanes = 64;

// Sums are taken in 32 bits within a block and in 64 bits over the blocks: with 16 additions to a lane the
// relative error is at most 16 * 2^-24.
constexpr int32_t kBlock = 16 * kLanes;

// The largest of a block's elements that are not NaN; -infinity if there is none.
WEIR_MULTIVERSION
float block_maximum(const float* x, int32_t count) {
  alignas(64) float lanes[kLanes];
  std::fill_n(lanes, kLanes, -kInfinity);
  int32_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (int32_t j = 0; j < kLanes; j++) lanes[j] = x[i + j] > lanes[j] ? x[i + j] : lanes[j];
  }
  float largest = -kInfinity;
  for (const float lane : lanes) largest = lane > largest ? lane : largest;
  for (; i < count; i++) largest = x[i] > largest ? x[i] : largest;
  return largest;
}

__attribute__((always_inline)) inline double sum_of_lanes(const float* lanes) {
  double sums[8] = {};
  for (int32_t i = 0; i < kLanes; i += 8) {
    for (int32_t j = 0; j < 8; j++) sums[j] += static_cast<double>(lanes[i + j]);
  }
  return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

WEIR_MULTIVERSION
double block_sum(const float* x, int32_t count) {
  alignas(64) float lanes[kLanes] = {};
  int32_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (int32_t j = 0; j < kLanes; j++) lanes[j] += x[i + j];
  }
  double sum = sum_of_lanes(lanes);
  for (; i < count; i++) sum += static_cast<double>(x[i]);
  return sum;
}

// e^((logit - largest) / temperature)
WEIR_MULTIVERSION
void block_weights(const float* __restrict logits, int32_t count, float largest, float temperature,
                   float* __restrict weights) {
  for (int32_t i = 0; i < count; i++) weights[i] = fast_exp((logits[i] - largest) / temperature);
}

// Some of the most likely tokens.
struct Share {
  double amount = 0;  // their weight, or how many they are
  int32_t count = 0;
};

WEIR_MULTIVERSION
int32_t count_at_least(const float* logits, int32_t count, float limit) {
  int32_t found = 0;
  for (int32_t i = 0; i < count; i++) found += logits[i] >= limit ? 1 : 0;
  return found;
}

WEIR_MULTIVERSION
double block_weight_at_least(const float* logits, const float* weights, int32_t count, float limit) {
  alignas(64) float lanes[kLanes] = {};
  int32_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (int32_t j = 0; j < kLanes; j++) lanes[j] += logits[i + j] >= limit ? weights[i + j] : 0.0f;
  }
  double sum = sum_of_lanes(lanes);
  for (; i < count; i++) sum += logits[i] >= limit ? static_cast<double>(weights[i]) : 0;
  return sum;
}

// Sets the weights to zero of tokens that are less likely than `last`, whose logit is `limit`.
WEIR_MULTIVERSION
void drop_less_likely(const float* __restrict logits, int32_t count, float limit, int32_t last,
                      float* __restrict weights) {
  for (int32_t i = 0; i < count; i++) {
    const bool kept = (logits[i] > limit) | ((logits[i] == limit) & (i <= last));
    weights[i] = kept ? weights[i] : 0.0f;
  }
}

// Writes the tokens with a logit in [low, high); how many they are.
WEIR_MULTIVERSION
int32_t collect(const float* logits, int32_t count, float low, float high, int32_t* tokens) {
  int32_t found = 0;
  for (int32_t begin = 0; begin < count; begin += kLanes) {
    const int32_t end = std::min(begin + kLanes, count);
    int32_t inside = 0;
    for (int32_t i = begin; i < end; i++) inside += ((logits[i] >= low) & (logits[i] < high)) ? 1 : 0;
    if (inside == 0) continue;
    for (int32_t i = begin; i < end; i++) {
      if (logits[i] >= low && logits[i] < high) tokens[found++] = i;
    }
  }
  return found;
}

struct Best {
  int32_t token = 0;
  float logit = -kInfinity;
};

// The first of the largest logits; -infinity if all are that or NaN.
Best find_best(const float* logits, int32_t count) {
  int32_t block = 0;
  float largest = -kInfinity;
  for (int32_t begin = 0; begin < count; begin += kBlock) {
    const float of_block = block_maximum(logits + begin, std::min(kBlock, count - begin));
    if (of_block > largest) {
      largest = of_block;
      block = begin;
    }
  }
  if (largest == -kInfinity) return {};
  return {static_cast<int32_t>(std::find(logits + block, logits + count, largest) - logits), largest};
}

// The sum of e^((logit - largest) / temperature), which it also writes to `weights` unless that is null.
double weigh(const float* logits, int32_t count, float largest, float temperature, float* weights) {
  alignas(64) float local[kBlock];
  double sum = 0;
  for (int32_t begin = 0; begin < count; begin += kBlock) {
    const int32_t size = std::min(kBlock, count - begin);
    float* block = weights != nullptr ? weights + begin : local;
    block_weights(logits + begin, size, largest, temperature, block);
    sum += block_sum(block, size);
  }
  return sum;
}

double weight_of_all(const float* weights, int32_t count) {
  double sum = 0;
  for (int32_t begin = 0; begin < count; begin += kBlock) {
    sum += block_sum(weights + begin, std::min(kBlock, count - begin));
  }
  return sum;
}

Share share_at_least(const float* logits, const float* weights, int32_t count, float limit) {
  Share share;
  share.count = count_at_least(logits, count, limit);
  if (weights == nullptr) {
    share.amount = share.count;
    return share;
  }
  for (int32_t begin = 0; begin < count; begin += kBlock) {
    share.amount +=
        block_weight_at_least(logits + begin, weights + begin, std::min(kBlock, count - begin), limit);
  }
  return share;
}

// Order of likelihood; equal logits by id, so that the result never depends on the sort.
struct MoreLikely {
  const float* logits;
  bool operator()(int32_t a, int32_t b) const {
    return logits[a] > logits[b] || (logits[a] == logits[b] && a < b);
  }
};

// The least likely token of the smallest set of most likely tokens that amounts to `goal`: in weight, or in
// number where `weights` is null. Narrows down an interval of logits by passes that only compare and add, and
// sorts the few tokens that remain in it.
int32_t last_kept(const float* logits, const float* weights, int32_t count, float largest, double goal,
                  int32_t* candidates) {
  constexpr int32_t kFew = 128;
  constexpr int32_t kPasses = 48;  // then what remains is sorted, however much it is
  float low = -kInfinity;
  float high = std::nextafter(largest, kInfinity);
  float distance = 1;
  Share above_high;
  Share above_low{0, count};
  for (int32_t pass = 0; pass < kPasses && above_low.count - above_high.count > kFew; pass++) {
    // Ever further below the largest until the goal is met, then halfway.
    const bool halving = low != -kInfinity;
    const float middle = halving ? low / 2 + high / 2 : largest - distance;
    if (halving && !(low < middle && middle < high)) break;  // the logits between are all equal
    distance *= 2;
    const Share share = share_at_least(logits, weights, count, middle);
    if (share.amount >= goal) {
      low = middle;
      above_low = share;
    } else {
      high = middle;
      above_high = share;
    }
  }
  const int32_t found = collect(logits, count, low, high, candidates);
  std::sort(candidates, candidates + found, MoreLikely{logits});
  double amount = above_high.amount;
  for (int32_t i = 0; i < found; i++) {
    amount += weights != nullptr ? static_cast<double>(weights[candidates[i]]) : 1;
    if (amount >= goal) return candidates[i];
  }
  return candidates[found - 1];  // the sum in this order was rounded down
}

// The first token at which the sum of the weights exceeds `target`, which is less than the weight of all.
int32_t draw(const float* weights, int32_t count, double target) {
  double sum = 0;
  int32_t begin = 0;
  for (; begin < count; begin += kBlock) {
    const double block = block_sum(weights + begin, std::min(kBlock, count - begin));
    if (sum + block > target) break;
    sum += block;
  }
  int32_t token = begin;
  const int32_t end = std::min(begin + kBlock, count);
  for (; token < end; token++) {
    sum += static_cast<double>(weights[token]);
    if (sum > target) return token;
  }
  // The sum in this order was rounded down.
  do token--;
  while (weights[token] == 0);
  return token;
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

// Draws from tokens with the weights scratch.weights, which sum to `total`.
int32_t choose(const float* logits, int32_t count, float largest, double total, const SampleRequest& request,
               const SampleScratch& scratch) {
  const auto keep = [&](const float* weights, double goal) {
    const int32_t last = last_kept(logits, weights, count, largest, goal, scratch.candidates);
    drop_less_likely(logits, count, logits[last], last, scratch.weights);
    total = weight_of_all(scratch.weights, count);
  };
  if (request.top_k > 0 && request.top_k < count) keep(nullptr, request.top_k);
  if (request.top_p < 1) {
    const Share all = share_at_least(logits, scratch.weights, count, -kInfinity);
    keep(scratch.weights, request.top_p * all.amount);
  }
  const double uniform = philox_uniform(request.seed, static_cast<uint64_t>(request.position));
  return draw(scratch.weights, count, uniform * total);
}

void report_most_likely(const float* logits, int32_t count, float largest, double normalizer,
                        const SampleRequest& request, const SampleResult& result, int32_t* candidates) {
  const int32_t reported = std::min(request.top_logprobs, count);
  const int32_t last = last_kept(logits, nullptr, count, largest, reported, candidates);
  const int32_t found = collect(logits, count, logits[last], kInfinity, candidates);
  std::sort(candidates, candidates + found, MoreLikely{logits});
  for (int32_t i = 0; i < reported; i++) {
    result.top_tokens[i] = candidates[i];
    result.top_token_logprobs[i] = static_cast<float>(logits[candidates[i]] - normalizer);
  }
}

}  // namespace

bool sample_row(const float* logits, int32_t vocabulary_size, const SampleRequest& request,
                const SampleResult& result, const SampleScratch& scratch) {
  Best best = find_best(logits, vocabulary_size);
  if (!std::isfinite(best.logit)) return false;
  // Then the exponentials of the normalizer are the weights to draw with.
  const bool unchanged = request.repetition_penalty == 1 && request.temperature == 1;
  double total = weigh(logits, vocabulary_size, best.logit, 1, unchanged ? scratch.weights : nullptr);
  if (std::isnan(total)) return false;
  const double normalizer = best.logit + std::log(total);

  if (request.top_logprobs > 0) {
    report_most_likely(logits, vocabulary_size, best.logit, normalizer, request, result, scratch.candidates);
  }

  const float* penalized = logits;
  if (request.repetition_penalty != 1) {
    std::copy_n(logits, vocabulary_size, scratch.logits);
    apply_penalty(scratch.logits, request, scratch.seen);
    penalized = scratch.logits;
    best = find_best(penalized, vocabulary_size);
  }
  *result.token = best.token;
  // Extreme penalties make infinities.
  if (request.temperature > 0 && std::isfinite(best.logit)) {
    if (!unchanged) {
      total = weigh(penalized, vocabulary_size, best.logit, request.temperature, scratch.weights);
    }
    *result.token = choose(penalized, vocabulary_size, best.logit, total, request, scratch);
  }
  *result.logprob = static_cast<float>(logits[*result.token] - normalizer);
  return true;
}

}  // namespace weir::cpu
