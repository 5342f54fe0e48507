// Every exported function with arguments that it must refuse, and the promises of weir.h on errors.
#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "abi_support.h"
#include "backend/cpu/avx512/target.h"
#include "model/safetensors.h"

using namespace weir;
using namespace weir::test;

namespace {

constexpr int64_t kHuge = std::numeric_limits<int64_t>::max();
constexpr int32_t kHuge32 = std::numeric_limits<int32_t>::max();
constexpr int32_t kLow32 = std::numeric_limits<int32_t>::min();

// Handles that were never given out: null, small numbers, real addresses, and the handles of other kinds.
template <typename T>
std::vector<T*> foreign_handles(std::initializer_list<const void*> others) {
  static int64_t on_the_heap;
  std::vector<T*> handles = {nullptr, reinterpret_cast<T*>(uintptr_t{1}), reinterpret_cast<T*>(&on_the_heap),
                             reinterpret_cast<T*>(~uintptr_t{0}), reinterpret_cast<T*>(uintptr_t{1} << 56)};
  for (const void* other : others)
    handles.push_back(reinterpret_cast<T*>(reinterpret_cast<uintptr_t>(other)));
  return handles;
}

// Calls with an error struct and without, and checks that status and text agree.
weir_status call(const std::function<weir_status(weir_error*)>& function) {
  auto error = make<weir_error>();
  error.status = -1;
  const weir_status status = function(&error);
  if (status == WEIR_OK) {
    CHECK(error.status == -1);
  } else {
    CHECK(error.status == status);
    CHECK(std::strlen(error.message) > 10);
  }
  auto wrong = make<weir_error>();
  wrong.struct_size--;
  wrong.status = -1;
  CHECK(function(&wrong) == WEIR_INVALID_ARGUMENT);
  CHECK(wrong.status == -1);
  return status;
}

#define REFUSED(expected, expression)                                       \
  CHECK(call([&](weir_error* error) { return (expression); }) == expected); \
  CHECK([&](weir_error* error) { return (expression); }(nullptr) == expected)

bool closed_or_invalid(weir_status status) {
  return status == WEIR_CLOSED || status == WEIR_INVALID_ARGUMENT;
}

struct Everything {
  Device device{WEIR_DEVICE_CPU, 2};
  Model model{device, model_directory()};
  Cache cache{model, 4, 40, 10};
  Step step{cache, 4, 32, 5};
};

// Every function that takes a handle, called with `handle` in the place of a good one.
void call_all(Everything& good, weir_device* device, weir_model* model, weir_cache* cache, weir_step* step,
              const std::function<void(const char*, weir_status)>& check) {
  weir_sequence sequence = good.cache.create();
  auto device_info = make<weir_device_info>();
  auto model_info = make<weir_model_info>();
  auto cache_options = make<weir_cache_options>();
  cache_options.blocks = 4;
  auto statistics = make<weir_cache_statistics>();
  auto sequence_info = make<weir_sequence_info>();
  auto step_options = make<weir_step_options>();
  auto buffers = make<weir_step_buffers>();
  auto report = make<weir_step_report>();
  std::vector<float> logits(512);
  int32_t blocks[4];
  int32_t count = 0;
  weir_model* new_model = nullptr;
  weir_cache* new_cache = nullptr;
  weir_step* new_step = nullptr;
  weir_sequence new_sequence = 0;
  const std::string directory = model_directory();
  if (device != good.device.handle()) {
    check("weir_device_describe", weir_device_describe(device, &device_info, nullptr));
    check("weir_model_load", weir_model_load(device, directory.c_str(), nullptr, &new_model, nullptr));
    check("weir_device_close", weir_device_close(device, nullptr));
  }
  if (model != good.model.handle()) {
    check("weir_model_describe", weir_model_describe(model, &model_info, nullptr));
    check("weir_cache_create", weir_cache_create(model, &cache_options, &new_cache, nullptr));
    check("weir_model_close", weir_model_close(model, nullptr));
  }
  if (cache != good.cache.handle()) {
    check("weir_cache_statistics_read", weir_cache_statistics_read(cache, &statistics, nullptr));
    check("weir_sequence_create", weir_sequence_create(cache, &new_sequence, nullptr));
    check("weir_sequence_fork", weir_sequence_fork(cache, sequence, &new_sequence, nullptr));
    check("weir_sequence_truncate", weir_sequence_truncate(cache, sequence, 0, nullptr));
    check("weir_sequence_free", weir_sequence_free(cache, sequence, nullptr));
    check("weir_sequence_swap_out", weir_sequence_swap_out(cache, sequence, nullptr));
    check("weir_sequence_swap_in", weir_sequence_swap_in(cache, sequence, nullptr));
    check("weir_sequence_describe", weir_sequence_describe(cache, sequence, &sequence_info, nullptr));
    check("weir_sequence_blocks", weir_sequence_blocks(cache, sequence, blocks, 4, &count, nullptr));
    check("weir_step_create", weir_step_create(cache, &step_options, &new_step, nullptr));
    check("weir_cache_close", weir_cache_close(cache, nullptr));
  }
  if (step != good.step.handle()) {
    check("weir_step_buffers_get", weir_step_buffers_get(step, &buffers, nullptr));
    check("weir_step_run", weir_step_run(step, 1, &report, nullptr));
    check("weir_step_logits", weir_step_logits(step, 0, logits.data(), 512, nullptr));
    check("weir_step_close", weir_step_close(step, nullptr));
  }
  CHECK(new_model == nullptr);
  CHECK(new_cache == nullptr);
  CHECK(new_step == nullptr);
  CHECK(new_sequence == 0);
  good.cache.free(sequence);
}

}  // namespace

