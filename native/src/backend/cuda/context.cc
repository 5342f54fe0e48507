#include "backend/cuda/context.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "backend/cuda/error.h"
#include "backend/cuda/graphs.h"
#include "backend/cuda/kv_pool.h"
#include "backend/cuda/matmul.h"
#include "backend/cuda/memory.h"
#include "backend/cuda/nvtx.h"
#include "backend/cuda/operators.h"
#include "backend/cuda/step_metadata.h"
#include "backend/cuda/weights.h"
#include "core/error.h"

namespace weir::cuda {
namespace {

AttentionLimits attention_limits(const Device& device, const ContextLimits& limits) {
  AttentionLimits attention;
  attention.max_entries = limits.max_entries;
  attention.max_tokens = limits.max_tokens;
  attention.context_length = limits.context_length;
  attention.heads = limits.heads;
  attention.kv_heads = limits.kv_heads;
  attention.head_size = limits.head_size;
  attention.multiprocessors = device.multiprocessors();
  return attention;
}

// Most decodes in one step, each of which samples.
int32_t largest_decode(const ContextLimits& limits) {
  return std::min(limits.max_samples, limits.max_tokens);
}

// What sampling needs besides the logits, in pinned memory and on the device: the parameters and what comes
// back.
struct SampleMemory {
  explicit SampleMemory(const ContextLimits& limits)
      : rows(limits.max_samples),
        // The tokens that a penalty looks at are sent once each.
        history(int64_t{limits.max_samples} * std::min(limits.context_length, limits.vocabulary_size)),
        tops(int64_t{limits.max_samples} * limits.max_top_logprobs) {}

  int64_t parameter_bytes() const { return rows * int64_t{sizeof(SampleParameters)}; }
  int64_t input_bytes() const { return parameter_bytes() + history * 4; }
  int64_t output_bytes() const { return rows * 8 + tops * 8; }
  int64_t bytes() const { return input_bytes() + output_bytes(); }

  int64_t rows;
  int64_t history;
  int64_t tops;
};

constexpr const char* kSampleMemory = "the sampler (weir_step_options.max_entries and .max_top_logprobs)";

const CudaWeight& weight_of(const Weight& weight) { return static_cast<const CudaWeight&>(weight); }
const void* data_of(const Weight& weight) { return weight_of(weight).data(); }
const float* floats_of(const Weight& weight) { return static_cast<const float*>(data_of(weight)); }
float* floats_of(const Activations& x) { return static_cast<float*>(x.data); }

class CudaContext final : public Context {
 public:
  CudaContext(std::shared_ptr<const Device> device, const ContextLimits& limits)
      : device_((device->use(), std::move(device))),
        limits_(limits),
        attention_(attention_limits(*device_, limits)),
        metadata_(limits, attention_),
        attention_scratch_(attention_.scratch_bytes(), "attention (weir_step_options.max_tokens)"),
        matmul_workspace_(Matmul::workspace_bytes(*device_), "multiplications"),
        matmul_(device_, matmul_workspace_.data()),
        sample_memory_(limits),
        sample_host_(sample_memory_.bytes(), kSampleMemory),
        sample_device_(sample_memory_.bytes(), kSampleMemory),
        sample_scratch_(sample_scratch_bytes(limits.max_samples, limits.vocabulary_size), kSampleMemory),
        seen_((limits.vocabulary_size + 63) / 64) {}

  ~CudaContext() override {
    // The thread may never have used the device. After an error of it there is nothing left to wait for.
    cudaSetDevice(device_->ordinal());
    cudaStreamSynchronize(stream_.get());
  }

  static int64_t bytes(const Device& device, const ContextLimits& limits) {
    const AttentionLimits attention = attention_limits(device, limits);
    return StepMetadata::bytes(limits, attention) + attention.scratch_bytes() +
           Matmul::workspace_bytes(device) + SampleMemory(limits).bytes() +
           sample_scratch_bytes(limits.max_samples, limits.vocabulary_size);
  }

