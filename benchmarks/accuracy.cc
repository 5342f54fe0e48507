// What less than fp32 costs in accuracy, on the CPU and, if there is one, on the CUDA device, on one model:
// the error of logits, the flips of the most likely token and the Kullback-Leibler divergence of the next
// token's distribution. Prompts are those of golden.json where the model's folder has one, followed by their
// golden continuation, and random ones.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "weir.h"

namespace {

template <typename T>
T make() {
  T value{};
  value.struct_size = sizeof(T);
  return value;
}

weir_error failure = make<weir_error>();

void check(weir_status status, const char* what) {
  if (status == WEIR_OK) return;
  std::fprintf(stderr, "%s: %s: %s\n", what, weir_status_name(status), failure.message);
  std::exit(1);
}

struct Arithmetic {
  const char* name;
  weir_device_kind kind;
  weir_precision precision;
  weir_precision kv_precision;
};

// A model in one arithmetic, with room for one sequence.
class Engine {
 public:
  Engine(const std::string& directory, const Arithmetic& arithmetic, bool random) {
    auto device_options = make<weir_device_options>();
    device_options.kind = arithmetic.kind;
    device_options.precision = arithmetic.precision;
    check(weir_device_open(&device_options, &device_, &failure), "opening the device");
    auto options = make<weir_model_options>();
    options.weights = random ? WEIR_WEIGHTS_RANDOM : WEIR_WEIGHTS_FILES;
    options.seed = 1;
    check(weir_model_load(device_, directory.c_str(), &options, &model_, &failure), "loading the model");
    info_ = make<weir_model_info>();
    check(weir_model_describe(model_, &info_, &failure), "describing the model");
    auto cache_options = make<weir_cache_options>();
    cache_options.blocks = info_.context_length / 16 + 2;
    cache_options.kv_precision = arithmetic.kv_precision;
    check(weir_cache_create(model_, &cache_options, &cache_, &failure), "making the cache");
    auto step_options = make<weir_step_options>();
    step_options.max_entries = 1;
    check(weir_step_create(cache_, &step_options, &step_, &failure), "making the step");
    buffers_ = make<weir_step_buffers>();
    check(weir_step_buffers_get(step_, &buffers_, &failure), "the arrays of the step");
  }
  ~Engine() {
    weir_step_close(step_, nullptr);
    weir_cache_close(cache_, nullptr);
    weir_model_close(model_, nullptr);
    weir_device_close(device_, nullptr);
  }
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  int vocabulary() const { return info_.vocabulary_size; }
  int context() const { return info_.context_length; }

  // The logits after each token of `tokens` from `first` on, token by token.
  std::vector<std::vector<float>> logits(const std::vector<int32_t>& tokens, size_t first) {
    weir_sequence sequence = 0;
    check(weir_sequence_create(cache_, &sequence, &failure), "making a sequence");
    std::vector<std::vector<float>> rows;
    size_t done = 0;
    while (done < tokens.size()) {
      const size_t count = done == 0 ? first + 1 : 1;
      buffers_.sequences[0] = sequence;
      buffers_.token_counts[0] = static_cast<int32_t>(count);
      std::copy_n(tokens.begin() + static_cast<std::ptrdiff_t>(done), count, buffers_.tokens);
      buffers_.flags[0] = WEIR_ENTRY_SAMPLE;
      buffers_.temperatures[0] = 0;
      buffers_.top_p[0] = 1;
      buffers_.repetition_penalties[0] = 1;
      check(weir_step_run(step_, 1, nullptr, &failure), "a step");
      rows.emplace_back(vocabulary());
      check(weir_step_logits(step_, 0, rows.back().data(), vocabulary(), &failure), "logits");
      done += count;
    }
    check(weir_sequence_free(cache_, sequence, &failure), "freeing a sequence");
    return rows;
  }

 private:
  weir_device* device_ = nullptr;
  weir_model* model_ = nullptr;
  weir_cache* cache_ = nullptr;
  weir_step* step_ = nullptr;
  weir_model_info info_{};
  weir_step_buffers buffers_{};
};

struct Prompt {
  std::vector<int32_t> tokens;
  size_t first;  // position of the first token after which logits are compared
};

std::vector<Prompt> golden_prompts(const std::string& directory) {
  std::ifstream file(directory + "/golden.json");
  if (!file) return {};
  const nlohmann::json golden = nlohmann::json::parse(file);
  std::vector<Prompt> prompts;
  for (const auto& item : golden.at("cases")) {
    std::vector<int32_t> tokens = item.at("prompt_ids");
    const size_t first = tokens.size() - 1;
    const std::vector<int32_t> continuation = item.at("greedy_ids");
    tokens.insert(tokens.end(), continuation.begin(), continuation.end() - 1);
    prompts.push_back({std::move(tokens), first});
  }
  return prompts;
}

std::vector<Prompt> random_prompts(int count, int length, int vocabulary) {
  std::mt19937 random(1);
  std::vector<Prompt> prompts;
  for (int i = 0; i < count; i++) {
    Prompt prompt{{}, 0};
    for (int j = 0; j < length; j++) {
      prompt.tokens.push_back(static_cast<int32_t>(random() % static_cast<uint32_t>(vocabulary)));
    }
    prompts.push_back(std::move(prompt));
  }
  return prompts;
}

std::vector<double> log_softmax(const std::vector<float>& logits) {
  const double largest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float x : logits) sum += std::exp(x - largest);
  std::vector<double> out;
  for (const float x : logits) out.push_back(x - largest - std::log(sum));
  return out;
}