TEST_CASE("abi: handles that are null, made up or of another kind") {
  Everything good;
  weir_device* device = good.device.handle();
  weir_model* model = good.model.handle();
  weir_cache* cache = good.cache.handle();
  weir_step* step = good.step.handle();
  const auto refused = [](const char* name, weir_status status) {
    CAPTURE(name);
    CHECK(closed_or_invalid(status));
  };
  for (weir_device* bad : foreign_handles<weir_device>({model, cache, step})) {
    call_all(good, bad, model, cache, step, refused);
  }
  for (weir_model* bad : foreign_handles<weir_model>({device, cache, step})) {
    call_all(good, device, bad, cache, step, refused);
  }
  for (weir_cache* bad : foreign_handles<weir_cache>({device, model, step})) {
    call_all(good, device, model, bad, step, refused);
  }
  for (weir_step* bad : foreign_handles<weir_step>({device, model, cache})) {
    call_all(good, device, model, cache, bad, refused);
  }
}

TEST_CASE("abi: closed handles, also after their slot was taken by another object") {
  Everything good;
  weir_device* device;
  weir_model* model;
  weir_cache* cache;
  weir_step* step;
  {
    Everything closed;
    device = closed.device.handle();
    model = closed.model.handle();
    cache = closed.cache.handle();
    step = closed.step.handle();
  }
  Everything successor;
  const auto refused = [](const char* name, weir_status status) {
    CAPTURE(name);
    CHECK(status == WEIR_CLOSED);
  };
  call_all(good, device, model, cache, step, refused);
}

TEST_CASE("abi: null pointers and wrong struct sizes") {
  Everything good;
  weir_device* device = nullptr;
  weir_model* model = nullptr;
  weir_cache* cache = nullptr;
  weir_step* step = nullptr;
  weir_sequence sequence = 0;
  int32_t count = 0;
  const std::string directory = model_directory();
  auto cache_options = make<weir_cache_options>();
  cache_options.blocks = 4;

  REFUSED(WEIR_INVALID_ARGUMENT, weir_device_open(nullptr, nullptr, error));
  REFUSED(WEIR_INVALID_ARGUMENT, weir_device_describe(good.device.handle(), nullptr, error));
  REFUSED(WEIR_INVALID_ARGUMENT, weir_model_inspect(nullptr, nullptr, nullptr, error));
  REFUSED(WEIR_INVALID_ARGUMENT, weir_model_inspect(directory.c_str(), nullptr, nullptr, error));
  REFUSED(WEIR_INVALID_ARGUMENT, weir_model_load(good.device.handle(), nullptr, nullptr, &model, error));
  REFUSED(WEIR_INVALID_ARGUMENT,
          weir_model_load(good.device.handle(), directory.c_str(), nullptr, nullptr, error));
  REFUSED(WEIR_INVALID_ARGUMENT, weir_model_describe(good.model.handle(), nullptr, error));
  REFUSED(WEIR_INVALID_ARGUMENT, weir_cache_create(good.model.handle(), nullptr, &cache, error));
  REFUSED(WEIR_INVALID_ARGUMENT, weir_cache_create(good.model.handle(), &cache_options, nullptr, error));
  REFUSED(WEIR_INVALID_ARGUMENT, weir_cache_statistics_read(good.cache.handle(), nullptr, error));
  REFUSED(WEIR_INVALID_ARGUMENT, weir_sequence_create(good.cache.handle(), nullptr, error));
  REFUSED(WEIR_INVALID_ARGUMENT, weir_sequence_fork(good.cache.handle(), 1, nullptr, error));
  REFUSED(WEIR_INVALID_ARGUMENT, weir_sequence_describe(good.cache.handle(), 1, nullptr, error));
  REFUSED(WEIR_INVALID_ARGUMENT, weir_sequence_blocks(good.cache.handle(), 1, nullptr, 4, &count, error));
  REFUSED(WEIR_INVALID_ARGUMENT, weir_sequence_blocks(good.cache.handle(), 1, nullptr, -1, &count, error));
  REFUSED(WEIR_INVALID_ARGUMENT, weir_sequence_blocks(good.cache.handle(), 1, nullptr, 0, nullptr, error));
  REFUSED(WEIR_INVALID_ARGUMENT, weir_step_create(good.cache.handle(), nullptr, nullptr, error));
  REFUSED(WEIR_INVALID_ARGUMENT, weir_step_buffers_get(good.step.handle(), nullptr, error));
  REFUSED(WEIR_INVALID_ARGUMENT, weir_step_logits(good.step.handle(), 0, nullptr, 512, error));
  REFUSED(WEIR_INVALID_ARGUMENT, weir_layout_field(0, nullptr, error));

  for (const int change : {-1, 1, 1 << 20}) {
    const auto wrong = [&](auto value) {
      value.struct_size += static_cast<uint32_t>(change);
      return value;
    };
    auto device_options = wrong(make<weir_device_options>());
    auto device_info = wrong(make<weir_device_info>());
    auto model_options = wrong(make<weir_model_options>());
    auto model_info = wrong(make<weir_model_info>());
    auto good_info = make<weir_model_info>();
    auto wrong_cache_options = wrong(cache_options);
    auto statistics = wrong(make<weir_cache_statistics>());
    auto sequence_info = wrong(make<weir_sequence_info>());
    auto step_options = wrong(make<weir_step_options>());
    auto buffers = wrong(make<weir_step_buffers>());
    auto report = wrong(make<weir_step_report>());
    auto layout = wrong(make<weir_field_layout>());
    auto progress = wrong(make<weir_progress>());
    auto with_progress = make<weir_model_options>();
    with_progress.progress = &progress;
    REFUSED(WEIR_INVALID_ARGUMENT, weir_device_open(&device_options, &device, error));
    REFUSED(WEIR_INVALID_ARGUMENT, weir_device_describe(good.device.handle(), &device_info, error));
    REFUSED(WEIR_INVALID_ARGUMENT, weir_model_inspect(directory.c_str(), &model_options, &good_info, error));
    REFUSED(WEIR_INVALID_ARGUMENT, weir_model_inspect(directory.c_str(), nullptr, &model_info, error));
    REFUSED(WEIR_INVALID_ARGUMENT,
            weir_model_load(good.device.handle(), directory.c_str(), &model_options, &model, error));
    REFUSED(WEIR_INVALID_ARGUMENT,
            weir_model_load(good.device.handle(), directory.c_str(), &with_progress, &model, error));
    REFUSED(WEIR_INVALID_ARGUMENT, weir_model_describe(good.model.handle(), &model_info, error));
    REFUSED(WEIR_INVALID_ARGUMENT,
            weir_cache_create(good.model.handle(), &wrong_cache_options, &cache, error));
    REFUSED(WEIR_INVALID_ARGUMENT, weir_cache_statistics_read(good.cache.handle(), &statistics, error));
    sequence = good.cache.create();
    REFUSED(WEIR_INVALID_ARGUMENT,
            weir_sequence_describe(good.cache.handle(), sequence, &sequence_info, error));
    good.cache.free(sequence);
    REFUSED(WEIR_INVALID_ARGUMENT, weir_step_create(good.cache.handle(), &step_options, &step, error));
    REFUSED(WEIR_INVALID_ARGUMENT, weir_step_buffers_get(good.step.handle(), &buffers, error));
    REFUSED(WEIR_INVALID_ARGUMENT, weir_step_run(good.step.handle(), 1, &report, error));
    REFUSED(WEIR_INVALID_ARGUMENT, weir_layout_field(0, &layout, error));
  }
  CHECK(device == nullptr);
  CHECK(model == nullptr);
  CHECK(cache == nullptr);
  CHECK(step == nullptr);
}

