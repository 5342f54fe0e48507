// One block chooses the token of one row, in one launch. A row of up to kStagedVocabulary logits is read from
// device memory once and kept in shared memory; a longer one is read again in each pass, from the L2 cache
// where it fits.
//
// The weight of a token, e^((logit - largest) / temperature), is kept as an integer, a multiple of 2^-40.
// Integers add up to the same sum in any order, so that sums over the row need no fixed order, running sums
// agree with totals, and what is chosen depends on the row alone. What is cut off, less than 2^-40 of the
// weight of all for each token, is below the accuracy of __expf: 2 + 1.2 |x| units of the last place (CUDA
// C++ programming guide), 2e-6 of the smallest weights.
//
// Filters find their least likely token without sorting the row: a histogram of the distances from the
// largest logit says which bin it is in, and only that bin is sorted. A bin of too many tokens is divided by
// the bits of the logits, up to the last.
#include <cfloat>
#include <climits>
#include <cmath>
#include <cstddef>

#include "backend/cuda/launch.h"
#include "backend/cuda/operators.h"
#include "backend/cuda/ptx.h"
#include "backend/cuda/reduce.h"
#include "backend/cuda/vector.h"
#include "core/philox.h"

namespace weir::cuda {
namespace {

constexpr int32_t kMaxThreads = kMaxWarps * kWarpSize;

// With the workspace and the arrays of reductions 161.9 KiB of the 163 KiB that a block can have on compute
// capability 8.0.
constexpr int32_t kStagedVocabulary = 34816;

// Up to here, fewer threads have enough to do.
constexpr int32_t kSmallVocabulary = 4096;
constexpr int32_t kSmallThreads = 256;

constexpr int32_t kBins = 2048;
constexpr int32_t kCandidates = 2048;

// Levels of `select`: bins of distance, then 11, 11 and 10 bits of the order of the logits.
constexpr int32_t kLevels = 4;

constexpr float kWeightUnits = 0x1p40f;

struct Histogram {
  uint32_t tokens[kBins];
  // Sums of weights, modulo 2^32 and the rest: shared memory adds 32 bits in one instruction.
  uint32_t low[kBins];
  uint32_t high[kBins];
};

// A token by likelihood and among equal logits by id.
struct Rank {
  float logit;
  int32_t token;
};

// The bin that holds the goal.
struct Bin {
  uint64_t before;  // what the bins before it amount to
  uint32_t tokens;
  uint32_t digit;
};

struct alignas(128) Workspace {
  union {
    Histogram histogram;
    uint64_t candidates[kCandidates];
  };
  Bin bin;
  Rank rank;
  uint32_t candidate_count;
};

// Where e^((logit - largest) / temperature) is 1, and how fast it falls.
struct Weigher {
  float largest;
  float inverse_temperature;

  __device__ __forceinline__ uint64_t operator()(float logit) const {
    return static_cast<uint64_t>(__expf((logit - largest) * inverse_temperature) * kWeightUnits);
  }
};

// Ascending for descending logits. 0 and -0 are equal.
__device__ __forceinline__ uint32_t order_of(float logit) {
  const uint32_t bits = __float_as_uint(logit + 0.0f);
  return (bits & 0x80000000u) != 0 ? bits : ~(bits | 0x80000000u);
}

__device__ __forceinline__ float logit_of(uint32_t order) {
  return __uint_as_float((order & 0x80000000u) != 0 ? order : ~order & 0x7FFFFFFFu);
}

// Ascending from the most likely token on, equal logits by id.
__device__ __forceinline__ uint64_t key_of(float logit, int32_t token) {
  return uint64_t{order_of(logit)} << 32 | static_cast<uint32_t>(token);
}

__device__ __forceinline__ Rank rank_of(uint64_t key) {
  return {logit_of(static_cast<uint32_t>(key >> 32)), static_cast<int32_t>(key & 0xFFFFFFFFu)};
}

// Whether a token is at least as likely as `last`.
__device__ __forceinline__ bool is_kept(const Rank& last, float logit, int32_t token) {
  return logit > last.logit || (logit == last.logit && token <= last.token);
}

// 128 bins for each octave of distances from 2^-8 to 2^8; the first and the last one hold what is nearer and
// farther.
__device__ __forceinline__ uint32_t bin_of_distance(float distance) {
  constexpr int32_t kFirst = (127 - 8) << 7;
  const int32_t bin = (__float_as_int(distance) >> 16) - kFirst;
  return static_cast<uint32_t>(bin < 0 ? 0 : (bin < kBins ? bin : kBins - 1));
}

// A row of logits, and which of them the calling warp takes.
template <int32_t kWidth>
struct Row {
  const float* logits;
  int32_t size;
  int32_t segment;  // logits of one warp, a multiple of kWarpSize * kWidth

