#include <doctest/doctest.h>

#include <map>

#include "core/philox.h"
#include "operator_support.h"

using namespace weir;
using namespace weir::test;

namespace {

struct Sample {
  int32_t token = -7;
  float logprob = -7;
  std::vector<int32_t> top_tokens = std::vector<int32_t>(64, -7);
  std::vector<float> top_logprobs = std::vector<float>(64, -7);
};

// What Context::sample returned last.
int64_t not_finite = -1;

// Samples all rows in one call.
std::vector<Sample> sample(Backend& backend, const std::vector<std::vector<float>>& rows,
                           const std::vector<SampleRequest>& requests) {
  const int64_t columns = static_cast<int64_t>(rows[0].size());
  std::vector<float> flat;
  for (const auto& row : rows) flat.insert(flat.end(), row.begin(), row.end());
  const Tensor logits(backend, static_cast<int64_t>(rows.size()), columns, flat);
  std::vector<Sample> samples(rows.size());
  std::vector<SampleResult> results;
  for (Sample& s : samples)
    results.push_back({&s.token, &s.logprob, s.top_tokens.data(), s.top_logprobs.data()});
  not_finite = backend.make_context(static_cast<int32_t>(columns))->sample(logits.view(), requests, results);
  return samples;
}

std::vector<double> softmax(const std::vector<float>& logits, double temperature) {
  const double largest = *std::max_element(logits.begin(), logits.end());
  std::vector<double> p;
  double sum = 0;
  for (const float logit : logits) sum += p.emplace_back(std::exp((logit - largest) / temperature));
  for (double& value : p) value /= sum;
  return p;
}

// Frequencies of `draws` tokens at different positions.
std::vector<double> frequencies(Backend& backend, const std::vector<float>& logits, SampleRequest request,
                                int draws) {
  std::vector<std::vector<float>> rows(draws, logits);
  std::vector<SampleRequest> requests;
  for (int i = 0; i < draws; i++) {
    request.position = i;
    requests.push_back(request);
  }
  std::vector<double> count(logits.size());
  for (const Sample& s : sample(backend, rows, requests)) count[s.token] += 1.0 / draws;
  return count;
}

// Largest deviation, in standard deviations, of the frequencies from `expected`.
double deviation(const std::vector<double>& measured, const std::vector<double>& expected, int draws) {
  double largest = 0;
  for (size_t i = 0; i < expected.size(); i++) {
    if (expected[i] == 0) {
      if (measured[i] > 0) return 1e9;
      continue;
    }
    const double sd = std::sqrt(expected[i] * (1 - expected[i]) / draws);
    largest = std::max(largest, std::fabs(measured[i] - expected[i]) / std::max(sd, 1e-9));
  }
  return largest;
}

constexpr int kDraws = 20000;
// 5 standard deviations over some hundred comparisons: a false alarm once in 10^4 seeds, and the seeds are
// fixed.
constexpr double kAlarm = 5;

const std::vector<float> kLogits = {1.0f, 2.5f, -1.0f, 2.5f, 0.3f, 2.0f, -4.0f, 1.7f, 0.0f, 2.2f};

}  // namespace

TEST_CASE("philox: the vectors of its authors (Random123, kat_vectors)") {
  const PhiloxBlock zero = philox(0, 0, 0);
  CHECK(zero.word[0] == 0x6627e8d5u);
  CHECK(zero.word[1] == 0xe169c58du);
  CHECK(zero.word[2] == 0xbc57ac4cu);
  CHECK(zero.word[3] == 0x9b00dbd8u);
  const PhiloxBlock ones = philox(~uint64_t{0}, ~uint64_t{0}, ~uint64_t{0});
  CHECK(ones.word[0] == 0x408f276du);
  CHECK(ones.word[1] == 0x41c83b0eu);
  CHECK(ones.word[2] == 0xa20bc7c6u);
  CHECK(ones.word[3] == 0x6d5451fdu);
  const PhiloxBlock pi = philox(0x299f31d0a4093822, 0x85a308d3243f6a88, 0x0370734413198a2e);
  CHECK(pi.word[0] == 0xd16cfe09u);
  CHECK(pi.word[1] == 0x94fdccebu);
  CHECK(pi.word[2] == 0x5001e420u);
  CHECK(pi.word[3] == 0x24126ea1u);
}

TEST_CASE("sampler: greedy takes the largest, the first of equals, and reports log-probabilities") {
  for (const NamedBackend& named : PresentBackends()) {
    SampleRequest request;
    request.top_logprobs = 10;
    const Sample s = sample(*named.backend, {kLogits}, {request})[0];
    const std::vector<double> p = softmax(kLogits, 1);
    CHECK(s.token == 1);
    CHECK(s.logprob == doctest::Approx(std::log(p[1])));
    const std::vector<int32_t> order = {1, 3, 9, 5, 7, 0, 4, 8, 2, 6};
    for (size_t i = 0; i < order.size(); i++) {
      CHECK(s.top_tokens[i] == order[i]);
      CHECK(s.top_logprobs[i] == doctest::Approx(std::log(p[order[i]])));
    }
    CHECK(s.top_tokens[10] == -7);
  }
}

TEST_CASE("sampler: draws follow softmax at the temperature") {
  for (const NamedBackend& named : PresentBackends()) {
    CAPTURE(named.name);
    for (const float temperature : {0.5f, 1.0f, 3.0f}) {
      SampleRequest request;
      request.temperature = temperature;
      request.seed = 4;
      const auto measured = frequencies(*named.backend, kLogits, request, kDraws);
      CHECK(deviation(measured, softmax(kLogits, temperature), kDraws) < kAlarm);
    }
  }
}

