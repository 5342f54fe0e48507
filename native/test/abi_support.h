// Owners of the handles of weir.h, for tests.
#pragma once

#include <doctest/doctest.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "weir.h"

namespace weir::test {

inline std::string source_root() { return WEIR_SOURCE_ROOT; }
inline std::string model_directory() { return source_root() + "/models/stories260K"; }

template <typename T>
T make() {
  T value{};
  value.struct_size = sizeof(T);
  return value;
}

class Device {
 public:
  explicit Device(weir_device_kind kind = WEIR_DEVICE_CPU, int32_t threads = 2,
                  weir_precision precision = WEIR_PRECISION_DEFAULT, int32_t flags = 0) {
    auto options = make<weir_device_options>();
    options.kind = kind;
    options.threads = threads;
    options.precision = precision;
    options.flags = flags;
    auto error = make<weir_error>();
    const weir_status status = weir_device_open(&options, &handle_, &error);
    REQUIRE_MESSAGE(status == WEIR_OK, std::string(error.message));
  }
  ~Device() { weir_device_close(handle_, nullptr); }
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;
  weir_device* handle() const { return handle_; }

 private:
  weir_device* handle_ = nullptr;
};

class Model {
 public:
  Model(const Device& device, const std::string& directory, const weir_model_options* options = nullptr) {
    auto error = make<weir_error>();
    const weir_status status = weir_model_load(device.handle(), directory.c_str(), options, &handle_, &error);
    REQUIRE_MESSAGE(status == WEIR_OK, std::string(error.message));
  }
  ~Model() { weir_model_close(handle_, nullptr); }
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;
  weir_model* handle() const { return handle_; }

  weir_model_info info() const {
    auto info = make<weir_model_info>();
    REQUIRE(weir_model_describe(handle_, &info, nullptr) == WEIR_OK);
    return info;
  }

 private:
  weir_model* handle_ = nullptr;
};

class Cache {
 public:
  Cache(const Model& model, int32_t block_size, int64_t blocks, int64_t swap_blocks = 0,
        weir_precision kv_precision = WEIR_PRECISION_DEFAULT)
      : vocabulary_size_(model.info().vocabulary_size) {
    auto options = make<weir_cache_options>();
    options.block_size = block_size;
    options.blocks = blocks;
    options.swap_blocks = swap_blocks;
    options.kv_precision = kv_precision;
    auto error = make<weir_error>();
    const weir_status status = weir_cache_create(model.handle(), &options, &handle_, &error);
    REQUIRE_MESSAGE(status == WEIR_OK, std::string(error.message));
  }
  ~Cache() { weir_cache_close(handle_, nullptr); }
  Cache(const Cache&) = delete;
  Cache& operator=(const Cache&) = delete;
  weir_cache* handle() const { return handle_; }
  int32_t vocabulary_size() const { return vocabulary_size_; }

  weir_sequence create() {
    weir_sequence sequence = 0;
    REQUIRE(weir_sequence_create(handle_, &sequence, nullptr) == WEIR_OK);
    return sequence;
  }
  void free(weir_sequence sequence) { REQUIRE(weir_sequence_free(handle_, sequence, nullptr) == WEIR_OK); }
  weir_sequence_info describe(weir_sequence sequence) {
    auto info = make<weir_sequence_info>();
    REQUIRE(weir_sequence_describe(handle_, sequence, &info, nullptr) == WEIR_OK);
    return info;
  }
  weir_cache_statistics statistics() {
    auto statistics = make<weir_cache_statistics>();
    REQUIRE(weir_cache_statistics_read(handle_, &statistics, nullptr) == WEIR_OK);
    return statistics;
  }

 private:
  weir_cache* handle_ = nullptr;
  int32_t vocabulary_size_;
};

class Step {
 public:
  Step(const Cache& cache, int32_t max_entries, int32_t max_tokens, int32_t max_top_logprobs = 0)
      : vocabulary_size_(cache.vocabulary_size()) {
    auto options = make<weir_step_options>();
    options.max_entries = max_entries;
    options.max_tokens = max_tokens;
    options.max_top_logprobs = max_top_logprobs;
    auto error = make<weir_error>();
    const weir_status status = weir_step_create(cache.handle(), &options, &handle_, &error);
    REQUIRE_MESSAGE(status == WEIR_OK, std::string(error.message));
    buffers_ = make<weir_step_buffers>();
    REQUIRE(weir_step_buffers_get(handle_, &buffers_, nullptr) == WEIR_OK);
    error_ = make<weir_error>();
  }
  ~Step() { weir_step_close(handle_, nullptr); }
  Step(const Step&) = delete;
  Step& operator=(const Step&) = delete;
  weir_step* handle() const { return handle_; }
  const weir_step_buffers& buffers() const { return buffers_; }
  const weir_error& error() const { return error_; }

  void clear() { entries_ = tokens_ = 0; }
  int32_t add(weir_sequence sequence, const int32_t* tokens, int32_t count) {
    buffers_.sequences[entries_] = sequence;
    buffers_.token_counts[entries_] = count;
    buffers_.flags[entries_] = 0;
    for (int32_t i = 0; i < count; i++) buffers_.tokens[tokens_++] = tokens[i];
    return entries_++;
  }
  // Greedy unless the caller changes the buffers afterwards.
  void sample(int32_t entry) {
    buffers_.flags[entry] = WEIR_ENTRY_SAMPLE;
    buffers_.temperatures[entry] = 0;
    buffers_.top_k[entry] = 0;
    buffers_.top_p[entry] = 1;
    buffers_.repetition_penalties[entry] = 1;
    buffers_.seeds[entry] = 0;
    buffers_.top_logprobs[entry] = 0;
  }
  weir_status run(weir_step_report* report = nullptr) {
    return weir_step_run(handle_, entries_, report, &error_);
  }
  std::vector<float> logits(int32_t entry) {
    std::vector<float> row(vocabulary_size_);
    REQUIRE(weir_step_logits(handle_, entry, row.data(), static_cast<int64_t>(row.size()), nullptr) ==
            WEIR_OK);
    return row;
  }

 private:
  weir_step* handle_ = nullptr;
  int32_t vocabulary_size_;
  weir_step_buffers buffers_;
  weir_error error_;
  int32_t entries_ = 0;
  int32_t tokens_ = 0;
};

}  // namespace weir::test