  __device__ explicit Row(const float* all, int32_t vocabulary_size) : logits(all), size(vocabulary_size) {
    constexpr int32_t kStep = kWarpSize * kWidth;
    const int32_t share = (size + warps_of_block() - 1) / warps_of_block();
    segment = (share + kStep - 1) / kStep * kStep;
  }

  static constexpr int32_t kStride = kWarpSize * kWidth;

  // Calls visit(token, end, logits of kLoads groups of kWidth tokens, kStride apart) until the tokens of the
  // warp have been passed; -infinity stands for what is beyond their end. The loads of one call are under way
  // together.
  template <int32_t kLoads, typename Visit>
  __device__ __forceinline__ void visit_groups(Visit visit) const {
    const int32_t begin = warp_of_thread() * segment;
    const int32_t end = begin + segment < size ? begin + segment : size;
    for (int32_t token = begin + lane_of_thread() * kWidth; token < end; token += kLoads * kStride) {
      Vector<float, kWidth> groups[kLoads];
#pragma unroll
      for (int32_t load = 0; load < kLoads; load++) {
        if (token + load * kStride < end) {
          groups[load] = load_vector<kWidth>(logits + token + load * kStride);
        } else {
#pragma unroll
          for (int32_t i = 0; i < kWidth; i++) groups[load].element[i] = -INFINITY;
        }
      }
      visit(token, end, groups);
    }
  }

