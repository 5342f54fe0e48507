#include <doctest/doctest.h>

#include <map>

#include "core/philox.h"
#include "sampler_support.h"

using namespace weir;
using namespace weir::test;

namespace weir::cpu {
// portable_sampler.cc
bool portable_sample_row(const float* logits, int32_t vocabulary_size, const SampleRequest& request,
                         const SampleResult& result, const SampleScratch& scratch);
}  // namespace weir::cpu

namespace {

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
  not_finite = backend.make_context(limits_of(static_cast<int32_t>(columns)))
                   ->sample(logits.view(), requests, results);
  return samples;
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

TEST_CASE("sampler: log-probabilities of whole vocabularies are as in 64 bits") {
  for (const size_t vocabulary : {1023, 32000, 128256}) {
    CAPTURE(vocabulary);
    RowSampler sample_one(vocabulary);
    for (uint32_t seed = 0; seed < 6; seed++) {
      std::vector<float> logits = random_logits(vocabulary, seed, seed % 2 == 1);
      for (float& logit : logits) logit = logit * (seed < 2 ? 0.1f : 1) - (seed < 4 ? 0 : 1000);
      const std::vector<int32_t> order = by_likelihood(logits);
      double sum = 0;
      for (const float logit : logits) sum += std::exp(static_cast<double>(logit) - logits[order[0]]);
      SampleRequest request;
      request.top_logprobs = 64;
      const Sample s = sample_one(logits, request);
      CHECK(s.token == order[0]);
      CHECK(s.logprob == s.top_logprobs[0]);
      CHECK(std::fabs(s.logprob + std::log(sum)) <= 1e-5);
      for (size_t i = 0; i < 64; i++) {
        CHECK(s.top_tokens[i] == order[i]);
        const double expected = logits[order[i]] - (logits[order[0]] + std::log(sum));
        CHECK(std::fabs(s.top_logprobs[i] - expected) <= 1e-5);
      }
    }
  }
}

TEST_CASE(
    "sampler: draws are those of 64 bits but for random numbers within 1e-6 of the border of two tokens") {
  struct Filter {
    float temperature;
    int32_t top_k;
    float top_p;
  };
  for (const size_t vocabulary : {999, 32000}) {
    RowSampler sample_one(vocabulary);
    for (const bool peaked : {false, true}) {
      for (const Filter& filter : {Filter{1, 0, 1},
                                   {0.8f, 0, 1},
                                   {3, 0, 1},
                                   {0.8f, 40, 1},
                                   {1, 5000, 1},
                                   {0.8f, 0, 0.9f},
                                   {1, 0, 0.1f},
                                   {1, 0, 0.9999f},
                                   {20, 0, 0.5f},
                                   {0.05f, 0, 0.9f},
                                   {0.8f, 100, 0.95f},
                                   {1.5f, 700, 0.3f}}) {
        CAPTURE(peaked);
        CAPTURE(filter.temperature);
        CAPTURE(filter.top_k);
        CAPTURE(filter.top_p);
        SampleRequest request;
        request.temperature = filter.temperature;
        request.top_k = filter.top_k;
        request.top_p = filter.top_p;
        for (int64_t position = 0; position < 10; position++) {
          request.seed = 17;
          request.position = position;
          const std::vector<float> logits =
              random_logits(vocabulary, static_cast<uint32_t>(position), peaked);
          CHECK(agrees(logits, request, sample_one(logits, request).token, 1e-6));
        }
      }
    }
  }
}

TEST_CASE("sampler: among equal logits the filters keep the smaller ids") {
  constexpr int32_t kVocabulary = 5000;
  RowSampler sample_one(kVocabulary);
  // Levels 0..3, one after another.
  std::vector<float> levels(kVocabulary);
  for (int32_t i = 0; i < kVocabulary; i++) levels[i] = static_cast<float>(i % 4);
  const auto kept = [&](const std::vector<float>& logits, const SampleRequest& given) {
    SampleRequest request = given;
    std::vector<bool> drawn(kVocabulary);
    for (request.position = 0; request.position < 4000; request.position++) {
      drawn[sample_one(logits, request).token] = true;
    }
    std::vector<int32_t> tokens;
    for (int32_t i = 0; i < kVocabulary; i++) {
      if (drawn[i]) tokens.push_back(i);
    }
    return tokens;
  };
  SampleRequest request;
  request.temperature = 1e20f;  // all equally likely, yet not equal
  request.top_k = 3;
  CHECK(kept(levels, request) == std::vector<int32_t>{3, 7, 11});
  request.top_k = 0;
  request.top_p = 4.5f / kVocabulary;
  CHECK(kept(levels, request) == std::vector<int32_t>{3, 7, 11, 15, 19});
  request.top_k = 1252;
  request.top_p = 1;
  const std::vector<int32_t> tokens = kept(levels, request);
  CHECK(tokens.size() > 1000);
  for (const int32_t token : tokens) CHECK((token % 4 == 3 || token == 2 || token == 6));

  const std::vector<float> equal(kVocabulary, -3.5f);
  request.top_k = 4;
  CHECK(kept(equal, request) == std::vector<int32_t>{0, 1, 2, 3});
  request.top_k = 0;
  request.top_p = 2.5f / kVocabulary;
  CHECK(kept(equal, request) == std::vector<int32_t>{0, 1, 2});
  request.temperature = 0;
  request.top_logprobs = 5;
  CHECK(sample_one(equal, request).top_tokens[4] == 4);
}

TEST_CASE("sampler: any logits that are not NaN or +infinity can be sampled") {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  constexpr float kHuge = std::numeric_limits<float>::max();
  constexpr float kTiny = std::numeric_limits<float>::denorm_min();
  constexpr int32_t kVocabulary = 300;
  RowSampler sample_one(kVocabulary);
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
              request.top_logprobs = 64;
              const Sample s = sample_one(logits, request);
              CHECK((s.token >= 0 && s.token < kVocabulary));
              CHECK(s.token != 5);
              if (penalty == 1 && (temperature == 0 || top_k == 1 || top_p == kTiny))
                CHECK(s.token == order[0]);
              CHECK(std::equal(order.begin(), order.begin() + 64, s.top_tokens.begin()));
            }
          }
        }
      }
    }
  }
}

TEST_CASE("sampler: gives the same bits with every instruction set") {
  // In a small vocabulary the rounding of each exponential shows.
  for (const size_t vocabulary : {30, 32003}) {
    RowSampler sample_one(vocabulary);
    for (uint32_t i = 0; i < (vocabulary == 30 ? 3000u : 200u); i++) {
      const std::vector<float> logits = random_logits(vocabulary, i, i % 2 == 1);
      SampleRequest request;
      request.temperature = i % 5 == 0 ? 0.0f : 0.3f * static_cast<float>(i % 7);
      request.top_k = i % 4 == 0 ? 50 : 0;
      request.top_p = i % 3 == 0 ? 0.9f : 1.0f;
      request.seed = i;
      request.top_logprobs = 5;
      const Sample here = sample_one(logits, request);
      const Sample anywhere = sample_one(logits, request, cpu::portable_sample_row);
      CHECK(here.token == anywhere.token);
      CHECK(here.logprob == anywhere.logprob);
      CHECK(here.top_tokens == anywhere.top_tokens);
      CHECK(here.top_logprobs == anywhere.top_logprobs);
    }
  }
}
