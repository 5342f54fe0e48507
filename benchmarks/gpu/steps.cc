#include "steps.h"

#include <cuda_runtime_api.h>
#include <unistd.h>
#include <weir.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "backend/cuda/error.h"
#include "gpu.h"

namespace weir::benchmark {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

class WeirError : public std::runtime_error {
 public:
  WeirError(weir_status status, const std::string& message) : std::runtime_error(message), status_(status) {}
  weir_status status() const { return status_; }

 private:
  weir_status status_;
};

// Calls a function of weir.h, whose last parameter is the error.
template <typename... Parameters, typename... Arguments>
void call(weir_status (*function)(Parameters...), Arguments... arguments) {
  weir_error error{};
  error.struct_size = sizeof error;
  const weir_status status = function(arguments..., &error);
  if (status != WEIR_OK)
    throw WeirError(status, std::string(weir_status_name(status)) + ": " + error.message);
}

template <typename T>
T sized() {
  T value{};
  value.struct_size = sizeof value;
  return value;
}

// Owns a handle of weir.h.
template <typename T>
class Handle {
 public:
  explicit Handle(weir_status (*close)(T*, weir_error*)) : close_(close) {}
  ~Handle() { reset(); }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  T* get() const { return handle_; }
  T** out() {
    reset();
    return &handle_;
  }
  void reset() {
    if (handle_ != nullptr) close_(std::exchange(handle_, nullptr), nullptr);
  }

 private:
  weir_status (*close_)(T*, weir_error*);
  T* handle_ = nullptr;
};

weir_precision kv_precision_of(const std::string& name) {
  if (name == "bf16") return WEIR_PRECISION_BF16;
  if (name == "int8") return WEIR_PRECISION_INT8;
  if (name == "fp8") return WEIR_PRECISION_FP8;
  return WEIR_PRECISION_FP16;
}

KvFormat kv_format_of(const std::string& name) {
  const bool one_byte = name == "int8" || name == "fp8";
  return {name, one_byte ? 1 : 2, one_byte};
}

// A folder with nothing but a config.json of the shape.
class ConfigFolder {
 public:
  explicit ConfigFolder(const ModelShape& shape) {
    std::string name = (std::filesystem::temp_directory_path() / "weir-gpu-benchmark-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot make a folder " + name);
    path_ = name;
    std::ofstream(path_ / "config.json") << nlohmann::json{{"architectures", {"LlamaForCausalLM"}},
                                                           {"model_type", "llama"},
                                                           {"hidden_size", shape.hidden},
                                                           {"intermediate_size", shape.intermediate},
                                                           {"num_hidden_layers", shape.layers},
                                                           {"num_attention_heads", shape.heads},
                                                           {"num_key_value_heads", shape.kv_heads},
                                                           {"head_dim", shape.head_size},
                                                           {"vocab_size", shape.vocabulary},
                                                           {"max_position_embeddings", shape.context_length},
                                                           {"rms_norm_eps", 1e-5},
                                                           {"hidden_act", "silu"},
                                                           {"tie_word_embeddings", false}};
  }
  ~ConfigFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ConfigFolder(const ConfigFolder&) = delete;
  ConfigFolder& operator=(const ConfigFolder&) = delete;
  std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

// What one sequence does in a step.
struct Chunk {
  weir_sequence sequence;
  int32_t tokens;
  bool samples;
};

struct Sampling {
  float temperature = 0;
  float top_p = 1;
};

// A device, a model, a cache and a step.
class Runtime {
 public:
  Runtime(const std::string& folder, const Options& options, int32_t flags)
      : folder_(folder),
        device_(weir_device_close),
        model_(weir_model_close),
        cache_(weir_cache_close),
        step_(weir_step_close) {
    weir_device_options device = sized<weir_device_options>();
    device.kind = WEIR_DEVICE_CUDA;
    device.precision = options.precision == "bf16" ? WEIR_PRECISION_BF16 : WEIR_PRECISION_FP16;
    device.flags = flags;
    call(weir_device_open, &device, device_.out());
    model_options_ = sized<weir_model_options>();
    model_options_.weights = WEIR_WEIGHTS_RANDOM;
    model_options_.seed = 1;
  }