TEST_CASE("abi: callers built for version 1.0 are served, and get no byte more than they have room for") {
  struct OldOptions {
    uint32_t struct_size;
    weir_device_kind kind;
    int32_t ordinal, threads;
    int32_t beyond[2];
  } options{16, WEIR_DEVICE_CPU, 0, 2, {99, 99}};
  weir_device* device = nullptr;
  auto error = make<weir_error>();
  REQUIRE(weir_device_open(reinterpret_cast<const weir_device_options*>(&options), &device, &error) ==
          WEIR_OK);

  auto whole = make<weir_device_info>();
  REQUIRE(weir_device_describe(device, &whole, &error) == WEIR_OK);
  CHECK(whole.precision != WEIR_PRECISION_DEFAULT);
  auto old = make<weir_device_info>();
  old.struct_size = offsetof(weir_device_info, precision);
  old.precision = 77;
  old.reserved = 78;
  REQUIRE(weir_device_describe(device, &old, &error) == WEIR_OK);
  CHECK(old.struct_size == offsetof(weir_device_info, precision));
  CHECK(old.threads == 2);
  CHECK(std::string(old.name) == whole.name);
  CHECK(old.precision == 77);
  CHECK(old.reserved == 78);
  CHECK(weir_device_close(device, nullptr) == WEIR_OK);
}

TEST_CASE("abi: devices of every precision say what they compute in") {
  for (const weir_precision precision : {WEIR_PRECISION_FP32, WEIR_PRECISION_BF16, WEIR_PRECISION_INT8}) {
    auto options = make<weir_device_options>();
    options.precision = precision;
    auto error = make<weir_error>();
    weir_device* device = nullptr;
    const weir_status status = weir_device_open(&options, &device, &error);
    if (precision == WEIR_PRECISION_FP32 || cpu::avx512::supported()) {
      REQUIRE(status == WEIR_OK);
      auto info = make<weir_device_info>();
      REQUIRE(weir_device_describe(device, &info, nullptr) == WEIR_OK);
      CHECK(info.precision == precision);
      weir_device_close(device, nullptr);
    } else {
      CHECK(status == WEIR_UNSUPPORTED);
      CHECK(std::string(error.message).find("AVX-512") != std::string::npos);
    }
    options.kind = WEIR_DEVICE_CPU_REFERENCE;
    if (precision == WEIR_PRECISION_FP32) continue;
    CHECK(weir_device_open(&options, &device, &error) == WEIR_UNSUPPORTED);
  }
}

