#include <array>

#include "backend/cuda/operators.h"
#include "cuda_support.h"
#include "sampler_support.h"

using namespace weir;
using namespace weir::test;

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kHuge = std::numeric_limits<float>::max();
constexpr int32_t kReported = 64;

// How far the random number and top_p may be from the border between two tokens if CPU and device draw
// different ones. Both take exponentials in 32 bits.
constexpr double kBorder = 5e-6;

// Samples all rows in one launch. Every row reports up to kReported log-probabilities.
std::vector<Sample> sample(const std::vector<std::vector<float>>& rows,
                           const std::vector<SampleRequest>& requests) {
  const size_t vocabulary_size = rows[0].size();
  std::vector<float> flat;
  std::vector<int32_t> history;
  std::vector<cuda::SampleParameters> parameters;
  for (size_t r = 0; r < rows.size(); r++) {
    const SampleRequest& request = requests[r];
    REQUIRE(rows[r].size() == vocabulary_size);
    flat.insert(flat.end(), rows[r].begin(), rows[r].end());
    cuda::SampleParameters row{};
    row.temperature = request.temperature;
    row.top_p = request.top_p;
    row.repetition_penalty = request.repetition_penalty;
    row.top_k = request.top_k;
    row.top_logprobs = request.top_logprobs;
    row.history_start = static_cast<int32_t>(history.size());
    row.history_count = static_cast<int32_t>(request.history.size());
    row.seed = request.seed;
    row.position = request.position;
    parameters.push_back(row);
    history.insert(history.end(), request.history.begin(), request.history.end());
  }
  const DeviceArray<float> logits(flat);
  const DeviceArray<int32_t> histories(history);
  const DeviceArray<cuda::SampleParameters> parameters_on_device(parameters);
  const int32_t count = static_cast<int32_t>(rows.size());
  const int64_t scratch_bytes = cuda::sample_scratch_bytes(count, static_cast<int32_t>(vocabulary_size));
  const DeviceArray<unsigned char> scratch(static_cast<size_t>(scratch_bytes));
  const DeviceArray<int32_t> tokens(rows.size());
  const DeviceArray<float> logprobs(rows.size());
  const DeviceArray<int32_t> top_tokens(rows.size() * kReported);
  const DeviceArray<float> top_logprobs(rows.size() * kReported);
  cuda::SampleArguments arguments;
  arguments.logits = logits.data();
  arguments.rows = count;
  arguments.vocabulary_size = static_cast<int32_t>(vocabulary_size);
  arguments.max_top_logprobs = kReported;
  arguments.parameters = parameters_on_device.data();
  arguments.history = histories.data();
  arguments.scratch = scratch.data();
  arguments.tokens = tokens.data();
  arguments.logprobs = logprobs.data();
  arguments.top_tokens = top_tokens.data();
  arguments.top_token_logprobs = top_logprobs.data();
  cuda::sample(test_stream(), arguments);

  CHECK(same_bits<float>(logits.values(), flat));
  const std::vector<int32_t> all_tokens = tokens.values(), all_top_tokens = top_tokens.values();
  const std::vector<float> all_logprobs = logprobs.values(), all_top_logprobs = top_logprobs.values();
  scratch.values();
  std::vector<Sample> samples(rows.size());
  for (size_t r = 0; r < rows.size(); r++) {
    samples[r].token = all_tokens[r];
    samples[r].logprob = all_logprobs[r];
    samples[r].top_tokens.assign(&all_top_tokens[r * kReported], &all_top_tokens[r * kReported] + kReported);
    samples[r].top_logprobs.assign(&all_top_logprobs[r * kReported],
                                   &all_top_logprobs[r * kReported] + kReported);
  }
  return samples;
}

std::vector<float> penalized(std::vector<float> logits, const SampleRequest& request) {
  if (request.repetition_penalty == 1) return logits;
  std::vector<bool> seen(logits.size());
  for (const int32_t token : request.history) {
    if (seen[token]) continue;
    seen[token] = true;
    logits[token] = logits[token] > 0 ? logits[token] / request.repetition_penalty
                                      : logits[token] * request.repetition_penalty;
  }
  return logits;
}