  void load() {
    call(weir_model_load, device_.get(), folder_.c_str(), &model_options_, model_.out());
    weir_model_info info = sized<weir_model_info>();
    call(weir_model_describe, model_.get(), &info);
    vocabulary_ = info.vocabulary_size;
  }

  weir_memory_plan plan(const weir_cache_options& cache, const weir_step_options& step) const {
    weir_memory_plan plan = sized<weir_memory_plan>();
    call(weir_plan_memory, device_.get(), folder_.c_str(), &model_options_, &cache, &step, &plan);
    return plan;
  }

  void make_cache(const weir_cache_options& options) {
    step_.reset();
    call(weir_cache_create, model_.get(), &options, cache_.out());
  }
  void make_step(const weir_step_options& options) {
    call(weir_step_create, cache_.get(), &options, step_.out());
    buffers_ = sized<weir_step_buffers>();
    call(weir_step_buffers_get, step_.get(), &buffers_);
  }
  void close_cache() {
    step_.reset();
    cache_.reset();
  }

  weir_cache* cache() const { return cache_.get(); }
  int32_t max_tokens() const { return buffers_.max_tokens; }
  int32_t max_entries() const { return buffers_.max_entries; }

  weir_sequence create() {
    weir_sequence sequence = 0;
    call(weir_sequence_create, cache_.get(), &sequence);
    return sequence;
  }
  void truncate(weir_sequence sequence, int64_t length) {
    call(weir_sequence_truncate, cache_.get(), sequence, static_cast<int32_t>(length));
  }
  void free(weir_sequence sequence) { call(weir_sequence_free, cache_.get(), sequence); }

  // Seconds of weir_step_run alone.
  double run(const std::vector<Chunk>& chunks, const Sampling& sampling = {}) {
    int32_t token = 0;
    for (size_t i = 0; i < chunks.size(); i++) {
      buffers_.sequences[i] = chunks[i].sequence;
      buffers_.token_counts[i] = chunks[i].tokens;
      buffers_.flags[i] = chunks[i].samples ? WEIR_ENTRY_SAMPLE : 0;
      buffers_.temperatures[i] = sampling.temperature;
      buffers_.top_k[i] = 0;
      buffers_.top_p[i] = sampling.top_p;
      buffers_.repetition_penalties[i] = 1;
      buffers_.seeds[i] = i;
      buffers_.top_logprobs[i] = 0;
      for (int32_t t = 0; t < chunks[i].tokens; t++) {
        buffers_.tokens[token++] = static_cast<int32_t>(random_() % static_cast<uint32_t>(vocabulary_));
      }
    }
    const auto begin = Clock::now();
    call(weir_step_run, step_.get(), static_cast<int32_t>(chunks.size()),
         static_cast<weir_step_report*>(nullptr));
    return seconds_since(begin);
  }

 private:
  std::string folder_;
  Handle<weir_device> device_;
  Handle<weir_model> model_;
  Handle<weir_cache> cache_;
  Handle<weir_step> step_;
  weir_model_options model_options_{};
  weir_step_buffers buffers_{};
  int32_t vocabulary_ = 0;
  std::mt19937 random_{1};
};

// Of the device's memory that is left free, as a careful user leaves some: the driver loads kernels into it
// when they are first used.
constexpr int64_t kReserve = int64_t{1} << 30;

class StepMeter {
 public:
  StepMeter(const Ceilings& ceilings, const Options& options, const std::function<bool()>& expired,
            Report& report)
      : ceilings_(ceilings),
        options_(options),
        expired_(expired),
        report_(report),
        model_(options.smoke ? smoke_model() : llama_2_7b()) {
    if (options.smoke || options.model.empty()) config_.emplace(model_);
    folder_ = config_ ? config_->path() : options.model;
    const int64_t most_entries = *std::max_element(options.batches.begin(), options.batches.end());
    const int64_t longest_prompt = *std::max_element(options.prompts.begin(), options.prompts.end());
    step_options_ = sized<weir_step_options>();
    step_options_.max_entries = static_cast<int32_t>(most_entries + 1);
    step_options_.max_tokens = static_cast<int32_t>(std::max(longest_prompt, mixed_batch() + mixed_prompt()));
    std::sort(options_.contexts.begin(), options_.contexts.end());
  }