TEST_CASE("abi: numbers out of range") {
  Everything good;
  weir_device* device = nullptr;
  weir_model* model = nullptr;
  weir_cache* cache = nullptr;
  weir_step* step = nullptr;
  const std::string directory = model_directory();
  for (const int32_t kind : {-1, 3, kHuge32, kLow32}) {
    auto options = make<weir_device_options>();
    options.kind = kind;
    REFUSED(WEIR_INVALID_ARGUMENT, weir_device_open(&options, &device, error));
    REFUSED(WEIR_INVALID_ARGUMENT, weir_device_probe(kind, 0, error));
  }
  for (const int32_t threads : {-1, 1025, kHuge32, kLow32}) {
    auto options = make<weir_device_options>();
    options.threads = threads;
    REFUSED(WEIR_INVALID_ARGUMENT, weir_device_open(&options, &device, error));
  }
  for (const int32_t precision :
       {static_cast<int32_t>(WEIR_PRECISION_FP16), static_cast<int32_t>(WEIR_PRECISION_FP8)}) {
    auto options = make<weir_device_options>();
    options.precision = precision;
    REFUSED(WEIR_UNSUPPORTED, weir_device_open(&options, &device, error));
  }
  for (const int32_t precision : {-1, 6, INT32_MAX}) {
    auto options = make<weir_device_options>();
    options.precision = precision;
    REFUSED(WEIR_INVALID_ARGUMENT, weir_device_open(&options, &device, error));
  }
  for (const int32_t flags : {8, 16, -1}) {
    auto options = make<weir_device_options>();
    options.flags = flags;
    REFUSED(WEIR_INVALID_ARGUMENT, weir_device_open(&options, &device, error));
  }
  for (const int32_t ordinal : {-1, 1, kHuge32, kLow32}) {
    REFUSED(WEIR_DEVICE_UNAVAILABLE, weir_device_probe(WEIR_DEVICE_CPU, ordinal, error));
  }
  REFUSED(WEIR_DEVICE_UNAVAILABLE, weir_device_probe(WEIR_DEVICE_CUDA, -1, error));
  REFUSED(WEIR_DEVICE_UNAVAILABLE, weir_device_probe(WEIR_DEVICE_CUDA, kHuge32, error));

  for (const int32_t weights : {-1, 2, kHuge32}) {
    auto options = make<weir_model_options>();
    options.weights = weights;
    REFUSED(WEIR_INVALID_ARGUMENT,
            weir_model_load(good.device.handle(), directory.c_str(), &options, &model, error));
  }
  for (const int32_t layers : {-1, 6, kHuge32, kLow32}) {
    auto options = make<weir_model_options>();
    options.layer_limit = layers;
    REFUSED(WEIR_INVALID_ARGUMENT,
            weir_model_load(good.device.handle(), directory.c_str(), &options, &model, error));
  }
  REFUSED(WEIR_IO_ERROR, weir_model_load(good.device.handle(), "/nowhere", nullptr, &model, error));
  REFUSED(WEIR_IO_ERROR, weir_model_load(good.device.handle(), "", nullptr, &model, error));
  REFUSED(WEIR_IO_ERROR,
          weir_model_load(good.device.handle(), std::string(100000, 'x').c_str(), nullptr, &model, error));

  const auto create = [&](int32_t block_size, int64_t blocks, int64_t bytes, int64_t swap, int32_t sequences,
                          weir_error* error) {
    auto options = make<weir_cache_options>();
    options.block_size = block_size;
    options.blocks = blocks;
    options.bytes = bytes;
    options.swap_blocks = swap;
    options.max_sequences = sequences;
    return weir_cache_create(good.model.handle(), &options, &cache, error);
  };
  for (const int32_t block_size : {-1, 1025, kHuge32, kLow32}) {
    REFUSED(WEIR_INVALID_ARGUMENT, create(block_size, 4, 0, 0, 0, error));
  }
  REFUSED(WEIR_INVALID_ARGUMENT, create(16, 0, 0, 0, 0, error));
  REFUSED(WEIR_INVALID_ARGUMENT, create(16, 4, 1 << 20, 0, 0, error));
  REFUSED(WEIR_INVALID_ARGUMENT, create(16, -1, 0, 0, 0, error));
  REFUSED(WEIR_INVALID_ARGUMENT, create(16, kHuge, 0, 0, 0, error));
  REFUSED(WEIR_INVALID_ARGUMENT, create(16, 0, -1, 0, 0, error));
  REFUSED(WEIR_INVALID_ARGUMENT, create(16, 0, 1, 0, 0, error));
  REFUSED(WEIR_INVALID_ARGUMENT, create(16, 4, 0, -1, 0, error));
  REFUSED(WEIR_INVALID_ARGUMENT, create(16, 4, 0, kHuge, 0, error));
  REFUSED(WEIR_INVALID_ARGUMENT, create(16, 4, 0, 0, -1, error));
  REFUSED(WEIR_INVALID_ARGUMENT, create(16, 4, 0, 0, kHuge32, error));
  REFUSED(WEIR_OUT_OF_MEMORY, create(16, kHuge32, 0, 0, 0, error));
  REFUSED(WEIR_OUT_OF_MEMORY, create(1024, kHuge32, 0, 0, 0, error));
  REFUSED(WEIR_OUT_OF_MEMORY, create(16, 0, kHuge, 0, 0, error));
  REFUSED(WEIR_OUT_OF_MEMORY, create(16, 4, 0, kHuge32, 0, error));

  const auto create_step = [&](int32_t entries, int32_t tokens, int32_t top, weir_error* error) {
    auto options = make<weir_step_options>();
    options.max_entries = entries;
    options.max_tokens = tokens;
    options.max_top_logprobs = top;
    return weir_step_create(good.cache.handle(), &options, &step, error);
  };
  for (const int32_t bad : {-1, kHuge32, kLow32}) {
    REFUSED(WEIR_INVALID_ARGUMENT, create_step(bad, 0, 0, error));
    REFUSED(WEIR_INVALID_ARGUMENT, create_step(0, bad, 0, error));
    REFUSED(WEIR_INVALID_ARGUMENT, create_step(0, 0, bad, error));
  }

  for (const weir_sequence bad :
       {weir_sequence{0}, weir_sequence{-1}, weir_sequence{1}, kHuge, weir_sequence{1} << 62}) {
    auto info = make<weir_sequence_info>();
    weir_sequence child = 0;
    int32_t count = 0;
    REFUSED(WEIR_CLOSED, weir_sequence_fork(good.cache.handle(), bad, &child, error));
    REFUSED(WEIR_CLOSED, weir_sequence_truncate(good.cache.handle(), bad, 0, error));
    REFUSED(WEIR_CLOSED, weir_sequence_free(good.cache.handle(), bad, error));
    REFUSED(WEIR_CLOSED, weir_sequence_swap_out(good.cache.handle(), bad, error));
    REFUSED(WEIR_CLOSED, weir_sequence_swap_in(good.cache.handle(), bad, error));
    REFUSED(WEIR_CLOSED, weir_sequence_describe(good.cache.handle(), bad, &info, error));
    REFUSED(WEIR_CLOSED, weir_sequence_blocks(good.cache.handle(), bad, nullptr, 0, &count, error));
  }
  const weir_sequence sequence = good.cache.create();
  for (const int32_t length : {-1, 1, kHuge32, kLow32}) {
    REFUSED(WEIR_INVALID_ARGUMENT, weir_sequence_truncate(good.cache.handle(), sequence, length, error));
  }
  REFUSED(WEIR_INVALID_ARGUMENT, weir_sequence_swap_in(good.cache.handle(), sequence, error));
  for (const int32_t entries : {-1, 0, 5, kHuge32, kLow32}) {
    REFUSED(WEIR_INVALID_ARGUMENT, weir_step_run(good.step.handle(), entries, nullptr, error));
  }
  for (const int32_t index : {-1, weir_layout_count(), kHuge32, kLow32}) {
    auto layout = make<weir_field_layout>();
    REFUSED(WEIR_INVALID_ARGUMENT, weir_layout_field(index, &layout, error));
  }
  CHECK(std::string(weir_status_name(-1)) == "WEIR_UNKNOWN_STATUS");
  CHECK(std::string(weir_status_name(kHuge32)) == "WEIR_UNKNOWN_STATUS");
  CHECK(device == nullptr);
  CHECK(model == nullptr);
  CHECK(cache == nullptr);
  CHECK(step == nullptr);
}