  // Calls visit(token, logit) for the tokens of the warp, each in one lane. Two loads under way leave
  // registers for what is done with them, which takes longer than the loads.
  template <typename Visit>
  __device__ __forceinline__ void visit(Visit visit) const {
    constexpr int32_t kLoads = 2;
    visit_groups<kLoads>([&](int32_t first, int32_t end, const Vector<float, kWidth>(&groups)[kLoads]) {
#pragma unroll
      for (int32_t load = 0; load < kLoads; load++) {
        if (first + load * kStride >= end) break;
#pragma unroll
        for (int32_t i = 0; i < kWidth; i++) visit(first + load * kStride + i, groups[load].element[i]);
      }
    });
  }
};

// The first of the largest logits, and the sum of e^(logit - the largest), which is NaN if a logit is.
struct Survey {
  Rank best;
  float sum;
};

// Reads the row once, and copies it to `staged` unless that is null.
template <int32_t kWidth>
__device__ Survey survey(const Row<kWidth>& row, float* staged) {
  constexpr int32_t kLoads = 4;
  Rank best{-INFINITY, INT_MAX};
  float sum = 0;
  float reference = -FLT_MAX;  // finite, so that a difference from it is never NaN by itself
  row.template visit_groups<kLoads>(
      [&](int32_t first, int32_t end, const Vector<float, kWidth>(&groups)[kLoads]) {
#pragma unroll
        for (int32_t load = 0; load < kLoads; load++) {
          const int32_t token = first + load * row.kStride;
          if (staged != nullptr && token < end) store_vector<kWidth>(staged + token, groups[load]);
#pragma unroll
          for (int32_t i = 0; i < kWidth; i++) {
            if (groups[load].element[i] > best.logit) best = {groups[load].element[i], token + i};
          }
        }
        if (best.logit > reference) {
          sum *= expf(reference - best.logit);
          reference = best.logit;
        }
#pragma unroll
        for (int32_t load = 0; load < kLoads; load++) {
#pragma unroll
          for (int32_t i = 0; i < kWidth; i++) sum += __expf(groups[load].element[i] - reference);
        }
      });
  const uint64_t key = block_reduce(key_of(best.logit, best.token), Minimum{}, ~uint64_t{0});
  best = rank_of(key);
  // In 64 bits, so that the order of the sums of the threads matters little.
  const double total = block_sum(static_cast<double>(sum * expf(reference - best.logit)));
  return {best, static_cast<float>(total)};
}

template <int32_t kWidth>
__device__ Rank find_best(const Row<kWidth>& row) {
  Rank best{-INFINITY, INT_MAX};
  row.visit([&](int32_t token, float logit) {
    if (logit > best.logit) best = {logit, token};
  });
  best = rank_of(block_reduce(key_of(best.logit, best.token), Minimum{}, ~uint64_t{0}));
  return best.token == INT_MAX ? Rank{best.logit, 0} : best;
}

// The first token at which the running sum of weight(token, logit) exceeds target(sum of all), which is less
// than the sum of all.
template <int32_t kWidth, typename Weight, typename Target>
__device__ int32_t locate(const Row<kWidth>& row, Weight weight, Target target_of) {
  __shared__ uint64_t of_warp[kMaxWarps];
  uint64_t sum = 0;
  row.visit([&](int32_t token, float logit) { sum += weight(token, logit); });

  int32_t begin = 0;
  int32_t piece = row.segment;
  uint64_t target = 0;
  for (bool whole = true;; whole = false) {
    sum = warp_reduce(sum, Add{});
    __syncthreads();
    if (lane_of_thread() == 0) of_warp[warp_of_thread()] = sum;
    __syncthreads();
    const uint64_t own = lane_of_thread() < warps_of_block() ? of_warp[lane_of_thread()] : 0;
    const uint64_t through = warp_inclusive_sum(own);
    if (whole) target = target_of(__shfl_sync(kAllLanes, through, kWarpSize - 1));
    const int32_t owner = __ffs(static_cast<int32_t>(__ballot_sync(kAllLanes, through > target))) - 1;
    target -= __shfl_sync(kAllLanes, through - own, owner);
    begin += owner * piece;
    if (piece == kWarpSize) break;

    const int32_t end = begin + piece;
    piece = (piece / warps_of_block() + kWarpSize - 1) / kWarpSize * kWarpSize;
    const int32_t first = begin + warp_of_thread() * piece;
    sum = 0;
    for (int32_t token = first + lane_of_thread(); token < first + piece && token < end && token < row.size;
         token += kWarpSize) {
      sum += weight(token, row.logits[token]);
    }
  }
  const int32_t token = begin + lane_of_thread();
  const uint64_t own = token < row.size ? weight(token, row.logits[token]) : 0;
  const uint64_t through = warp_inclusive_sum(own);
  return begin + __ffs(static_cast<int32_t>(__ballot_sync(kAllLanes, through > target))) - 1;
}

// The tokens that a search has been narrowed down to: their digits in the levels before `level` are known.
struct Interval {
  float largest;
  int32_t level = 0;
  uint32_t bin = 0;     // level 0
  uint32_t prefix = 0;  // the higher levels

  __device__ __forceinline__ static int32_t shift(int32_t level) {
    return level == 1 ? 21 : (level == 2 ? 10 : 0);
  }

  __device__ __forceinline__ bool contains(float logit) const {
    if (level > 0 && bin_of_distance(largest - logit) != bin) return false;
    return level <= 1 || order_of(logit) >> shift(level - 1) == prefix;
  }