// Compares with the CPU's sampler. Returns whether the tokens differ, which they may only next to a border.
bool differs(const std::vector<float>& logits, const SampleRequest& request, const Sample& device,
             RowSampler& on_cpu) {
  const Sample host = on_cpu(logits, request);
  const size_t reported = std::min<size_t>(request.top_logprobs, logits.size());
  for (size_t i = 0; i < kReported; i++) {
    CHECK(device.top_tokens[i] == (i < reported ? host.top_tokens[i] : -1));
    if (i < reported) {
      const float error = std::fabs(device.top_logprobs[i] - host.top_logprobs[i]);
      CHECK((device.top_logprobs[i] == host.top_logprobs[i] || error <= 1e-5));
    } else {
      CHECK(std::isnan(device.top_logprobs[i]));
    }
  }
  if (device.token == host.token) {
    CHECK((device.logprob == host.logprob || std::fabs(device.logprob - host.logprob) <= 1e-5));
    return false;
  }
  CAPTURE(request.temperature);
  CAPTURE(request.top_k);
  CAPTURE(request.top_p);
  CAPTURE(request.repetition_penalty);
  CAPTURE(device.token);
  CAPTURE(host.token);
  REQUIRE(device.token >= 0);
  REQUIRE(device.token < static_cast<int32_t>(logits.size()));
  CHECK(request.temperature > 0);
  CHECK(agrees(penalized(logits, request), request, device.token, kBorder));
  return true;
}

// Rows of `vocabulary_size` logits with requests of all kinds.
struct RandomRows {
  std::vector<std::vector<float>> logits;
  std::vector<SampleRequest> requests;
  std::vector<std::vector<int32_t>> histories;

  RandomRows(size_t vocabulary_size, size_t rows, uint32_t seed) : histories(rows) {
    std::mt19937 random(seed);
    const auto one_of = [&](auto... values) {
      const std::array options = {values...};
      return options[random() % options.size()];
    };
    for (size_t r = 0; r < rows; r++) {
      logits.push_back(random_logits(vocabulary_size, static_cast<uint32_t>(random()), random() % 2 == 0));
      // As of fp16: many are equal.
      if (random() % 4 == 0) {
        for (float& logit : logits.back()) logit = std::round(logit * 8) / 8;
      }
      // So close to each other that they share one bin of distances, or far from 0.
      if (random() % 4 == 0) {
        for (float& logit : logits.back()) logit = 3 + 1e-4f * logit;
      } else if (random() % 4 == 0) {
        for (float& logit : logits.back()) logit -= 1000;
      }
      SampleRequest request;
      request.temperature = one_of(0.0f, 0.05f, 0.7f, 1.0f, 1.0f, 1.7f, 20.0f);
      request.top_k = one_of(0, 0, 1, 5, 40, 1000, 100000);
      request.top_p = one_of(1.0f, 1.0f, 1e-6f, 0.1f, 0.5f, 0.9f, 0.95f, 0.9999f);
      request.repetition_penalty = one_of(1.0f, 1.0f, 1.1f, 2.0f, 0.5f);
      request.top_logprobs = one_of(0, 0, 1, 5, kReported);
      request.seed = static_cast<uint64_t>(random()) << 32 | random();
      request.position = static_cast<int64_t>(random() % 4096);
      if (request.repetition_penalty != 1) {
        const size_t length = random() % 300;
        for (size_t i = 0; i < length; i++) {
          histories[r].push_back(static_cast<int32_t>(random() % vocabulary_size));
        }
      }
      request.history = histories[r];
      requests.push_back(request);
    }
  }
};

struct Comparison {
  size_t tokens = 0;
  size_t differences = 0;
};

void compare_with_cpu(size_t vocabulary_size, size_t rows, uint32_t seed, Comparison& comparison) {
  CAPTURE(vocabulary_size);
  CAPTURE(seed);
  const RandomRows random(vocabulary_size, rows, seed);
  RowSampler on_cpu(vocabulary_size);
  const std::vector<Sample> samples = sample(random.logits, random.requests);
  for (size_t r = 0; r < rows; r++) {
    comparison.tokens++;
    if (differs(random.logits[r], random.requests[r], samples[r], on_cpu)) comparison.differences++;
  }
}