  void run() {
    with_graphs();
    without_graphs();
  }

 private:
  // The mixed step of the goal.
  int64_t mixed_batch() const { return options_.smoke ? 3 : 64; }
  int64_t mixed_prompt() const { return options_.smoke ? 20 : 512; }
  int64_t mixed_context() const { return options_.smoke ? 20 : 512; }

  void with_graphs() {
    const int64_t before = free_now();
    Runtime runtime(folder_, options_, 0);
    const int64_t opened = free_now();
    weir_cache_options cache = cache_options(options_.kv.front());
    const weir_memory_plan plan = runtime.plan(cache, step_options_);
    runtime.load();
    const int64_t loaded = free_now();
    cache.blocks = options_.smoke ? 256 : plan.kv_blocks - kReserve / plan.kv_block_bytes;
    bool fits = true;
    try {
      runtime.make_cache(cache);
      runtime.make_step(step_options_);
    } catch (const WeirError& error) {
      if (error.status() != WEIR_OUT_OF_MEMORY) throw;
      report_.skip("a pool of 1 GiB less than weir_plan_memory gives", error.what());
      fits = false;
      runtime.close_cache();
      cache.blocks = plan.kv_blocks * 95 / 100;
    }
    if (!fits) {
      runtime.make_cache(cache);
      runtime.make_step(step_options_);
    }
    const int64_t made = free_now();
    const int64_t pool = cache.blocks * plan.kv_block_bytes;
    report_.add(MemoryLine{"opening the device", 0, taken(before, opened)});
    report_.add(MemoryLine{"weights", static_cast<double>(plan.weights), taken(opened, loaded)});
    report_.add(MemoryLine{"KV pool, workspace, graphs",
                           static_cast<double>(pool + plan.workspace + plan.graphs), taken(loaded, made)});

    std::vector<weir_sequence> sequences;
    const std::string variant = model_.name + " kv " + options_.kv.front();
    for (const int64_t context : options_.contexts) {
      decodes(runtime, sequences, cache.blocks, options_.kv.front(), "decode step", context,
              options_.batches);
      if (context != mixed_context()) continue;
      attempt("mixed step", [&] { mixed(runtime, sequences, variant); });
      attempt("decode step, top-p", [&] { sampled(runtime, sequences, variant); });
      attempt("swap", [&] { swap(runtime, sequences, plan.kv_block_bytes, variant); });
    }
    if (std::find(options_.contexts.begin(), options_.contexts.end(), mixed_context()) ==
        options_.contexts.end()) {
      report_.skip(
          "mixed step, top-p and swap",
          "they are measured at context " + std::to_string(mixed_context()) + ", which was not asked for");
    }
    for (const weir_sequence sequence : sequences) runtime.free(sequence);
    for (const int64_t tokens : options_.prompts) {
      attempt("prefill step " + std::to_string(tokens), [&] { prefill(runtime, tokens, variant); });
    }
    const int64_t after = free_now();
    report_.add(MemoryLine{"everything, after all these steps",
                           static_cast<double>(plan.weights + pool + plan.workspace + plan.graphs),
                           taken(opened, after)});

    for (size_t i = 1; i < options_.kv.size(); i++) {
      attempt("decode steps with kv " + options_.kv[i], [&] { other_kv(runtime, options_.kv[i]); });
    }
  }

  void other_kv(Runtime& runtime, const std::string& kv) {
    runtime.close_cache();
    weir_cache_options cache = cache_options(kv);
    const weir_memory_plan plan = runtime.plan(cache, step_options_);
    // The plan counts weights that are loaded already.
    cache.blocks = options_.smoke ? 256 : (plan.kv_available + plan.weights) * 95 / 100 / plan.kv_block_bytes;
    cache.swap_blocks = 0;
    runtime.make_cache(cache);
    runtime.make_step(step_options_);
    std::vector<weir_sequence> sequences;
    const int64_t context = options_.smoke ? mixed_context() : 1024;
    std::vector<int64_t> batches = {mixed_batch()};
    if (const int64_t most = step_options_.max_entries - 1; most != mixed_batch()) batches.push_back(most);
    decodes(runtime, sequences, cache.blocks, kv, "decode step", context, batches);
  }