  void prepare(const std::function<void(const StepBatch&)>& forward) override {
    device_->use();
    // Entries that belong to no sequence: computed, and written nowhere.
    const StepBatch nothing;
    for (int32_t bucket = 1; bucket != 0; bucket = next_decode_bucket(bucket, largest_decode(limits_))) {
      finish_on_error([&] {
        metadata_.upload(nothing, bucket, stream_.get());
        const StepBatch padded = padded_to(nothing, bucket);
        // Once for real, so that what is found out and set up at the first use is not recorded.
        forward(padded);
        stream_.synchronize("preparing decode steps");
        if (!device_->graphs()) return;
        graphs_.record(bucket, stream_.get(), [&] { forward(padded); });
        // What the first replay sets up is done before the first request.
        graphs_.replay(bucket, stream_.get());
        stream_.synchronize("preparing decode steps");
      });
    }
  }

  void run(const StepBatch& batch, KvPool* pool,
           const std::function<void(const StepBatch&)>& forward) override {
    const Range range("weir step");
    device_->use();
    finish_on_error([&] {
      if (pool != nullptr) static_cast<CudaKvPool*>(pool)->order_before(stream_.get(), batch);
      const bool decodes = batch.tokens == batch.entries && batch.samples == batch.entries;
      const int32_t bucket = decodes ? decode_bucket(batch.entries, largest_decode(limits_)) : 0;
      if (graphs_.has(bucket)) {
        upload(batch, bucket);
        const Range replay("graph");
        graphs_.replay(bucket, stream_.get());
      } else {
        upload(batch, batch.entries);
        const Range launches("forward");
        forward(batch);
      }
    });
  }

  void mark(const char* name) override {
    mark_.reset();
    if (name != nullptr) mark_.emplace(name);
  }

  void embed(const StepBatch& batch, const Weight& table, Activations out) override {
    cuda::embed(stream_.get(), device_->type(), metadata_.batch(), data_of(table), floats_of(out),
                batch.tokens, out.columns);
  }
  void rms_norm(Activations x, const Weight& gain, float epsilon, Activations out) override {
    cuda::rms_norm(stream_.get(), device_->type(), floats_of(x), floats_of(gain), epsilon, out.data, x.rows,
                   x.columns);
  }
  void add_rms_norm(Activations residual, Activations delta, const Weight& gain, float epsilon,
                    Activations out) override {
    cuda::add_rms_norm(stream_.get(), device_->type(), floats_of(residual), delta.data, floats_of(gain),
                       epsilon, out.data, residual.rows, residual.columns);
  }
  void matmul(const Weight& weight, Activations x, Activations out) override {
    const ElementType type = out.element_bytes == 4 ? ElementType::kF32 : device_->type();
    matmul_.multiply(stream_.get(), weight_of(weight), x.data, x.rows, out.data, type);
  }
  void gated_matmul(const Weight& gate_up, Activations x, Activations scratch, Activations out) override {
    matmul_.gated(stream_.get(), weight_of(gate_up), x.data, x.rows, scratch.data, out.data);
  }
  void rope_append(const StepBatch& batch, int32_t layer, int32_t heads, const Weight& rotations,
                   Activations qkv, KvPool& pool) override {
    cuda::rope_append(stream_.get(), shape_of(layer, heads, pool), metadata_.batch(), floats_of(rotations),
                      qkv.data, pool.data(), batch.tokens);
  }
  void attention(const StepBatch& batch, int32_t layer, int32_t heads, Activations qkv, const KvPool& pool,
                 Activations out) override {
    AttentionArguments arguments;
    arguments.shape = shape_of(layer, heads, pool);
    arguments.batch = metadata_.batch();
    arguments.plan = metadata_.plan();
    // The first time is in prepare(), before anything is recorded.
    if (!attention_launch_) attention_launch_ = prepare_attention(arguments.shape, attention_);
    arguments.launch = *attention_launch_;
    arguments.rows = batch.tokens;
    arguments.scratch = attention_scratch_.data();
    arguments.qkv = qkv.data;
    arguments.pool = pool.data();
    arguments.out = out.data;
    cuda::attention(stream_.get(), arguments);
  }
  void silu_multiply(Activations gate_up, Activations out) override {
    cuda::silu_multiply(stream_.get(), device_->type(), gate_up.data, out.data, out.rows, out.columns);
  }
  void gather_samples(const StepBatch& batch, Activations x, Activations out) override {
    cuda::gather_samples(stream_.get(), device_->type(), metadata_.batch(), x.data, out.data, batch.samples,
                         out.columns);
  }