TEST_CASE("sampler: top-k and top-p keep what they say, alone and together") {
  const auto renormalized = [](std::vector<double> p, const std::vector<int32_t>& kept) {
    std::vector<double> out(p.size());
    double sum = 0;
    for (const int32_t token : kept) sum += p[token];
    for (const int32_t token : kept) out[token] = p[token] / sum;
    return out;
  };
  const std::vector<double> p = softmax(kLogits, 1);
  for (const NamedBackend& named : PresentBackends()) {
    CAPTURE(named.name);
    SampleRequest request;
    request.temperature = 1;
    request.seed = 5;
    request.top_k = 3;
    CHECK(deviation(frequencies(*named.backend, kLogits, request, kDraws), renormalized(p, {1, 3, 9}),
                    kDraws) < kAlarm);
    request.top_k = 0;
    // The three most likely have 0.61 together, the four most likely 0.76.
    REQUIRE(p[1] + p[3] + p[9] < 0.7);
    REQUIRE(p[1] + p[3] + p[9] + p[5] > 0.7);
    request.top_p = 0.7f;
    CHECK(deviation(frequencies(*named.backend, kLogits, request, kDraws), renormalized(p, {1, 3, 9, 5}),
                    kDraws) < kAlarm);
    // Within the two kept by top-k the first has 0.5, so 0.5 of them is the first alone and 0.51 is both.
    request.top_k = 2;
    request.top_p = 0.5f;
    CHECK(frequencies(*named.backend, kLogits, request, 100)[1] == doctest::Approx(1));
    request.top_p = 0.51f;
    CHECK(deviation(frequencies(*named.backend, kLogits, request, kDraws), renormalized(p, {1, 3}), kDraws) <
          kAlarm);
    request.top_k = 0;
    request.top_p = 1e-9f;
    CHECK(frequencies(*named.backend, kLogits, request, 100)[1] == doctest::Approx(1));
    request.top_k = 1;
    request.top_p = 1;
    CHECK(frequencies(*named.backend, kLogits, request, 100)[1] == doctest::Approx(1));
    request.top_k = 1000;
    CHECK(deviation(frequencies(*named.backend, kLogits, request, kDraws), p, kDraws) < kAlarm);
  }
}

TEST_CASE("sampler: the repetition penalty divides positive and multiplies negative logits, once a token") {
  const std::vector<int32_t> history = {1, 1, 1, 3, 6};
  for (const NamedBackend& named : PresentBackends()) {
    SampleRequest request;
    request.repetition_penalty = 2;
    request.history = history;
    const Sample s = sample(*named.backend, {kLogits}, {request})[0];
    CHECK(s.token == 9);
    CHECK(s.logprob == doctest::Approx(std::log(softmax(kLogits, 1)[9])));

    std::vector<float> penalized = kLogits;
    penalized[1] = 1.25f;
    penalized[3] = 1.25f;
    penalized[6] = -8;
    request.temperature = 2;
    CHECK(deviation(frequencies(*named.backend, kLogits, request, kDraws), softmax(penalized, 2), kDraws) <
          kAlarm);
  }
}

TEST_CASE("sampler: a row does not depend on its batch, and different seeds and positions are independent") {
  std::vector<std::vector<float>> rows;
  std::vector<SampleRequest> requests;
  for (uint32_t i = 0; i < 60; i++) {
    rows.push_back(random_floats(1000, i, 2));
    SampleRequest request;
    request.temperature = i % 5 == 0 ? 0.0f : 0.7f + static_cast<float>(i % 3);
    request.top_k = i % 4 == 0 ? 50 : 0;
    request.top_p = i % 3 == 0 ? 0.9f : 1.0f;
    request.seed = i / 2;
    request.position = 1000 - i;
    requests.push_back(request);
  }
  for (const NamedBackend& named : PresentBackends()) {
    CAPTURE(named.name);
    const std::vector<Sample> together = sample(*named.backend, rows, requests);
    for (size_t i = 0; i < rows.size(); i++) {
      const Sample alone = sample(*named.backend, {rows[i]}, {requests[i]})[0];
      CHECK(alone.token == together[i].token);
      CHECK(alone.logprob == together[i].logprob);
    }
  }
}

TEST_CASE("sampler: temperatures next to zero are greedy, infinite and NaN logits are refused") {
  for (const NamedBackend& named : PresentBackends()) {
    SampleRequest request;
    request.temperature = 1e-38f;
    std::vector<float> distinct = kLogits;
    distinct[3] = 2.4f;
    CHECK(frequencies(*named.backend, distinct, request, 50)[1] == doctest::Approx(1));
    for (const float bad :
         {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
      std::vector<float> logits = kLogits;
      logits[4] = bad;
      for (const float temperature : {0.0f, 1.0f}) {
        request.temperature = temperature;
        request.top_p = 0.5f;
        const std::vector<Sample> samples =
            sample(*named.backend, {kLogits, logits, kLogits, logits}, {request, request, request, request});
        CHECK(not_finite == 1);
        CHECK(samples[1].token == -7);
      }
    }
    std::vector<float> masked = kLogits;
    masked[1] = -std::numeric_limits<float>::infinity();
    request.temperature = 0;
    CHECK(sample(*named.backend, {masked}, {request})[0].token == 3);
    CHECK(not_finite == -1);
  }
}