  // The same steps with every kernel launched, to see what graphs are worth and what they take.
  void without_graphs() {
    attempt("decode steps without graphs", [&] {
      Runtime runtime(folder_, options_, WEIR_DEVICE_NO_GRAPHS);
      runtime.load();
      weir_cache_options cache = cache_options(options_.kv.front());
      cache.swap_blocks = 0;
      const int64_t context = mixed_context();
      cache.blocks = (mixed_batch() + 1) * (context / 16 + 2);
      const int64_t pool = cache.blocks * runtime.plan(cache, step_options_).kv_block_bytes;
      const weir_memory_plan plan = runtime.plan(cache, step_options_);
      const int64_t loaded = free_now();
      runtime.make_cache(cache);
      runtime.make_step(step_options_);
      report_.add(MemoryLine{"KV pool, workspace, without graphs",
                             static_cast<double>(pool + plan.workspace + plan.graphs),
                             taken(loaded, free_now())});
      std::vector<weir_sequence> sequences;
      decodes(runtime, sequences, cache.blocks, options_.kv.front(), "decode step, no graphs", context,
              {1, mixed_batch()});
    });
  }

  weir_cache_options cache_options(const std::string& kv) const {
    weir_cache_options cache = sized<weir_cache_options>();
    cache.block_size = 16;
    cache.swap_blocks = options_.smoke ? 32 : 300;
    cache.kv_precision = kv_precision_of(kv);
    return cache;
  }

  static int64_t free_now() {
    cuda::check(cudaDeviceSynchronize(), "waiting for the device");
    return free_device_memory();
  }
  static double taken(int64_t before, int64_t after) { return static_cast<double>(before - after); }

  void attempt(const std::string& what, const std::function<void()>& measure) {
    if (expired_()) {
      report_.skip(what, "the time for steps was over");
      return;
    }
    try {
      measure();
    } catch (const WeirError& error) {
      if (error.status() == WEIR_DEVICE_FAILED) throw;
      report_.skip(what, error.what());
    }
  }

  // Brings `sequences` to `count` sequences of `length` tokens each. They may only be shorter, or too many.
  void grow(Runtime& runtime, std::vector<weir_sequence>& sequences, int64_t count, int64_t length) {
    while (static_cast<int64_t>(sequences.size()) > count) {
      runtime.free(sequences.back());
      sequences.pop_back();
    }
    while (static_cast<int64_t>(sequences.size()) < count) sequences.push_back(runtime.create());
    std::vector<Chunk> chunks;
    int64_t tokens = 0;
    const auto flush = [&] {
      if (!chunks.empty()) runtime.run(chunks);
      chunks.clear();
      tokens = 0;
    };
    for (const weir_sequence sequence : sequences) {
      weir_sequence_info info = sized<weir_sequence_info>();
      call(weir_sequence_describe, runtime.cache(), sequence, &info);
      for (int64_t done = info.length; done < length;) {
        const int64_t part = std::min(length - done, runtime.max_tokens() - tokens);
        chunks.push_back({sequence, static_cast<int32_t>(part), false});
        done += part;
        tokens += part;
        if (tokens == runtime.max_tokens() || static_cast<int32_t>(chunks.size()) == runtime.max_entries())
          flush();
      }
    }
    flush();
  }

  static std::vector<Chunk> decodes_of(const std::vector<weir_sequence>& sequences, int64_t batch) {
    std::vector<Chunk> chunks;
    for (int64_t i = 0; i < batch; i++) chunks.push_back({sequences[i], 1, true});
    return chunks;
  }

  // Samples of a step; `back` undoes what it appended.
  std::vector<double> sample(Runtime& runtime, const std::vector<Chunk>& chunks,
                             const std::function<void()>& back, const Sampling& sampling = {}) {
    constexpr int kWarmUp = 3;
    std::vector<double> taken;
    for (int i = -kWarmUp; i < options_.samples; i++) {
      const double seconds = runtime.run(chunks, sampling);
      back();
      if (i >= 0) taken.push_back(seconds);
    }
    return taken;
  }