TEST_CASE("abi: a step refuses bad entries, names them, and changes nothing") {
  Everything good;
  Step& step = good.step;
  const weir_step_buffers& buffers = step.buffers();
  const weir_sequence first = good.cache.create();
  const weir_sequence second = good.cache.create();
  const std::vector<int32_t> tokens(40, 3);
  const auto fill = [&] {
    step.clear();
    step.add(first, tokens.data(), 5);
    step.add(second, tokens.data(), 6);
    step.sample(0);
    step.sample(1);
  };
  fill();
  REQUIRE(step.run() == WEIR_OK);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  const std::vector<std::pair<const char*, std::function<void()>>> mistakes = {
      {"token count 0", [&] { buffers.token_counts[1] = 0; }},
      {"token count < 0", [&] { buffers.token_counts[1] = kLow32; }},
      {"too many tokens", [&] { buffers.token_counts[1] = 28; }},
      {"huge token count", [&] { buffers.token_counts[1] = kHuge32; }},
      {"token < 0", [&] { buffers.tokens[7] = -1; }},
      {"token = vocabulary", [&] { buffers.tokens[7] = 512; }},
      {"unknown flag", [&] { buffers.flags[1] = 2; }},
      {"all flags", [&] { buffers.flags[1] = ~0u; }},
      {"temperature < 0", [&] { buffers.temperatures[1] = -0.5f; }},
      {"temperature NaN", [&] { buffers.temperatures[1] = nan; }},
      {"temperature infinite", [&] { buffers.temperatures[1] = infinity; }},
      {"top_k < 0", [&] { buffers.top_k[1] = -1; }},
      {"top_p 0", [&] { buffers.top_p[1] = 0; }},
      {"top_p > 1", [&] { buffers.top_p[1] = 1.5f; }},
      {"top_p NaN", [&] { buffers.top_p[1] = nan; }},
      {"penalty 0", [&] { buffers.repetition_penalties[1] = 0; }},
      {"penalty < 0", [&] { buffers.repetition_penalties[1] = -1; }},
      {"penalty NaN", [&] { buffers.repetition_penalties[1] = nan; }},
      {"penalty infinite", [&] { buffers.repetition_penalties[1] = infinity; }},
      {"top log-probabilities < 0", [&] { buffers.top_logprobs[1] = -1; }},
      {"too many log-probabilities", [&] { buffers.top_logprobs[1] = 6; }},
      {"no such sequence", [&] { buffers.sequences[1] = 12345; }},
      {"sequence 0", [&] { buffers.sequences[1] = 0; }},
      {"the same sequence twice", [&] { buffers.sequences[1] = first; }},
  };
  const auto before = good.cache.statistics();
  for (const auto& [name, mistake] : mistakes) {
    CAPTURE(name);
    fill();
    mistake();
    const weir_status status = step.run();
    CHECK(closed_or_invalid(status));
    CHECK(std::string(step.error().message).find("entry 1") != std::string::npos);
    CHECK(good.cache.describe(first).length == 5);
    CHECK(good.cache.describe(second).length == 6);
    CHECK(good.cache.statistics().free == before.free);
  }
  // And what is swapped out cannot be in a step.
  REQUIRE(weir_sequence_swap_out(good.cache.handle(), second, nullptr) == WEIR_OK);
  fill();
  CHECK(step.run() == WEIR_INVALID_ARGUMENT);
  REQUIRE(weir_sequence_swap_in(good.cache.handle(), second, nullptr) == WEIR_OK);
  fill();
  CHECK(step.run() == WEIR_OK);
}

TEST_CASE("abi: out of blocks names what was needed, and the same step runs once there is room") {
  Device device;
  Model model(device, model_directory());
  Cache cache(model, 4, 6);
  Step step(cache, 4, 64);
  const std::vector<int32_t> tokens(40, 3);
  const weir_sequence first = cache.create();
  const weir_sequence second = cache.create();
  step.clear();
  step.add(first, tokens.data(), 16);
  REQUIRE(step.run() == WEIR_OK);
  step.clear();
  step.add(first, tokens.data(), 1);
  step.add(second, tokens.data(), 7);
  CHECK(step.run() == WEIR_OUT_OF_BLOCKS);
  CHECK(step.error().needed == 3);
  CHECK(step.error().available == 2);
  CHECK(cache.describe(first).length == 16);
  CHECK(cache.statistics().used == 4);
  REQUIRE(weir_sequence_truncate(cache.handle(), first, 3, nullptr) == WEIR_OK);
  auto report = make<weir_step_report>();
  CHECK(step.run(&report) == WEIR_OK);
  CHECK(report.entries == 2);
  CHECK(report.tokens == 8);
  CHECK(report.sampled == 0);
  CHECK(report.blocks_taken == 2);
  CHECK(report.nanoseconds > 0);
  CHECK(step.buffers().sampled_tokens[0] == -1);
}

TEST_CASE("abi: a sequence cannot outgrow the model's context") {
  Device device;
  Model model(device, model_directory());
  Cache cache(model, 16, 100);
  Step step(cache, 1, 600);
  const std::vector<int32_t> tokens(513, 3);
  const weir_sequence sequence = cache.create();
  step.clear();
  step.add(sequence, tokens.data(), 513);
  CHECK(step.run() == WEIR_INVALID_ARGUMENT);
  CHECK(std::string(step.error().message).find("512") != std::string::npos);
  step.clear();
  step.add(sequence, tokens.data(), 512);
  step.sample(0);
  CHECK(step.run() == WEIR_OK);
  step.clear();
  step.add(sequence, tokens.data(), 1);
  CHECK(step.run() == WEIR_INVALID_ARGUMENT);
  CHECK(cache.describe(sequence).length == 512);
}