struct Difference {
  int64_t positions = 0;
  int64_t flips = 0;
  double largest_flipped_margin = 0;
  double largest_error = 0;
  double squares = 0;
  int64_t elements = 0;
  double divergence = 0;
  double largest_divergence = 0;

  void add(const std::vector<float>& exact, const std::vector<float>& other) {
    positions++;
    const auto best = std::max_element(exact.begin(), exact.end()) - exact.begin();
    const auto chosen = std::max_element(other.begin(), other.end()) - other.begin();
    if (best != chosen) {
      flips++;
      largest_flipped_margin = std::max<double>(largest_flipped_margin, exact[best] - exact[chosen]);
    }
    for (size_t i = 0; i < exact.size(); i++) {
      const double error = static_cast<double>(other[i]) - exact[i];
      largest_error = std::max(largest_error, std::fabs(error));
      squares += error * error;
      elements++;
    }
    const std::vector<double> p = log_softmax(exact);
    const std::vector<double> q = log_softmax(other);
    double sum = 0;
    for (size_t i = 0; i < p.size(); i++) sum += std::exp(p[i]) * (p[i] - q[i]);
    divergence += sum;
    largest_divergence = std::max(largest_divergence, sum);
  }

  void print(const char* prompts, const char* precision) const {
    std::printf("%-8s %-19s %9lld %10.3f %10.4f %6lld %13.3f %13.2e %13.2e\n", prompts, precision,
                static_cast<long long>(positions), largest_error,
                std::sqrt(squares / static_cast<double>(elements)), static_cast<long long>(flips),
                largest_flipped_margin, divergence / static_cast<double>(positions), largest_divergence);
  }
};

void compare(const char* name, const std::vector<Prompt>& prompts, const std::string& directory,
             bool random) {
  if (prompts.empty()) return;
  std::vector<std::vector<std::vector<float>>> exact;
  {
    Engine engine(directory, {"cpu fp32", WEIR_DEVICE_CPU, WEIR_PRECISION_FP32, WEIR_PRECISION_DEFAULT},
                  random);
    for (const Prompt& prompt : prompts) exact.push_back(engine.logits(prompt.tokens, prompt.first));
  }
  constexpr weir_precision kSame = WEIR_PRECISION_DEFAULT;
  constexpr Arithmetic kArithmetics[] = {
      {"cpu bf16", WEIR_DEVICE_CPU, WEIR_PRECISION_BF16, kSame},
      {"cpu int8", WEIR_DEVICE_CPU, WEIR_PRECISION_INT8, kSame},
      {"cuda fp16", WEIR_DEVICE_CUDA, WEIR_PRECISION_FP16, kSame},
      {"cuda bf16", WEIR_DEVICE_CUDA, WEIR_PRECISION_BF16, kSame},
      {"cuda fp16, KV int8", WEIR_DEVICE_CUDA, WEIR_PRECISION_FP16, WEIR_PRECISION_INT8},
      {"cuda fp16, KV fp8", WEIR_DEVICE_CUDA, WEIR_PRECISION_FP16, WEIR_PRECISION_FP8}};
  const bool cuda = weir_device_probe(WEIR_DEVICE_CUDA, 0, &failure) == WEIR_OK;
  if (!cuda) std::printf("no CUDA: %s\n", failure.message);
  for (const Arithmetic& arithmetic : kArithmetics) {
    if (arithmetic.kind == WEIR_DEVICE_CUDA && !cuda) continue;
    Engine engine(directory, arithmetic, random);
    Difference difference;
    for (size_t i = 0; i < prompts.size(); i++) {
      const auto rows = engine.logits(prompts[i].tokens, prompts[i].first);
      for (size_t j = 0; j < rows.size(); j++) difference.add(exact[i][j], rows[j]);
    }
    difference.print(name, arithmetic.name);
  }
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 2 || count > 5) {
    std::fprintf(stderr,
                 "usage: %s MODEL_FOLDER [RANDOM_PROMPTS [TOKENS_OF_EACH [random]]]\n"
                 "'random' as the last word: random weights of the model's shape, no weight files needed\n",
                 arguments[0]);
    return 2;
  }
  const std::string directory = arguments[1];
  const int prompts = count > 2 ? std::atoi(arguments[2]) : 32;
  const int length = count > 3 ? std::atoi(arguments[3]) : 64;
  const bool random = count > 4 && std::string(arguments[4]) == "random";
  auto info = make<weir_model_info>();
  auto options = make<weir_model_options>();
  options.weights = random ? WEIR_WEIGHTS_RANDOM : WEIR_WEIGHTS_FILES;
  check(weir_model_inspect(directory.c_str(), &options, &info, &failure), "reading the model");
  if (prompts < 1 || length < 1 || length > info.context_length) {
    std::fprintf(stderr, "%d prompts of %d tokens: both must be positive, and the model takes %d tokens\n",
                 prompts, length, info.context_length);
    return 2;
  }
  std::printf("%s, against fp32: error of logits, flips of the most likely token, KL divergence in nats\n",
              directory.c_str());
  std::printf("%-8s %-19s %9s %10s %10s %6s %13s %13s %13s\n", "prompts", "", "positions", "max error", "RMS",
              "flips", "flipped margin", "mean KL", "max KL");
  if (!random) compare("golden", golden_prompts(directory), directory, random);
  compare("random", random_prompts(prompts, length, info.vocabulary_size), directory, random);
}