// The tokens that are drawn in many draws.
std::vector<int32_t> drawn(const std::vector<float>& logits, SampleRequest request, int64_t draws) {
  std::vector<bool> seen(logits.size());
  std::vector<SampleRequest> requests;
  for (request.position = 0; request.position < draws; request.position++) requests.push_back(request);
  const std::vector<std::vector<float>> rows(draws, logits);
  for (const Sample& s : sample(rows, requests)) {
    REQUIRE(s.token >= 0);
    seen[s.token] = true;
  }
  std::vector<int32_t> tokens;
  for (size_t i = 0; i < seen.size(); i++) {
    if (seen[i]) tokens.push_back(static_cast<int32_t>(i));
  }
  return tokens;
}

}  // namespace

TEST_CASE("cuda sampler: chooses what the CPU chooses, but next to the border of two tokens") {
  if (!has_cuda_device()) return;
  Comparison comparison;
  // Sizes that are no multiple of 4 are read one by one; from 4097 on a block has more threads.
  for (uint32_t seed = 0; seed < 20; seed++) {
    for (const size_t vocabulary_size : {1, 2, 30, 512, 999, 1024, 4000}) {
      compare_with_cpu(vocabulary_size, 20, seed, comparison);
    }
  }
  // 34816 is the longest row that is kept in shared memory.
  for (const size_t vocabulary_size : {4096, 5001, 32000, 34816, 34817}) {
    compare_with_cpu(vocabulary_size, 16, 100, comparison);
  }
  compare_with_cpu(128256, 6, 101, comparison);
  MESSAGE("of ", comparison.tokens, " tokens ", comparison.differences, " were next to a border");
  CHECK(comparison.differences * 1000 <= comparison.tokens);
}

TEST_CASE("cuda sampler: a row does not depend on its batch") {
  if (!has_cuda_device()) return;
  for (const size_t vocabulary_size : {1000, 5003}) {
    const RandomRows random(vocabulary_size, 12, 7);
    const std::vector<Sample> together = sample(random.logits, random.requests);
    for (size_t r = 0; r < together.size(); r++) {
      const Sample alone = sample({random.logits[r]}, {random.requests[r]})[0];
      CHECK(alone.token == together[r].token);
      CHECK(alone.logprob == together[r].logprob);
      CHECK(alone.top_tokens == together[r].top_tokens);
      CHECK(same_bits<float>(alone.top_logprobs, together[r].top_logprobs));
    }
  }
}

TEST_CASE("cuda sampler: rows with NaN or +infinity, or nothing but -infinity, are refused") {
  if (!has_cuda_device()) return;
  for (const size_t vocabulary_size : {50, 999, 4100}) {
    std::vector<std::vector<float>> rows;
    std::vector<SampleRequest> requests;
    std::vector<bool> bad;
    std::mt19937 random(3);
    const auto add = [&](std::vector<float> logits, bool is_bad) {
      for (const float temperature : {0.0f, 1.0f}) {
        SampleRequest request;
        request.temperature = temperature;
        request.top_p = 0.5f;
        request.top_logprobs = 3;
        rows.push_back(logits);
        requests.push_back(request);
        bad.push_back(is_bad);
      }
    };
    for (const size_t place : {size_t{0}, size_t{random() % vocabulary_size}, vocabulary_size - 1}) {
      for (const float value : {kNan, -kNan, kInfinity, -kInfinity}) {
        std::vector<float> logits = random_logits(vocabulary_size, static_cast<uint32_t>(place), false);
        logits[place] = value;
        add(logits, value != -kInfinity);
      }
    }
    add(std::vector<float>(vocabulary_size, -kInfinity), true);
    add(std::vector<float>(vocabulary_size, kNan), true);
    std::vector<float> one(vocabulary_size, -kInfinity);
    one[vocabulary_size / 2] = -3;
    add(one, false);
    one[vocabulary_size / 2] = -kHuge;
    add(one, false);

    RowSampler on_cpu(vocabulary_size);
    const std::vector<Sample> samples = sample(rows, requests);
    for (size_t r = 0; r < rows.size(); r++) {
      CAPTURE(r);
      if (bad[r]) {
        CHECK(samples[r].token == -1);
        CHECK(std::isnan(samples[r].logprob));
        CHECK(samples[r].top_tokens == std::vector<int32_t>(kReported, -1));
      } else {
        differs(rows[r], requests[r], samples[r], on_cpu);
        CHECK(rows[r][samples[r].token] != -kInfinity);
      }
    }
  }
}