TEST_CASE("abi: weights that are not finite fail the step and give back its blocks") {
  const std::filesystem::path folder =
      std::filesystem::temp_directory_path() / ("weir-nan-" + std::to_string(getpid()));
  std::filesystem::create_directories(folder);
  const std::filesystem::path original = model_directory();
  for (const char* name : {"config.json", "model.safetensors"}) {
    std::filesystem::copy_file(original / name, folder / name,
                               std::filesystem::copy_options::overwrite_existing);
  }
  const TensorTable tensors = SafetensorsFile(original / "model.safetensors").tensors();
  const auto write = [&](const TensorEntry& tensor, float value) {
    std::fstream file(folder / "model.safetensors", std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(tensor.begin));
    float before = 0;
    file.read(reinterpret_cast<char*>(&before), sizeof before);
    file.seekp(static_cast<std::streamoff>(tensor.begin));
    file.write(reinterpret_cast<const char*>(&value), sizeof value);
    return before;
  };
  for (const weir_precision precision : {WEIR_PRECISION_FP32, WEIR_PRECISION_BF16, WEIR_PRECISION_INT8}) {
    for (const char* name :
         {"model.norm.weight", "model.layers.4.input_layernorm.weight",
          "model.layers.0.self_attn.q_proj.weight", "model.layers.1.self_attn.v_proj.weight",
          "model.layers.2.mlp.gate_proj.weight", "model.layers.3.mlp.down_proj.weight"}) {
      if (precision != WEIR_PRECISION_FP32 && !cpu::avx512::supported()) continue;
      CAPTURE(precision);
      CAPTURE(name);
      const float before_nan = write(tensors.at(name), std::numeric_limits<float>::quiet_NaN());
      Device device(WEIR_DEVICE_CPU, 2, precision);
      Model model(device, folder.string());
      write(tensors.at(name), before_nan);
      Cache cache(model, 4, 10);
      Step step(cache, 2, 16);
      const int32_t tokens[] = {1, 2, 3, 4, 5};
      const weir_sequence sequence = cache.create();
      step.clear();
      step.add(sequence, tokens, 5);
      CHECK(step.run() == WEIR_OK);
      // The copy that the fork needs for its next token must be given back, too.
      weir_sequence fork = 0;
      REQUIRE(weir_sequence_fork(cache.handle(), sequence, &fork, nullptr) == WEIR_OK);
      const auto before = cache.statistics();
      step.clear();
      step.add(fork, tokens, 1);
      step.add(sequence, tokens, 5);
      step.sample(1);
      step.buffers().sampled_tokens[1] = 4711;
      CHECK(step.run() == WEIR_INVALID_MODEL);
      CHECK(std::string(step.error().message).find("entry 1") != std::string::npos);
      CHECK(step.error().needed == 1);
      CHECK(step.buffers().sampled_tokens[1] == 4711);
      const auto after = cache.statistics();
      CHECK(cache.describe(sequence).length == 5);
      CHECK(cache.describe(fork).length == 5);
      CHECK(after.used == before.used);
      CHECK(after.shared == before.shared);
      CHECK(after.copied_on_write == 0);
      CHECK(after.steps == 1);
      std::vector<float> logits(512);
      CHECK(weir_step_logits(step.handle(), 1, logits.data(), 512, nullptr) == WEIR_INVALID_ARGUMENT);
    }
  }
  std::filesystem::remove_all(folder);
}

TEST_CASE("abi: objects may be closed in any order") {
  auto error = make<weir_error>();
  auto device_options = make<weir_device_options>();
  weir_device* device = nullptr;
  weir_model* model = nullptr;
  weir_cache* cache = nullptr;
  weir_step* step = nullptr;
  auto cache_options = make<weir_cache_options>();
  cache_options.blocks = 8;
  REQUIRE(weir_device_open(&device_options, &device, &error) == WEIR_OK);
  REQUIRE(weir_model_load(device, model_directory().c_str(), nullptr, &model, &error) == WEIR_OK);
  REQUIRE(weir_cache_create(model, &cache_options, &cache, &error) == WEIR_OK);
  REQUIRE(weir_step_create(cache, nullptr, &step, &error) == WEIR_OK);
  weir_sequence sequence = 0;
  REQUIRE(weir_sequence_create(cache, &sequence, &error) == WEIR_OK);
  auto buffers = make<weir_step_buffers>();
  REQUIRE(weir_step_buffers_get(step, &buffers, &error) == WEIR_OK);
  CHECK(weir_device_close(device, &error) == WEIR_OK);
  CHECK(weir_model_close(model, &error) == WEIR_OK);
  CHECK(weir_cache_close(cache, &error) == WEIR_OK);
  buffers.sequences[0] = sequence;
  buffers.token_counts[0] = 1;
  buffers.tokens[0] = 1;
  buffers.flags[0] = 0;
  CHECK(weir_step_run(step, 1, nullptr, &error) == WEIR_OK);
  CHECK(weir_step_close(step, &error) == WEIR_OK);
  CHECK(weir_step_close(step, &error) == WEIR_CLOSED);
}