  void truncate(Runtime& runtime, const std::vector<weir_sequence>& sequences, int64_t batch,
                int64_t length) {
    for (int64_t i = 0; i < batch; i++) runtime.truncate(sequences[i], length);
  }

  void add(const std::string& name, const std::string& variant, int64_t batch, int64_t context,
           int64_t tokens, const std::string& kv, const std::vector<Entry>& entries,
           std::vector<double> samples) {
    Result result;
    result.group = "step";
    result.name = name;
    result.variant = variant;
    result.batch = batch;
    result.context = context;
    result.tokens = tokens;
    result.seconds = spread_of(std::move(samples));
    const StepWork work = step_work(model_, kv_format_of(kv), entries);
    result.work = work.total();
    const Floor floor = floor_of(result.work, ceilings_.read_bytes, ceilings_.matrix_operations);
    result.floor_seconds = floor.seconds;
    result.floor_by_part_seconds = floor_by_part(work, ceilings_.read_bytes, ceilings_.matrix_operations);
    result.bound = floor.bound;
    report_.add(result);
  }

  // Decode steps of each batch that the pool has room for, after which every sequence has `context` tokens.
  void decodes(Runtime& runtime, std::vector<weir_sequence>& sequences, int64_t blocks, const std::string& kv,
               const std::string& name, int64_t context, const std::vector<int64_t>& batches) {
    const int64_t blocks_each = (context + 15) / 16;
    int64_t most = 0;
    std::vector<int64_t> fitting;
    for (const int64_t batch : batches) {
      const std::string point =
          name + ", kv " + kv + ", " + std::to_string(batch) + " x " + std::to_string(context);
      if (batch * blocks_each > blocks) {
        report_.skip(point, std::to_string(batch * blocks_each) + " KV blocks are needed, there are " +
                                std::to_string(blocks));
      } else {
        fitting.push_back(batch);
        most = std::max(most, batch);
      }
    }
    if (fitting.empty()) return;
    attempt(name + " x " + std::to_string(context), [&] {
      grow(runtime, sequences, most, context - 1);
      for (const int64_t batch : fitting) {
        attempt(name + " " + std::to_string(batch) + " x " + std::to_string(context), [&] {
          add(name, model_.name + " kv " + kv, batch, context, batch, kv,
              std::vector<Entry>(static_cast<size_t>(batch), {context, 1, true}),
              sample(runtime, decodes_of(sequences, batch),
                     [&] { truncate(runtime, sequences, batch, context - 1); }));
        });
      }
      report_.write(options_.json);
    });
  }

  // 64 decodes and a new prompt of 512 tokens.
  void mixed(Runtime& runtime, const std::vector<weir_sequence>& sequences, const std::string& variant) {
    const auto batch = std::min<int64_t>(mixed_batch(), static_cast<int64_t>(sequences.size()));
    const int64_t context = mixed_context();
    const weir_sequence prompt = runtime.create();
    std::vector<Chunk> chunks = decodes_of(sequences, batch);
    chunks.push_back({prompt, static_cast<int32_t>(mixed_prompt()), true});
    std::vector<Entry> entries(static_cast<size_t>(batch), {context, 1, true});
    entries.push_back({mixed_prompt(), mixed_prompt(), true});
    std::vector<double> samples = sample(runtime, chunks, [&] {
      truncate(runtime, sequences, batch, context - 1);
      runtime.truncate(prompt, 0);
    });
    runtime.free(prompt);
    add("mixed step", variant, batch, context, batch + mixed_prompt(), options_.kv.front(), entries,
        std::move(samples));
  }

  void sampled(Runtime& runtime, const std::vector<weir_sequence>& sequences, const std::string& variant) {
    const auto batch = std::min<int64_t>(mixed_batch(), static_cast<int64_t>(sequences.size()));
    const int64_t context = mixed_context();
    add("decode step, top-p 0.9", variant, batch, context, batch, options_.kv.front(),
        std::vector<Entry>(static_cast<size_t>(batch), {context, 1, true}),
        sample(runtime, decodes_of(sequences, batch),
               [&] { truncate(runtime, sequences, batch, context - 1); }, {0.8f, 0.9f}));
  }