  int64_t sample(Activations logits, std::span<const SampleRequest> requests,
                 std::span<const SampleResult> results) override {
    const Range range("sample");
    device_->use();
    int64_t refused = -1;
    finish_on_error([&] {
      if (!requests.empty()) launch_sampler(logits, requests);
      stream_.synchronize("running a step");
      refused = read_results(requests, results);
    });
    return refused;
  }

  void read_row(Activations x, int64_t row, float* out) override {
    device_->use();
    if (x.element_bytes != 4) throw Error(WEIR_INTERNAL, "rows of 32-bit floats alone can be read");
    check(cudaMemcpyAsync(out, floats_of(x) + row * x.columns, x.columns * sizeof(float),
                          cudaMemcpyDeviceToHost, stream_.get()),
          "reading activations");
    stream_.synchronize("reading activations");
  }

 private:
  // After an error nothing of the step runs on: what it used may be freed or written by the next.
  template <typename Work>
  void finish_on_error(Work&& work) {
    try {
      work();
    } catch (...) {
      mark_.reset();
      cudaStreamSynchronize(stream_.get());
      cudaGetLastError();
      throw;
    }
  }

  void upload(const StepBatch& batch, int32_t entries) {
    const Range range("upload");
    metadata_.upload(batch, entries, stream_.get());
  }

  static StepBatch padded_to(StepBatch batch, int32_t bucket) {
    batch.entries = batch.tokens = batch.samples = bucket;
    return batch;
  }

  QkvShape shape_of(int32_t layer, int32_t heads, const KvPool& pool) const {
    return {device_->type(), layer, heads, pool.layout()};
  }

  void launch_sampler(const Activations& logits, std::span<const SampleRequest> requests) {
    auto* const host = static_cast<std::byte*>(sample_host_.data());
    auto* const device = static_cast<std::byte*>(sample_device_.data());
    auto* const parameters = reinterpret_cast<SampleParameters*>(host);
    auto* const history = reinterpret_cast<int32_t*>(host + sample_memory_.parameter_bytes());
    int32_t history_count = 0;
    for (size_t i = 0; i < requests.size(); i++) {
      const SampleRequest& request = requests[i];
      SampleParameters& row = parameters[i];
      row = {};
      row.temperature = request.temperature;
      row.top_p = request.top_p;
      row.repetition_penalty = request.repetition_penalty;
      row.top_k = request.top_k;
      row.top_logprobs = request.top_logprobs;
      row.seed = request.seed;
      row.position = request.position;
      row.history_start = history_count;
      if (request.repetition_penalty != 1) {
        history_count += write_distinct(request.history, history + history_count);
      }
      row.history_count = history_count - row.history_start;
    }
    const auto copy = [&](int64_t offset, int64_t bytes) {
      check(cudaMemcpyAsync(device + offset, host + offset, bytes, cudaMemcpyHostToDevice, stream_.get()),
            "copying sampling parameters");
    };
    copy(0, static_cast<int64_t>(requests.size() * sizeof(SampleParameters)));
    if (history_count > 0) copy(sample_memory_.parameter_bytes(), int64_t{history_count} * 4);

    const int64_t outputs = sample_memory_.input_bytes();
    const int64_t rows = static_cast<int64_t>(requests.size());
    SampleArguments arguments;
    arguments.logits = floats_of(logits);
    arguments.rows = static_cast<int32_t>(rows);
    arguments.vocabulary_size = limits_.vocabulary_size;
    arguments.max_top_logprobs = limits_.max_top_logprobs;
    arguments.parameters = reinterpret_cast<const SampleParameters*>(device);
    arguments.history = reinterpret_cast<const int32_t*>(device + sample_memory_.parameter_bytes());
    arguments.scratch = sample_scratch_.data();
    const Outputs on_device(device + outputs, rows, limits_.max_top_logprobs);
    arguments.tokens = on_device.tokens;
    arguments.logprobs = on_device.logprobs;
    arguments.top_tokens = on_device.top_tokens;
    arguments.top_token_logprobs = on_device.top_token_logprobs;
    cuda::sample(stream_.get(), arguments);

    const bool tops = std::any_of(requests.begin(), requests.end(),
                                  [](const SampleRequest& request) { return request.top_logprobs > 0; });
    const int64_t bytes = rows * 8 + (tops ? rows * limits_.max_top_logprobs * 8 : 0);
    check(cudaMemcpyAsync(host + outputs, device + outputs, bytes, cudaMemcpyDeviceToHost, stream_.get()),
          "copying sampled tokens");
  }