TEST_CASE("abi: threads that step, fork, swap and close the same objects get statuses") {
  Device device(WEIR_DEVICE_CPU, 1);
  Model model(device, model_directory());
  int steps = 0;
  for (int round = 0; round < 20; round++) {
    auto cache_options = make<weir_cache_options>();
    cache_options.blocks = 64;
    cache_options.swap_blocks = 64;
    weir_cache* cache = nullptr;
    weir_step* step = nullptr;
    weir_sequence stepped = 0;
    REQUIRE(weir_cache_create(model.handle(), &cache_options, &cache, nullptr) == WEIR_OK);
    auto step_options = make<weir_step_options>();
    step_options.max_entries = 1;
    step_options.max_tokens = 8;
    REQUIRE(weir_step_create(cache, &step_options, &step, nullptr) == WEIR_OK);
    REQUIRE(weir_sequence_create(cache, &stepped, nullptr) == WEIR_OK);
    auto buffers = make<weir_step_buffers>();
    REQUIRE(weir_step_buffers_get(step, &buffers, nullptr) == WEIR_OK);
    buffers.sequences[0] = stepped;
    buffers.token_counts[0] = 1;
    buffers.tokens[0] = 3;
    buffers.flags[0] = WEIR_ENTRY_SAMPLE;
    std::atomic<int> unexpected{0};
    std::atomic<int> ran{0};
    const auto expect = [&](weir_status status, std::initializer_list<weir_status> allowed) {
      if (std::find(allowed.begin(), allowed.end(), status) == allowed.end()) unexpected++;
      return status == WEIR_OK;
    };
    // A second thread that runs the same step, or finds its sequence swapped out, is refused.
    const auto run = [&] {
      for (int i = 0; i < 150; i++) {
        ran +=
            expect(weir_step_run(step, 1, nullptr, nullptr), {WEIR_OK, WEIR_CLOSED, WEIR_INVALID_ARGUMENT});
        expect(weir_sequence_truncate(cache, stepped, 0, nullptr),
               {WEIR_OK, WEIR_CLOSED, WEIR_INVALID_ARGUMENT});
      }
    };
    const auto disturb = [&] {
      for (int i = 0; i < 300; i++) {
        weir_sequence child = 0;
        expect(weir_sequence_fork(cache, stepped, &child, nullptr),
               {WEIR_OK, WEIR_CLOSED, WEIR_INVALID_ARGUMENT});
        expect(weir_sequence_swap_out(cache, stepped, nullptr),
               {WEIR_OK, WEIR_CLOSED, WEIR_INVALID_ARGUMENT});
        expect(weir_sequence_free(cache, child, nullptr), {WEIR_OK, WEIR_CLOSED});
        expect(weir_sequence_swap_in(cache, stepped, nullptr), {WEIR_OK, WEIR_CLOSED, WEIR_INVALID_ARGUMENT});
        if (i == 250) {
          expect(weir_step_close(step, nullptr), {WEIR_OK});
          expect(weir_cache_close(cache, nullptr), {WEIR_OK});
        }
      }
    };
    std::vector<std::thread> threads;
    threads.emplace_back(run);
    threads.emplace_back(run);
    threads.emplace_back(disturb);
    for (std::thread& thread : threads) thread.join();
    CHECK(unexpected == 0);
    steps += ran;
  }
  CHECK(steps > 100);
}

TEST_CASE("abi: the layout table covers every field of every struct") {
  // The offsets and sizes are those of a struct that has just these fields, each a scalar or an array of
  // them.
  std::set<std::string> owners;
  uint32_t end = 0;
  uint32_t widest = 0;
  auto previous = make<weir_field_layout>();
  const auto round_up = [](uint32_t value, uint32_t step) { return (value + step - 1) / step * step; };
  for (int32_t i = 0; i <= weir_layout_count(); i++) {
    auto layout = make<weir_field_layout>();
    if (i < weir_layout_count()) REQUIRE(weir_layout_field(i, &layout, nullptr) == WEIR_OK);
    if (i == weir_layout_count() || owners.insert(layout.owner).second) {
      if (i > 0) CHECK(round_up(end, widest) == previous.owner_size);
      end = 0;
      widest = 0;
    }
    if (i == weir_layout_count()) break;
    const std::string field = layout.field;
    const bool text = field == "message" || field == "name" || field == "matmul";
    const uint32_t alignment = text ? 1 : (field == "eos_tokens" ? 4 : layout.field_size);
    CAPTURE(field);
    CHECK(layout.field_offset == round_up(end, alignment));
    end = layout.field_offset + layout.field_size;
    widest = std::max(widest, alignment);
    previous = layout;
  }
  CHECK(owners.size() == 14);
  CHECK(weir_abi_version() == WEIR_ABI_VERSION);
}

TEST_CASE(
    "abi: Llama-2-7B's shape is accepted, described, and refused for lack of memory before it is taken") {
  const std::string card = source_root() + "/models/llama-2-7b";
  auto options = make<weir_model_options>();
  options.weights = WEIR_WEIGHTS_RANDOM;
  auto info = make<weir_model_info>();
  auto error = make<weir_error>();
  REQUIRE(weir_model_inspect(card.c_str(), &options, &info, &error) == WEIR_OK);
  CHECK(info.parameters == 6738415616);
  CHECK(info.heads == 32);
  CHECK(info.head_size == 128);
  CHECK(info.kv_bytes_per_token == 32 * 2 * 32 * 128 * 4);
  // Without weights in the folder it can only be random.
  CHECK(weir_model_inspect(card.c_str(), nullptr, &info, &error) == WEIR_IO_ERROR);

  Device device(WEIR_DEVICE_CPU, 2, WEIR_PRECISION_FP32);
  auto device_info = make<weir_device_info>();
  REQUIRE(weir_device_describe(device.handle(), &device_info, nullptr) == WEIR_OK);
  if (device_info.memory_available < int64_t{25} << 30) {
    weir_model* model = nullptr;
    CHECK(weir_model_load(device.handle(), card.c_str(), &options, &model, &error) == WEIR_OUT_OF_MEMORY);
    // The weights, and the rotations twice.
    CHECK(error.needed == (6738415616 + 2 * 4096 * 128) * 4);
  } else {
    MESSAGE("skipped: this machine has memory for Llama-2-7B in fp32");
  }
}

TEST_CASE("abi: one layer of Llama-2-7B at random runs, with progress") {
  const std::string card = source_root() + "/models/llama-2-7b";
  auto progress = make<weir_progress>();
  auto options = make<weir_model_options>();
  options.weights = WEIR_WEIGHTS_RANDOM;
  options.seed = 1;
  options.layer_limit = 1;
  options.progress = &progress;
  Device device;
  Model model(device, card, &options);
  CHECK(model.info().layers == 1);
  CHECK(progress.total == static_cast<uint64_t>(model.info().parameters) * 4);
  CHECK(progress.done == progress.total);
  Cache cache(model, 16, 8);
  Step step(cache, 2, 40);
  const std::vector<int32_t> tokens = {1, 31999, 17, 4242};
  const weir_sequence first = cache.create();
  const weir_sequence second = cache.create();
  step.clear();
  step.add(first, tokens.data(), 4);
  step.sample(0);
  step.add(second, tokens.data(), 4);
  step.sample(1);
  REQUIRE(step.run() == WEIR_OK);
  CHECK(step.buffers().sampled_tokens[0] == step.buffers().sampled_tokens[1]);
  CHECK(step.logits(0) == step.logits(1));

  // Alone a sequence gets the same numbers, to the bit, as in company.
  const auto in_company = step.logits(0);
  const weir_sequence alone = cache.create();
  step.clear();
  step.add(alone, tokens.data(), 3);
  REQUIRE(step.run() == WEIR_OK);
  step.clear();
  step.add(alone, tokens.data() + 3, 1);
  step.sample(0);
  REQUIRE(step.run() == WEIR_OK);
  CHECK(step.logits(0) == in_company);
}

