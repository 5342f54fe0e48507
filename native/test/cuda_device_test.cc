// How the CUDA backend fails, and that what failed can be told apart and leaves nothing behind. On the
// emulator, which fails when it is told to.
#include <doctest/doctest.h>

#if defined(WEIR_EMULATED)

#include <chrono>
#include <cstdlib>
#include <string>
#include <vector>

#include "abi_support.h"
#include "cuda_runtime_api.h"
#include "emulator/control.h"

using namespace weir;
using namespace weir::test;

namespace {

// Sound again at the end, however the test ends.
class Emulator {
 public:
  Emulator() { weir_emulator_reset(); }
  ~Emulator() { weir_emulator_reset(); }
  Emulator(const Emulator&) = delete;
  Emulator& operator=(const Emulator&) = delete;

  static weir_emulator_counters counters() {
    weir_emulator_counters counters{};
    weir_emulator_get_counters(&counters);
    return counters;
  }
};

std::string probe(weir_status expected, int32_t ordinal = 0) {
  auto error = make<weir_error>();
  CHECK(weir_device_probe(WEIR_DEVICE_CUDA, ordinal, &error) == expected);
  return error.message;
}

bool contains(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

// Three sequences that decode, one of them forked.
class Decoding {
 public:
  explicit Decoding(int32_t flags = 0, int64_t blocks = 60)
      : device_(WEIR_DEVICE_CUDA, 0, WEIR_PRECISION_FP16, flags),
        model_(device_, model_directory()),
        cache_(model_, 4, blocks, 20),
        step_(cache_, 4, 32, 2) {
    const std::vector<int32_t> prompt = {1, 403, 407, 261, 378, 291};
    for (weir_sequence& sequence : sequences_) sequence = cache_.create();
    step_.clear();
    for (const weir_sequence sequence : sequences_) {
      step_.sample(step_.add(sequence, prompt.data(), static_cast<int32_t>(prompt.size())));
    }
    REQUIRE(step_.run() == WEIR_OK);
    for (int i = 0; i < 3; i++) tokens_[i] = step_.buffers().sampled_tokens[i];
    REQUIRE(weir_sequence_fork(cache_.handle(), sequences_[0], &fork_, nullptr) == WEIR_OK);
  }

  Cache& cache() { return cache_; }
  Step& step() { return step_; }
  const weir_sequence* sequences() const { return sequences_; }

  weir_status decode() {
    step_.clear();
    for (int i = 0; i < 3; i++) step_.sample(step_.add(sequences_[i], &tokens_[i], 1));
    const weir_status status = step_.run();
    if (status == WEIR_OK) {
      for (int i = 0; i < 3; i++) tokens_[i] = step_.buffers().sampled_tokens[i];
    }
    return status;
  }

  std::vector<int32_t> tokens() const { return {tokens_, tokens_ + 3}; }

 private:
  Device device_;
  Model model_;
  Cache cache_;
  Step step_;
  weir_sequence sequences_[3];
  weir_sequence fork_ = 0;
  int32_t tokens_[3];
};

void check_same(const weir_cache_statistics& a, const weir_cache_statistics& b) {
  CHECK(a.free == b.free);
  CHECK(a.shared == b.shared);
  CHECK(a.swap_used == b.swap_used);
  CHECK(a.resident_tokens == b.resident_tokens);
  CHECK(a.steps == b.steps);
  CHECK(a.copied_on_write == b.copied_on_write);
}

}  // namespace

TEST_CASE("cuda: each reason why there is no device has its own message and names a setting") {
  const Emulator emulator;
  probe(WEIR_OK);

  weir_emulator_set_driver_missing(1);
  std::string message = probe(WEIR_DEVICE_UNAVAILABLE);
  CHECK(contains(message, "libcuda.so.1"));
  CHECK(contains(message, "LD_LIBRARY_PATH"));
  weir_emulator_reset();

  weir_emulator_set_device_count(0);
  message = probe(WEIR_DEVICE_UNAVAILABLE);
  CHECK(contains(message, "CUDA_VISIBLE_DEVICES"));
  weir_emulator_reset();

  message = probe(WEIR_DEVICE_UNAVAILABLE, 7);
  CHECK(contains(message, "no CUDA device 7"));
  CHECK(contains(message, "weir_device_options.ordinal"));

  const char* const named = std::getenv("WEIR_CUBLASLT");
  const std::string library = named != nullptr ? named : "libcublasLt.so.13";
  setenv("WEIR_CUBLASLT", "/nowhere/libcublasLt.so", 1);
  message = probe(WEIR_DEVICE_UNAVAILABLE);
  CHECK(contains(message, "/nowhere/libcublasLt.so"));
  CHECK(contains(message, "WEIR_CUBLASLT"));
  setenv("WEIR_CUBLASLT", library.c_str(), 1);
  probe(WEIR_OK);
}

TEST_CASE("cuda: options that are for other devices are refused") {
  const Emulator emulator;
  const auto open = [](auto change) {
    auto options = make<weir_device_options>();
    options.kind = WEIR_DEVICE_CUDA;
    change(options);
    weir_device* device = nullptr;
    const weir_status status = weir_device_open(&options, &device, nullptr);
    if (status == WEIR_OK) weir_device_close(device, nullptr);
    return status;
  };
  CHECK(open([](weir_device_options&) {}) == WEIR_OK);
  CHECK(open([](weir_device_options& o) { o.threads = 3; }) == WEIR_INVALID_ARGUMENT);
  CHECK(open([](weir_device_options& o) { o.flags = WEIR_DEVICE_PIN_THREADS; }) == WEIR_INVALID_ARGUMENT);
  CHECK(open([](weir_device_options& o) { o.precision = WEIR_PRECISION_FP32; }) == WEIR_UNSUPPORTED);
  CHECK(open([](weir_device_options& o) { o.precision = WEIR_PRECISION_INT8; }) == WEIR_UNSUPPORTED);
  CHECK(open([](weir_device_options& o) { o.precision = 77; }) == WEIR_INVALID_ARGUMENT);
}

TEST_CASE("cuda: a step that runs out of memory fails alone and conserves blocks, tokens and results") {
  for (const int32_t flags : {0, static_cast<int32_t>(WEIR_DEVICE_NO_GRAPHS)}) {
    const Emulator emulator;
    Decoding untouched(flags);
    Decoding decoding(flags);
    for (int round = 0; round < 5; round++) {
      CAPTURE(round);
      const weir_cache_statistics before = decoding.cache().statistics();
      // Each time another call of the step fails.
      const char* calls[] = {"cudaMemcpyAsync", flags == 0 ? "cudaGraphLaunch" : "cudaLaunchKernelExC"};
      weir_emulator_fail_call(calls[round % 2], 1 + (round % 2 == 0 ? round / 2 : 0),
                              cudaErrorMemoryAllocation, 0);
      CHECK(decoding.decode() == WEIR_OUT_OF_MEMORY);
      CHECK(contains(decoding.step().error().message, "weir_"));
      check_same(decoding.cache().statistics(), before);
      REQUIRE(decoding.decode() == WEIR_OK);
      REQUIRE(untouched.decode() == WEIR_OK);
      CHECK(decoding.tokens() == untouched.tokens());
    }
  }
}

TEST_CASE("cuda: a copy on write or a swap that fails leaves the cache as it was") {
  const Emulator emulator;
  Decoding decoding;
  const weir_cache_statistics before = decoding.cache().statistics();
  REQUIRE(before.shared > 0);
  // The first copy of the decode is that of the shared block.
  weir_emulator_fail_call("cudaMemcpyAsync", 1, cudaErrorMemoryAllocation, 0);
  CHECK(decoding.decode() == WEIR_OUT_OF_MEMORY);
  check_same(decoding.cache().statistics(), before);

  weir_emulator_fail_call("cudaMemcpyAsync", 2, cudaErrorMemoryAllocation, 0);
  CHECK(weir_sequence_swap_out(decoding.cache().handle(), decoding.sequences()[1], nullptr) ==
        WEIR_OUT_OF_MEMORY);
  check_same(decoding.cache().statistics(), before);
  CHECK(decoding.cache().describe(decoding.sequences()[1]).swapped == 0);
  REQUIRE(weir_sequence_swap_out(decoding.cache().handle(), decoding.sequences()[1], nullptr) == WEIR_OK);
  const weir_cache_statistics swapped = decoding.cache().statistics();
  weir_emulator_fail_call("cudaMemcpyAsync", 2, cudaErrorMemoryAllocation, 0);
  CHECK(weir_sequence_swap_in(decoding.cache().handle(), decoding.sequences()[1], nullptr) ==
        WEIR_OUT_OF_MEMORY);
  check_same(decoding.cache().statistics(), swapped);
  REQUIRE(weir_sequence_swap_in(decoding.cache().handle(), decoding.sequences()[1], nullptr) == WEIR_OK);
  CHECK(decoding.decode() == WEIR_OK);
}

TEST_CASE("cuda: after an error that the device does not survive every call says so, and closing works") {
  const Emulator emulator;
  {
    Decoding decoding;
    REQUIRE(decoding.decode() == WEIR_OK);
    const weir_cache_statistics before = decoding.cache().statistics();
    weir_emulator_fail_launch(3, cudaErrorIllegalAddress);
    CHECK(decoding.decode() == WEIR_DEVICE_FAILED);
    CHECK(contains(decoding.step().error().message, "cudaErrorIllegalAddress"));
    check_same(decoding.cache().statistics(), before);
    CHECK(decoding.decode() == WEIR_DEVICE_FAILED);
    CHECK(weir_sequence_swap_out(decoding.cache().handle(), decoding.sequences()[1], nullptr) ==
          WEIR_DEVICE_FAILED);
    check_same(decoding.cache().statistics(), before);
  }
  weir_emulator_reset();
  Decoding again;
  CHECK(again.decode() == WEIR_OK);
}

TEST_CASE("cuda: a model, a cache and a step take what the plan said, and give it back") {
  const Emulator emulator;
  for (const int32_t flags : {0, static_cast<int32_t>(WEIR_DEVICE_DETERMINISTIC)}) {
    Device device(WEIR_DEVICE_CUDA, 0, WEIR_PRECISION_FP16, flags);
    const weir_emulator_counters empty = Emulator::counters();
    auto cache_options = make<weir_cache_options>();
    cache_options.block_size = 8;
    cache_options.blocks = 50;
    cache_options.kv_precision = WEIR_PRECISION_INT8;
    auto step_options = make<weir_step_options>();
    step_options.max_entries = 6;
    step_options.max_tokens = 70;
    auto plan = make<weir_memory_plan>();
    REQUIRE(weir_plan_memory(device.handle(), model_directory().c_str(), nullptr, &cache_options,
                             &step_options, &plan, nullptr) == WEIR_OK);
    {
      const auto used = [&] {
        auto info = make<weir_device_info>();
        REQUIRE(weir_device_describe(device.handle(), &info, nullptr) == WEIR_OK);
        return plan.device_available - info.memory_available;
      };
      const Model model(device, model_directory());
      // The plan counts what is there twice for a moment while loading.
      CHECK(used() <= plan.weights);
      CHECK(used() > plan.weights / 2);
      const int64_t weights = used();
      weir_cache* cache = nullptr;
      REQUIRE(weir_cache_create(model.handle(), &cache_options, &cache, nullptr) == WEIR_OK);
      CHECK(used() - weights == plan.kv_bytes);
      weir_step* step = nullptr;
      REQUIRE(weir_step_create(cache, &step_options, &step, nullptr) == WEIR_OK);
      CHECK(used() - weights - plan.kv_bytes == plan.workspace);
      CHECK(weir_step_close(step, nullptr) == WEIR_OK);
      CHECK(used() - weights == plan.kv_bytes);
      CHECK(weir_cache_close(cache, nullptr) == WEIR_OK);
    }
    CHECK(Emulator::counters().live_allocations == empty.live_allocations);
  }
}

TEST_CASE("cuda: a decode step in a steady state allocates nothing and replays one graph") {
  const Emulator emulator;
  Decoding decoding;
  for (int i = 0; i < 3; i++) REQUIRE(decoding.decode() == WEIR_OK);
  const weir_emulator_counters before = Emulator::counters();
  for (int i = 0; i < 4; i++) REQUIRE(decoding.decode() == WEIR_OK);
  const weir_emulator_counters after = Emulator::counters();
  CHECK(after.allocations == before.allocations);
  CHECK(after.graph_launches - before.graph_launches == 4);
}

#endif