  __device__ __forceinline__ uint32_t digit(float logit) const {
    if (level == 0) return bin_of_distance(largest - logit);
    return order_of(logit) >> shift(level) & (level == 3 ? 1023u : 2047u);
  }

  __device__ __forceinline__ void narrow(uint32_t digit) {
    if (level == 0) {
      bin = digit;
    } else {
      prefix = level == 3 ? prefix << 10 | digit : (level == 2 ? prefix << 11 | digit : digit);
    }
    level++;
  }
};

template <bool kByWeight>
__device__ __forceinline__ void add_to(Histogram& histogram, uint32_t bin, uint64_t weight) {
  atomicAdd(&histogram.tokens[bin], 1u);
  if constexpr (kByWeight) {
    const uint32_t low = static_cast<uint32_t>(weight);
    const uint32_t old = atomicAdd(&histogram.low[bin], low);
    const uint32_t high = static_cast<uint32_t>(weight >> 32) + (old + low < old ? 1u : 0u);
    if (high != 0) atomicAdd(&histogram.high[bin], high);
  }
}

template <bool kByWeight>
__device__ __forceinline__ uint64_t amount_in(const Histogram& histogram, int32_t bin) {
  if constexpr (kByWeight) {
    return uint64_t{histogram.high[bin]} << 32 | histogram.low[bin];
  } else {
    return histogram.tokens[bin];
  }
}

// Sorts `count` <= kCandidates keys, which all threads wrote before a barrier. Bitonic; the keys are padded
// to a power of two, which is returned.
__device__ int32_t sort_candidates(uint64_t* keys, int32_t count) {
  int32_t padded = 2;
  while (padded < count) padded *= 2;
  for (int32_t i = count + static_cast<int32_t>(threadIdx.x); i < padded;
       i += static_cast<int32_t>(blockDim.x)) {
    keys[i] = ~uint64_t{0};
  }
  for (int32_t run = 2; run <= padded; run *= 2) {
    for (int32_t distance = run / 2; distance > 0; distance /= 2) {
      __syncthreads();
      for (int32_t i = static_cast<int32_t>(threadIdx.x); i < padded / 2;
           i += static_cast<int32_t>(blockDim.x)) {
        const int32_t low = 2 * distance * (i / distance) + i % distance;
        const bool ascending = (low & run) == 0;
        const uint64_t a = keys[low];
        const uint64_t b = keys[low + distance];
        if ((a > b) == ascending) {
          keys[low] = b;
          keys[low + distance] = a;
        }
      }
    }
  }
  __syncthreads();
  return padded;
}

// The keys of the tokens that `wanted` says, unordered. There are at most kCandidates of them.
template <int32_t kWidth, typename Wanted>
__device__ void collect(const Row<kWidth>& row, Workspace& workspace, Wanted wanted) {
  if (threadIdx.x == 0) workspace.candidate_count = 0;
  __syncthreads();  // also: candidates of an earlier call have been read
  row.visit([&](int32_t token, float logit) {
    if (wanted(token, logit)) {
      workspace.candidates[atomicAdd(&workspace.candidate_count, 1u)] = key_of(logit, token);
    }
  });
  __syncthreads();
}

struct Goal {
  // The number of tokens, or the share of the weight of all.
  uint64_t tokens = 0;
  float share = 0;
};

// The least likely token of the smallest set of most likely tokens that amounts to the goal, among those that
// `kept` keeps.
template <bool kByWeight, int32_t kWidth>
__device__ Rank select(const Row<kWidth>& row, const Rank& kept, const Weigher& weigh, const Goal& goal,
                       Workspace& workspace) {
  // Weights up to this one need no bin: all together they are less than what the goal leaves out, which is 1
  // - share of at least the weight of the most likely token. In most rows of a language model these are
  // nearly all.
  const uint64_t negligible =
      kByWeight ? static_cast<uint64_t>((1.0 - static_cast<double>(goal.share)) *
                                        static_cast<double>(kWeightUnits) / (2.0 * row.size))
                : 0;
  Interval interval{weigh.largest};
  uint64_t needed = goal.tokens;
  uint32_t found = 0;
  do {
    __syncthreads();  // what was in the workspace may still be read
    for (int32_t bin = static_cast<int32_t>(threadIdx.x); bin < kBins;
         bin += static_cast<int32_t>(blockDim.x)) {
      workspace.histogram.tokens[bin] = 0;
      if constexpr (kByWeight) {
        workspace.histogram.low[bin] = 0;
        workspace.histogram.high[bin] = 0;
      }
    }
    __syncthreads();
    uint64_t rest = 0;
    row.visit([&](int32_t token, float logit) {
      if (!is_kept(kept, logit, token) || !interval.contains(logit)) return;
      const uint64_t weight = kByWeight ? weigh(logit) : 1;
      if (kByWeight && weight <= negligible) {
        rest += weight;
      } else {
        add_to<kByWeight>(workspace.histogram, interval.digit(logit), weight);
      }
    });
    __syncthreads();

    const int32_t bins = kBins / static_cast<int32_t>(blockDim.x);
    const int32_t first = static_cast<int32_t>(threadIdx.x) * bins;
    uint64_t own = 0;
    for (int32_t bin = first; bin < first + bins; bin++)
      own += amount_in<kByWeight>(workspace.histogram, bin);
    const PrefixSum<uint64_t> sums = block_prefix_sum(own);
    if (kByWeight && interval.level == 0) {
      const uint64_t all = sums.total + block_sum(rest);
      needed = static_cast<uint64_t>(ceil(static_cast<double>(goal.share) * static_cast<double>(all)));
      if (needed == 0) needed = 1;
    }
    if (needed > sums.total) needed = sums.total;  // `share` times the sum was rounded up
    if (sums.before < needed && needed <= sums.before + own) {
      uint64_t before = sums.before;
      int32_t bin = first;
      while (before + amount_in<kByWeight>(workspace.histogram, bin) < needed) {
        before += amount_in<kByWeight>(workspace.histogram, bin++);
      }
      workspace.bin = {before, workspace.histogram.tokens[bin], static_cast<uint32_t>(bin)};
    }
    __syncthreads();
    needed -= workspace.bin.before;
    found = workspace.bin.tokens;
    interval.narrow(workspace.bin.digit);
  } while (found > kCandidates && interval.level < kLevels);

  if (found > kCandidates) {
    // All that are left are equal, so that the last one kept is found by number and id.
    const float logit = logit_of(interval.prefix);
    if constexpr (kByWeight) {
      const uint64_t weight = weigh(logit);
      needed = (needed + weight - 1) / weight;
    }
    const int32_t token = locate(
        row,
        [&](int32_t other, float value) -> uint64_t {
          return value == logit && is_kept(kept, value, other) ? 1 : 0;
        },
        [&](uint64_t) { return needed - 1; });
    return {logit, token};
  }

  collect(row, workspace, [&](int32_t token, float logit) {
    return is_kept(kept, logit, token) && interval.contains(logit) &&
           (!kByWeight || weigh(logit) > negligible);
  });
  const int32_t padded = sort_candidates(workspace.candidates, static_cast<int32_t>(found));
  if constexpr (!kByWeight) return rank_of(workspace.candidates[needed - 1]);

  const int32_t keys = (padded + static_cast<int32_t>(blockDim.x) - 1) / static_cast<int32_t>(blockDim.x);
  const auto weight_at = [&](int32_t i) -> uint64_t {
    return i < static_cast<int32_t>(found) ? weigh(rank_of(workspace.candidates[i]).logit) : 0;
  };
  const int32_t first = static_cast<int32_t>(threadIdx.x) * keys;
  uint64_t own = 0;
  for (int32_t i = first; i < first + keys; i++) own += weight_at(i);
  uint64_t before = block_prefix_sum(own).before;
  if (before < needed && needed <= before + own) {
    int32_t i = first;
    while (before + weight_at(i) < needed) before += weight_at(i++);
    workspace.rank = rank_of(workspace.candidates[i]);
  }
  __syncthreads();
  return workspace.rank;
}

template <int32_t kWidth>
__device__ void report_most_likely(const Row<kWidth>& row, const Rank& best, float log_sum, int32_t reported,
                                   Workspace& workspace, int32_t* tokens, float* logprobs) {
  Rank last{-INFINITY, INT_MAX};
  if (reported < row.size) {
    last =
        select<false>(row, last, Weigher{best.logit, 1.0f}, Goal{static_cast<uint64_t>(reported)}, workspace);
  }
  collect(row, workspace, [&](int32_t token, float logit) { return is_kept(last, logit, token); });
  sort_candidates(workspace.candidates, reported);
  for (int32_t i = static_cast<int32_t>(threadIdx.x); i < reported; i += static_cast<int32_t>(blockDim.x)) {
    const Rank rank = rank_of(workspace.candidates[i]);
    tokens[i] = rank.token;
    logprobs[i] = (rank.logit - best.logit) - log_sum;
  }
}

template <int32_t kWidth>
__device__ int32_t draw(const Row<kWidth>& row, const Rank& best, const SampleParameters& parameters,
                        Workspace& workspace) {
  // A temperature whose reciprocal is infinite counts as the smallest whose is not.
  const Weigher weigh{best.logit, fminf(1.0f / parameters.temperature, FLT_MAX)};
  Rank last{-INFINITY, INT_MAX};
  if (parameters.top_k > 0 && parameters.top_k < row.size) {
    last = select<false>(row, last, weigh, Goal{static_cast<uint64_t>(parameters.top_k)}, workspace);
  }
  if (parameters.top_p < 1) {
    last = select<true>(row, last, weigh, Goal{0, parameters.top_p}, workspace);
  }
  const double uniform = philox_uniform(parameters.seed, static_cast<uint64_t>(parameters.position));
  return locate(
      row,
      [&](int32_t token, float logit) -> uint64_t { return is_kept(last, logit, token) ? weigh(logit) : 0; },
      [&](uint64_t all) {
        const uint64_t target = static_cast<uint64_t>(uniform * static_cast<double>(all));
        return target < all ? target : all - 1;
      });
}

// Writes the logits of the tokens of the history once more, penalized. A token that is there several times is
// written several times, with the same value.
__device__ void apply_penalty(const SampleParameters& parameters, const int32_t* history, const float* logits,
                              float* penalized) {
  for (int32_t i = static_cast<int32_t>(threadIdx.x); i < parameters.history_count;
       i += static_cast<int32_t>(blockDim.x)) {
    const int32_t token = history[parameters.history_start + i];
    const float logit = logits[token];
    penalized[token] =
        logit > 0 ? logit / parameters.repetition_penalty : logit * parameters.repetition_penalty;
  }
  __syncthreads();
}

template <bool kStaged, int32_t kWidth>
__global__ void __launch_bounds__(kMaxThreads) sample_kernel(SampleArguments arguments) {
  WEIR_DYNAMIC_SHARED(shared);
  Workspace& workspace = *reinterpret_cast<Workspace*>(shared);
  griddepcontrol_wait();
  griddepcontrol_launch_dependents();

  const int64_t r = blockIdx.x;
  const int32_t vocabulary_size = arguments.vocabulary_size;
  const float* const logits = arguments.logits + r * vocabulary_size;
  // Read where it is needed: there are no registers to keep it in.
  const SampleParameters& parameters = arguments.parameters[r];
  // A copy of the row, if there is one; changed by the repetition penalty.
  float* const copy = kStaged ? reinterpret_cast<float*>(shared + sizeof(Workspace))
                              : static_cast<float*>(arguments.scratch) + r * vocabulary_size;

  const Survey raw = survey(Row<kWidth>(logits, vocabulary_size), kStaged ? copy : nullptr);
  const bool refused = !std::isfinite(raw.best.logit) || std::isnan(raw.sum);
  const float log_sum = logf(raw.sum);
  __syncthreads();

  int32_t* const top_tokens = arguments.top_tokens + r * arguments.max_top_logprobs;
  float* const top_logprobs = arguments.top_token_logprobs + r * arguments.max_top_logprobs;
  int32_t reported = refused ? 0 : parameters.top_logprobs;
  reported = min(min(reported, arguments.max_top_logprobs), vocabulary_size);
  for (int32_t i = reported + static_cast<int32_t>(threadIdx.x); i < arguments.max_top_logprobs;
       i += static_cast<int32_t>(blockDim.x)) {
    top_tokens[i] = -1;
    top_logprobs[i] = NAN;
  }
  if (refused) {
    if (threadIdx.x == 0) {
      arguments.tokens[r] = -1;
      arguments.logprobs[r] = NAN;
    }
    return;
  }

  Row<kWidth> row(kStaged ? copy : logits, vocabulary_size);
  if (reported > 0) {
    report_most_likely(row, raw.best, log_sum, reported, workspace, top_tokens, top_logprobs);
  }

  Rank best = raw.best;
  if (parameters.repetition_penalty != 1 && parameters.history_count > 0) {
    if (!kStaged) {
      row.visit([&](int32_t token, float logit) { copy[token] = logit; });
      row.logits = copy;
    }
    __syncthreads();
    apply_penalty(parameters, arguments.history, logits, copy);
    best = find_best(row);
  }
  int32_t token = best.token;
  // Extreme penalties make infinities.
  if (parameters.temperature > 0 && std::isfinite(best.logit)) token = draw(row, best, parameters, workspace);
  if (threadIdx.x == 0) {
    arguments.tokens[r] = token;
    arguments.logprobs[r] = (logits[token] - raw.best.logit) - log_sum;
  }
}

template <bool kStaged, int32_t kWidth>
void launch_sample(cudaStream_t stream, const SampleArguments& arguments) {
  const size_t row_bytes = kStaged ? static_cast<size_t>(arguments.vocabulary_size) * sizeof(float) : 0;
  // What kernels may ask for belongs to the device; to say it again costs nothing.
  if (kStaged) {
    allow_shared_bytes(sample_kernel<kStaged, kWidth>, sizeof(Workspace) + kStagedVocabulary * sizeof(float));
  }
  const int32_t threads = arguments.vocabulary_size <= kSmallVocabulary ? kSmallThreads : kMaxThreads;
  const LaunchShape shape{.grid = dim3(static_cast<uint32_t>(arguments.rows)),
                          .block = dim3(static_cast<uint32_t>(threads)),
                          .shared_bytes = sizeof(Workspace) + row_bytes,
                          .overlaps_previous = true};
  launch(sample_kernel<kStaged, kWidth>, shape, stream, arguments);
}

}  // namespace

int64_t sample_scratch_bytes(int32_t rows, int32_t vocabulary_size) {
  if (vocabulary_size <= kStagedVocabulary) return 0;
  return int64_t{rows} * vocabulary_size * static_cast<int64_t>(sizeof(float));
}

void sample(cudaStream_t stream, const SampleArguments& arguments) {
  if (arguments.rows == 0) return;
  const bool staged = arguments.vocabulary_size <= kStagedVocabulary;
  const bool vectors = arguments.vocabulary_size % 4 == 0;
  if (staged) {
    vectors ? launch_sample<true, 4>(stream, arguments) : launch_sample<true, 1>(stream, arguments);
  } else {
    vectors ? launch_sample<false, 4>(stream, arguments) : launch_sample<false, 1>(stream, arguments);
  }
}

}  // namespace weir::cuda