TEST_CASE("abi: logits, block tables and capacity in bytes") {
  Device device;
  Model model(device, model_directory());
  auto options = make<weir_cache_options>();
  options.block_size = 4;
  options.bytes = 10 * 4 * model.info().kv_bytes_per_token + 100;
  weir_cache* sized_by_bytes = nullptr;
  REQUIRE(weir_cache_create(model.handle(), &options, &sized_by_bytes, nullptr) == WEIR_OK);
  auto statistics = make<weir_cache_statistics>();
  REQUIRE(weir_cache_statistics_read(sized_by_bytes, &statistics, nullptr) == WEIR_OK);
  CHECK(statistics.capacity == 10);
  CHECK(statistics.block_bytes == 4 * model.info().kv_bytes_per_token);
  REQUIRE(weir_cache_close(sized_by_bytes, nullptr) == WEIR_OK);

  Cache cache(model, 4, 10);
  Step step(cache, 2, 16);
  std::vector<float> logits(512);
  const auto read = [&](int32_t entry, int64_t capacity) {
    return weir_step_logits(step.handle(), entry, logits.data(), capacity, nullptr);
  };
  CHECK(read(0, 512) == WEIR_INVALID_ARGUMENT);  // nothing has run
  const std::vector<int32_t> tokens = {1, 2, 3, 4, 5, 6};
  const weir_sequence first = cache.create();
  const weir_sequence second = cache.create();
  step.clear();
  step.add(first, tokens.data(), 6);
  step.add(second, tokens.data(), 3);
  step.sample(1);
  REQUIRE(step.run() == WEIR_OK);
  CHECK(read(1, 512) == WEIR_OK);
  for (const int32_t entry : {-1, 0, 2, kHuge32, kLow32}) CHECK(read(entry, 512) == WEIR_INVALID_ARGUMENT);
  for (const int64_t capacity : {int64_t{-1}, int64_t{0}, int64_t{511}}) {
    CHECK(read(1, capacity) == WEIR_INVALID_ARGUMENT);
  }

  int32_t blocks[3] = {-7, -7, -7};
  int32_t count = 0;
  REQUIRE(weir_sequence_blocks(cache.handle(), first, blocks, 1, &count, nullptr) == WEIR_OK);
  CHECK(count == 2);
  CHECK(blocks[0] >= 0);
  CHECK(blocks[1] == -7);
  REQUIRE(weir_sequence_blocks(cache.handle(), first, blocks, 3, &count, nullptr) == WEIR_OK);
  CHECK(blocks[1] != blocks[0]);
  CHECK(blocks[1] >= 0);
  CHECK(blocks[2] == -7);
}

TEST_CASE("abi: a step reports log-probabilities by entry, and its penalty sees the chunk") {
  Device device;
  Model model(device, model_directory());
  Cache cache(model, 4, 20);
  Step step(cache, 3, 32, 4);
  const std::vector<int32_t> prompt = {1, 403, 407, 261, 378};
  step.clear();
  for (int i = 0; i < 3; i++) {
    step.add(cache.create(), prompt.data(), 5);
    if (i != 1) step.sample(i);
  }
  step.buffers().top_logprobs[0] = 2;
  step.buffers().top_logprobs[2] = 4;
  REQUIRE(step.run() == WEIR_OK);
  const weir_step_buffers& out = step.buffers();
  CHECK(out.sampled_tokens[1] == -1);
  CHECK(std::isnan(out.sampled_logprobs[1]));
  for (int rank = 0; rank < 4; rank++) {
    CHECK(out.top_tokens[4 + rank] == -1);
    CHECK(std::isnan(out.top_token_logprobs[4 + rank]));
    if (rank < 2) {
      CHECK(out.top_tokens[rank] == out.top_tokens[8 + rank]);
      CHECK(out.top_token_logprobs[rank] == out.top_token_logprobs[8 + rank]);
    } else {
      CHECK(out.top_tokens[rank] == -1);
    }
  }
  CHECK(out.top_tokens[8] == out.sampled_tokens[2]);
  CHECK(out.top_token_logprobs[8] == out.sampled_logprobs[2]);

  // A penalty that rules out what was said: give the model its own choice as the last token of the chunk.
  const int32_t choice = out.sampled_tokens[2];
  step.clear();
  std::vector<int32_t> longer = prompt;
  longer.push_back(choice);
  step.add(cache.create(), longer.data(), 6);
  step.sample(0);
  step.buffers().repetition_penalties[0] = 1e6f;
  REQUIRE(step.run() == WEIR_OK);
  const std::vector<float> raw = step.logits(0);
  int32_t best = -1;
  const auto penalized = [&](int32_t token) {
    const bool said = std::find(longer.begin(), longer.end(), token) != longer.end();
    return !said ? raw[token] : (raw[token] > 0 ? raw[token] / 1e6f : raw[token] * 1e6f);
  };
  for (int32_t token = 0; token < 512; token++) {
    if (best < 0 || penalized(token) > penalized(best)) best = token;
  }
  CHECK(step.buffers().sampled_tokens[0] == best);
  CHECK(std::find(longer.begin(), longer.end(), best) == longer.end());
}

TEST_CASE("abi: a message that does not fit ends with a whole character") {
  auto error = make<weir_error>();
  auto info = make<weir_model_info>();
  std::string path = "/";
  for (int i = 0; i < 700; i++) path += "\xC3\xA9";
  CHECK(weir_model_inspect(path.c_str(), nullptr, &info, &error) == WEIR_IO_ERROR);
  const std::string message = error.message;
  CHECK(message.size() <= 999);
  CHECK(static_cast<unsigned char>(message.back()) != 0xC3);
}