  void prefill(Runtime& runtime, int64_t tokens, const std::string& variant) {
    const weir_sequence sequence = runtime.create();
    add("prefill step", variant, 1, tokens, tokens, options_.kv.front(), {{tokens, tokens, true}},
        sample(runtime, {{sequence, static_cast<int32_t>(tokens), true}},
               [&] { runtime.truncate(sequence, 0); }));
    runtime.free(sequence);
  }

  void add_swap(const std::string& name, const std::string& variant, double bytes, double rate,
                std::vector<double> samples, const std::string& note) {
    Result result;
    result.group = "step";
    result.name = name;
    result.variant = variant;
    result.seconds = spread_of(std::move(samples));
    result.work.bytes = bytes;
    result.floor_seconds = floor_of(result.work, rate, 0).seconds;
    result.bound = "PCIe";
    result.note = note;
    report_.add(result);
  }

  // A long sequence goes to the host and back: alone, and beside decode steps that take about as long as the
  // copy.
  void swap(Runtime& runtime, const std::vector<weir_sequence>& sequences, int64_t block_bytes,
            const std::string& variant) {
    const auto batch = std::min<int64_t>(mixed_batch(), static_cast<int64_t>(sequences.size()));
    const int64_t context = mixed_context();
    std::vector<weir_sequence> moved;
    grow(runtime, moved, 1, options_.smoke ? 100 : model_.context_length);
    const weir_sequence sequence = moved.front();
    weir_sequence_info info = sized<weir_sequence_info>();
    call(weir_sequence_describe, runtime.cache(), sequence, &info);
    const double bytes = static_cast<double>(info.blocks * block_bytes);
    const std::vector<Chunk> chunks = decodes_of(sequences, batch);
    const auto back = [&] { truncate(runtime, sequences, batch, context - 1); };
    const auto wait = [] { cuda::check(cudaDeviceSynchronize(), "swapping"); };

    std::vector<double> out, in;
    const auto cycle = [&](int64_t steps, std::vector<double>* step_seconds) {
      for (const bool outwards : {true, false}) {
        wait();
        const auto begin = Clock::now();
        call(outwards ? weir_sequence_swap_out : weir_sequence_swap_in, runtime.cache(), sequence);
        for (int64_t i = 0; i < steps; i++) {
          const double seconds = runtime.run(chunks);
          if (step_seconds != nullptr) step_seconds->push_back(seconds);
          back();
        }
        wait();
        (outwards ? out : in).push_back(seconds_since(begin));
      }
    };
    const int cycles = std::max(3, options_.samples / 3);
    // The first is not counted.
    for (int i = 0; i <= cycles; i++) {
      if (i == 1) out.clear(), in.clear();
      cycle(0, nullptr);
    }
    add_swap("swap out", variant, bytes, ceilings_.device_to_host, out, "alone");
    add_swap("swap in", variant, bytes, ceilings_.host_to_device, in, "alone");

    const double step = spread_of(sample(runtime, chunks, back)).median;
    const auto steps = std::clamp<int64_t>(
        static_cast<int64_t>(std::min(spread_of(out).median, spread_of(in).median) / step), 1, 100);
    std::vector<double> beside;
    out.clear();
    in.clear();
    for (int i = 0; i < cycles; i++) cycle(steps, &beside);
    const std::string note = "beside " + std::to_string(steps) + " decode steps of " + std::to_string(batch) +
                             " x " + std::to_string(context);
    add_swap("swap out, with steps", variant, bytes, ceilings_.device_to_host, out, note);
    add_swap("swap in, with steps", variant, bytes, ceilings_.host_to_device, in, note);
    add("decode beside swap", variant, batch, context, batch, options_.kv.front(),
        std::vector<Entry>(static_cast<size_t>(batch), {context, 1, true}), std::move(beside));
    runtime.free(sequence);
  }

  const Ceilings& ceilings_;
  Options options_;
  const std::function<bool()>& expired_;
  Report& report_;
  ModelShape model_;
  std::optional<ConfigFolder> config_;
  std::string folder_;
  weir_step_options step_options_{};
};

}  // namespace

void measure_steps(const Ceilings& ceilings, const Options& options, const std::function<bool()>& expired,
                   Report& report) {
  report.section("steps");
  StepMeter(ceilings, options, expired, report).run();
}

}  // namespace weir::benchmark