TEST_CASE("cuda sampler: among equal logits the smaller ids come first") {
  if (!has_cuda_device()) return;
  constexpr int32_t kVocabulary = 4000;
  std::vector<float> levels(kVocabulary);
  for (int32_t i = 0; i < kVocabulary; i++) levels[i] = static_cast<float>(i % 4);
  SampleRequest request;
  request.temperature = 1e20f;  // all equally likely, yet not equal
  request.top_k = 3;
  CHECK(drawn(levels, request, 40) == std::vector<int32_t>{3, 7, 11});
  request.top_k = 0;
  request.top_p = 4.5f / kVocabulary;
  CHECK(drawn(levels, request, 60) == std::vector<int32_t>{3, 7, 11, 15, 19});

  // More equal logits than are ever sorted, so that the last one is found by its number.
  for (const float logit : {-3.5f, 0.0f, 1e30f}) {
    std::vector<float> equal(kVocabulary, logit);
    if (logit == 0) equal[1] = -0.0f;
    SampleRequest few;
    few.temperature = 1;
    few.top_k = 4;
    few.top_logprobs = 5;
    CHECK(drawn(equal, few, 50) == std::vector<int32_t>{0, 1, 2, 3});
    few.top_k = 0;
    few.top_p = 2.5f / kVocabulary;
    CHECK(drawn(equal, few, 40) == std::vector<int32_t>{0, 1, 2});
    few.temperature = 0;
    const Sample s = sample({equal}, {few})[0];
    CHECK(s.token == 0);
    for (int32_t i = 0; i < 5; i++) CHECK(s.top_tokens[i] == i);
  }
  // 2500 equal ones behind 1500 that are more likely.
  std::vector<float> behind(kVocabulary, 1);
  for (int32_t i = 0; i < 1500; i++) behind[2 * i + 1] = 2;
  request = {};
  request.temperature = 1e20f;
  request.top_k = 1502;
  for (const int32_t token : drawn(behind, request, 50)) {
    CHECK((behind[token] == 2 || token == 0 || token == 2));
  }
  request.top_k = 3999;
  request.top_p = 0.99f;  // of 3999, 3960: neither the last 39 nor the one that top-k left out
  for (const int32_t token : drawn(behind, request, 100)) CHECK(token < kVocabulary - 40);
}

TEST_CASE("cuda sampler: any logits that are not NaN or +infinity can be sampled") {
  if (!has_cuda_device()) return;
  constexpr float kTiny = std::numeric_limits<float>::denorm_min();
  constexpr int32_t kVocabulary = 300;
  std::vector<int32_t> history(kVocabulary);
  std::iota(history.begin(), history.end(), 0);
  for (const float unit : {kTiny, 1.0f, 1e8f, kHuge / kVocabulary}) {
    for (const float offset : {-1.0f, -0.5f, 0.0f}) {
      std::vector<float> logits(kVocabulary);
      for (int32_t i = 0; i < kVocabulary; i++) {
        logits[i] = unit * (static_cast<float>(i) + std::round(offset * kVocabulary));
      }
      logits[5] = -kInfinity;
      logits[6] = -0.0f;
      const std::vector<int32_t> order = by_likelihood(logits);
      std::vector<SampleRequest> requests;
      for (const float temperature : {0.0f, kTiny, 1.0f, kHuge}) {
        for (const float penalty : {1.0f, kTiny, kHuge}) {
          for (const int32_t top_k : {0, 1, 150}) {
            for (const float top_p : {1.0f, 0.5f, kTiny}) {
              SampleRequest request;
              request.temperature = temperature;
              request.repetition_penalty = penalty;
              request.history = history;
              request.top_k = top_k;
              request.top_p = top_p;
              request.top_logprobs = kReported;
              requests.push_back(request);
            }
          }
        }
      }
      const std::vector<Sample> samples =
          sample(std::vector<std::vector<float>>(requests.size(), logits), requests);
      RowSampler on_cpu(kVocabulary);
      for (size_t r = 0; r < requests.size(); r++) {
        const SampleRequest& request = requests[r];
        const int32_t token = samples[r].token;
        CHECK((token >= 0 && token < kVocabulary));
        CHECK(token != 5);
        if (request.repetition_penalty == 1 &&
            (request.temperature == 0 || request.top_k == 1 || request.top_p == kTiny)) {
          CHECK(token == order[0]);
        }
        if (request.temperature == 0) CHECK(token == on_cpu(logits, request).token);
        CHECK(std::equal(order.begin(), order.begin() + kReported, samples[r].top_tokens.begin()));
      }
    }
  }
}