  // Where the results of `rows` rows lie: tokens, log-probabilities, then those of the most likely tokens.
  struct Outputs {
    Outputs(std::byte* begin, int64_t rows, int32_t max_top_logprobs)
        : tokens(reinterpret_cast<int32_t*>(begin)),
          logprobs(reinterpret_cast<float*>(tokens + rows)),
          top_tokens(reinterpret_cast<int32_t*>(logprobs + rows)),
          top_token_logprobs(reinterpret_cast<float*>(top_tokens + rows * max_top_logprobs)) {}

    int32_t* tokens;
    float* logprobs;
    int32_t* top_tokens;
    float* top_token_logprobs;
  };

  int64_t read_results(std::span<const SampleRequest> requests, std::span<const SampleResult> results) {
    const Outputs outputs(static_cast<std::byte*>(sample_host_.data()) + sample_memory_.input_bytes(),
                          static_cast<int64_t>(requests.size()), limits_.max_top_logprobs);
    int64_t refused = -1;
    for (size_t i = 0; i < requests.size(); i++) {
      if (outputs.tokens[i] < 0) {
        if (refused < 0) refused = static_cast<int64_t>(i);
        continue;
      }
      *results[i].token = outputs.tokens[i];
      *results[i].logprob = outputs.logprobs[i];
      const size_t first = i * limits_.max_top_logprobs;
      const int32_t reported = std::min(requests[i].top_logprobs, limits_.vocabulary_size);
      std::copy_n(outputs.top_tokens + first, reported, results[i].top_tokens);
      std::copy_n(outputs.top_token_logprobs + first, reported, results[i].top_token_logprobs);
    }
    return refused;
  }

  int32_t write_distinct(std::span<const int32_t> tokens, int32_t* out) {
    int32_t count = 0;
    for (const int32_t token : tokens) {
      const uint64_t bit = uint64_t{1} << (token % 64);
      if ((seen_[token / 64] & bit) != 0) continue;
      seen_[token / 64] |= bit;
      out[count++] = token;
    }
    for (const int32_t token : tokens) seen_[token / 64] = 0;
    return count;
  }

  std::shared_ptr<const Device> device_;
  ContextLimits limits_;
  Stream stream_;
  AttentionLimits attention_;
  std::optional<AttentionLaunch> attention_launch_;
  StepMetadata metadata_;
  DeviceMemory attention_scratch_;
  DeviceMemory matmul_workspace_;
  Matmul matmul_;
  SampleMemory sample_memory_;
  PinnedMemory sample_host_;
  DeviceMemory sample_device_;
  DeviceMemory sample_scratch_;
  std::vector<uint64_t> seen_;
  Graphs graphs_;
  std::optional<Range> mark_;
};

}  // namespace

std::unique_ptr<Context> make_context(std::shared_ptr<const Device> device, const ContextLimits& limits) {
  return std::make_unique<CudaContext>(std::move(device), limits);
}

int64_t context_bytes(const Device& device, const ContextLimits& limits) {
  return CudaContext::bytes(device, limits);
}

int64_t graph_bytes(const Device& device, const ContextLimits& limits, int32_t layers) {
  if (!device.graphs()) return 0;
  int64_t graphs = 0;
  for (int32_t bucket = 1; bucket != 0; bucket = next_decode_bucket(bucket, largest_decode(limits))) graphs++;
  // At most ten kernels a layer, and those before and after the layers.
  return graphs * Graphs::bytes_of(int64_t{layers} * 10 + 8);
}

}  // namespace weir::cuda
