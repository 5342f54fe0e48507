#include "operators.h"

#include <algorithm>
#include <exception>
#include <memory>
#include <numeric>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "backend/cuda/error.h"
#include "backend/cuda/operators.h"
#include "context_timer.h"
#include "core/error.h"
#include "gpu.h"

namespace weir::benchmark {
namespace {

constexpr int32_t kBlockSize = 16;
constexpr int64_t kMostSamples = 256;  // rows whose logits are computed in a step

weir_precision precision_of(const std::string& name) {
  if (name == "bf16") return WEIR_PRECISION_BF16;
  if (name == "int8") return WEIR_PRECISION_INT8;
  if (name == "fp8") return WEIR_PRECISION_FP8;
  return WEIR_PRECISION_FP16;
}

KvFormat format_of(const std::string& name, const KvElement& element) {
  return {name, element.bytes, element.scaled};
}

// Contexts from 1/4 to 7/4 of `context` with that mean, in an order that is not sorted.
std::vector<int64_t> ragged(int64_t batch, int64_t context, int64_t longest) {
  std::vector<int64_t> contexts;
  for (int64_t i = 0; i < batch; i++) {
    // 5 and the batch have no common divisor for powers of two.
    const int64_t step = batch > 1 ? (i * 5 % batch) * 6 * context / (4 * (batch - 1)) : 0;
    contexts.push_back(std::clamp<int64_t>(context / 4 + step, 1, longest));
  }
  return contexts;
}

class OperatorMeter {
 public:
  OperatorMeter(Backend& backend, const Ceilings& ceilings, const Options& options,
                const std::function<bool()>& expired, Report& report)
      : backend_(backend),
        ceilings_(ceilings),
        options_(options),
        expired_(expired),
        report_(report),
        type_(options.precision == "bf16" ? cuda::ElementType::kBf16 : cuda::ElementType::kF16),
        filling_(options.precision == "bf16" ? Filling::kBf16 : Filling::kF16),
        model_(options.smoke ? smoke_model() : llama_2_7b()) {}

  void run() {
    for (const std::string& kv : options_.kv) decode_attention(model_, kv, false);
    decode_attention(model_, options_.kv.front(), true);
    if (!options_.smoke) decode_attention(tinyllama_1b(), options_.kv.front(), false);
    prefill_attention();
    multiplications();
    elementwise();
    rope_append();
    sampler();
  }

 private:
  // Runs the measurement of one point, unless there is no time or no memory for it.
  void attempt(const std::string& name, const std::string& point, const std::function<void()>& measure) {
    if (!options_.wants(name)) return;
    if (expired_()) {
      report_.skip(name + " " + point, "the time for operators was over");
      return;
    }
    try {
      measure();
    } catch (const Error& error) {
      // After these every other point would fail as well.
      if (error.status() == WEIR_DEVICE_FAILED) throw;
      report_.skip(name + " " + point, error.what());
    }
  }

  void add(const std::string& name, const std::string& variant, int64_t batch, int64_t context,
           const Work& work, std::vector<double> samples, bool from_memory = true,
           const std::string& note = "") {
    Result result;
    result.group = "operator";
    result.name = name;
    result.variant = variant;
    result.batch = batch;
    result.context = context;
    result.work = work;
    result.seconds = spread_of(std::move(samples));
    result.note = note;
    if (from_memory) {
      const Floor floor = floor_of(work, ceilings_.read_bytes, ceilings_.matrix_operations);
      result.floor_seconds = floor.seconds;
      result.bound = floor.bound;
    } else {
      result.note = "data is in the L2 cache, as in a step";
    }
    report_.add(result);
  }

  int64_t rotation(double bytes) const { return options_.smoke ? 2 : rotation_for(bytes); }

  ContextLimits limits_for(const ModelShape& model, int64_t entries, int64_t tokens, int64_t samples) const {
    ContextLimits limits;
    limits.max_entries = static_cast<int32_t>(entries);
    limits.max_tokens = static_cast<int32_t>(tokens);
    limits.max_samples = static_cast<int32_t>(samples);
    limits.vocabulary_size = static_cast<int32_t>(model.vocabulary);
    limits.context_length = static_cast<int32_t>(model.context_length);
    limits.heads = static_cast<int32_t>(model.heads);
    limits.kv_heads = static_cast<int32_t>(model.kv_heads);
    limits.head_size = static_cast<int32_t>(model.head_size);
    limits.block_size = kBlockSize;
    return limits;
  }

  // A pool with random keys and values, and as many layers as make cycling through them find none in the L2
  // cache.
  std::unique_ptr<KvPool> make_pool(const ModelShape& model, const std::string& kv, int64_t blocks) {
    KvLayout layout;
    layout.block_size = kBlockSize;
    layout.layers = 1;
    layout.kv_heads = static_cast<int32_t>(model.kv_heads);
    layout.head_size = static_cast<int32_t>(model.head_size);
    layout.element = backend_.kv_element(precision_of(kv));
    layout.layers = static_cast<int32_t>(rotation(static_cast<double>(blocks * layout.block_bytes())));
    std::unique_ptr<KvPool> pool = backend_.make_pool(layout, blocks, 0);
    auto* const data = static_cast<std::byte*>(pool->data());
    const Filling filling = kv == "int8"   ? Filling::kInt8
                            : kv == "fp8"  ? Filling::kFp8
                            : kv == "bf16" ? Filling::kBf16
                                           : Filling::kF16;
    if (!layout.element.scaled) {
      fill(stream_.get(), filling, data, blocks * layout.block_bytes(), 3);
    } else {
      for (int64_t block = 0; block < blocks; block++) {
        std::byte* const begin = data + block * layout.block_bytes();
        fill(stream_.get(), filling, begin, layout.data_bytes(), 3 + static_cast<uint64_t>(block));
        fill(stream_.get(), Filling::kScale, begin + layout.data_bytes(),
             layout.block_bytes() - layout.data_bytes(), 5 + static_cast<uint64_t>(block));
      }
    }
    stream_.synchronize();
    return pool;
  }

  void attend(const std::string& name, const std::string& variant, const ModelShape& model,
              const std::string& kv, const std::vector<int64_t>& contexts, int64_t queries, int64_t context) {
    const bool decodes = queries == 1;
    const int64_t tokens = std::accumulate(contexts.begin(), contexts.end(), int64_t{0});
    const int64_t mean = tokens / static_cast<int64_t>(contexts.size());
    const std::string note = mean == context ? "" : "mean " + std::to_string(mean) + " tokens";
    const BenchmarkBatch batch(contexts, queries, kBlockSize, decodes);
    const StepBatch& view = batch.view();
    const std::unique_ptr<KvPool> pool = make_pool(model, kv, batch.blocks());
    const std::unique_ptr<Context> operators =
        backend_.make_context(limits_for(model, view.entries, view.tokens, view.entries));
    const BenchmarkRows qkv(backend_, view.tokens, model.query_size() + 2 * model.kv_size(), 2, filling_);
    const BenchmarkRows out(backend_, view.tokens, model.query_size(), 2, Filling::kZero);
    std::vector<Entry> entries;
    for (const int64_t length : contexts) entries.push_back({length, queries, true});
    ContextTiming timing;
    timing.samples = options_.samples;
    timing.rotation = pool->layout().layers;
    timing.most_calls = 512;
    timing.recorded = decodes;
    if (options_.smoke) timing.least_seconds = 0;
    std::vector<double> samples =
        sample_calls(*operators, view, pool.get(), timing, [&](const StepBatch& padded, int64_t layer) {
          operators->attention(padded, static_cast<int32_t>(layer), static_cast<int32_t>(model.heads),
                               qkv.first(padded.tokens), *pool, out.first(padded.tokens));
        });
    add(name, variant, decodes ? view.entries : 0, context,
        attention_work(model, format_of(kv, pool->layout().element), entries), std::move(samples), true,
        note);
  }

  void decode_attention(const ModelShape& model, const std::string& kv, bool is_ragged) {
    const std::string name = is_ragged ? "decode attention, ragged" : "decode attention";
    for (const int64_t context : options_.contexts) {
      if (context > model.context_length) continue;
      for (const int64_t batch : options_.batches) {
        if (is_ragged && batch == 1) continue;
        attempt(name, model.name + " " + kv + " " + std::to_string(batch) + " x " + std::to_string(context),
                [&] {
                  const std::vector<int64_t> contexts =
                      is_ragged ? ragged(batch, context, model.context_length)
                                : std::vector<int64_t>(static_cast<size_t>(batch), context);
                  attend(name, model.name + " " + kv, model, kv, contexts, 1, context);
                });
      }
    }
  }

  void prefill_attention() {
    for (const int64_t tokens : options_.prompts) {
      attempt("prefill attention", std::to_string(tokens), [&] {
        attend("prefill attention", model_.name + " " + options_.kv.front(), model_, options_.kv.front(),
               {tokens}, tokens, tokens);
      });
    }
  }

  void multiplications() {
    const int64_t queries = model_.query_size();
    const int64_t kv = model_.kv_size();
    multiply("matmul qkv", model_.hidden, queries + 2 * kv, 2);
    multiply("matmul output", queries, model_.hidden, 2);
    multiply("matmul gate_up, silu", model_.hidden, 2 * model_.intermediate, 2);
    multiply("matmul down", model_.intermediate, model_.hidden, 2);
    multiply("matmul head", model_.hidden, model_.vocabulary, 4);
  }

  void multiply(const std::string& name, int64_t in, int64_t out, int32_t output_bytes) {
    const bool gated = name == "matmul gate_up, silu";
    attempt(name, "", [&] {
      std::vector<std::unique_ptr<Weight>> weights;
      const auto bytes = static_cast<double>(backend_.matrix_bytes(out, in));
      for (int64_t i = 0; i < rotation(bytes); i++) {
        WeightSource source;
        source.rows = out;
        source.columns = in;
        source.seed = 1;
        source.stream = static_cast<uint64_t>(i);
        source.deviation = 0.02f;
        weights.push_back(backend_.make_matrix(source));
      }
      const int64_t most = *std::max_element(options_.rows.begin(), options_.rows.end());
      // Weights outlive the context that has seen them.
      const std::unique_ptr<Context> context =
          backend_.make_context(limits_for(model_, 1, most, std::min(most, kMostSamples)));
      const BenchmarkRows x(backend_, most, in, 2, filling_);
      const BenchmarkRows y(backend_, most, out, output_bytes, Filling::kZero);
      const BenchmarkRows activated(backend_, most, gated ? out / 2 : 1, 2, Filling::kZero);
      const OperatorCall call = [&](const StepBatch& batch, int64_t i) {
        const int64_t rows = batch.tokens;
        if (gated) {
          context->gated_matmul(*weights[i], x.first(rows), y.first(rows), activated.first(rows));
        } else {
          context->matmul(*weights[i], x.first(rows), y.first(rows));
        }
      };
      for (const int64_t rows : options_.rows) {
        if (name == "matmul head" && rows > kMostSamples) continue;
        attempt(name, std::to_string(rows), [&] {
          const BenchmarkBatch batch({std::max(rows, int64_t{1})}, rows, kBlockSize, false);
          ContextTiming timing;
          timing.samples = options_.samples;
          timing.rotation = static_cast<int64_t>(weights.size());
          if (options_.smoke) timing.least_seconds = 0;
          add(name, model_.name + " " + options_.precision, rows, 0,
              matmul_work(rows, in, gated ? out / 2 : out, output_bytes) + gate_work(gated, rows, in, out),
              sample_calls(*context, batch.view(), nullptr, timing, call));
        });
      }
    });
  }

  // The other half of the weights of a gated multiplication, which adds nothing to what is written.
  static Work gate_work(bool gated, int64_t rows, int64_t in, int64_t out) {
    if (!gated) return {};
    Work work = matmul_work(rows, in, out / 2, 0);
    work.bytes -= 2 * static_cast<double>(rows * in);
    return work;
  }

  std::vector<double> recorded(const std::function<void(cudaStream_t)>& call) {
    return stream_.sample_recorded(options_.samples, options_.smoke ? 2 : 200,
                                   [&](cudaStream_t stream, int) { call(stream); });
  }

  void elementwise() {
    const int64_t hidden = model_.hidden;
    const int64_t intermediate = model_.intermediate;
    const int64_t most = *std::max_element(options_.rows.begin(), options_.rows.end());
    const DeviceBuffer residual(most * hidden * 4), delta(most * hidden * 2), out(most * hidden * 2);
    const DeviceBuffer gate_up(most * 2 * intermediate * 2), activated(most * intermediate * 2);
    const DeviceBuffer gain(hidden * 4), table(model_.vocabulary * hidden * 2);
    fill(stream_.get(), Filling::kF32, residual.as(), residual.bytes(), 1);
    fill(stream_.get(), filling_, delta.as(), delta.bytes(), 2);
    fill(stream_.get(), filling_, gate_up.as(), gate_up.bytes(), 3);
    fill(stream_.get(), Filling::kScale, gain.as(), gain.bytes(), 4);
    fill(stream_.get(), filling_, table.as(), table.bytes(), 5);
    for (const int64_t rows : options_.rows) {
      const auto elements = static_cast<double>(rows * hidden);
      const std::string point = std::to_string(rows);
      const std::string variant = model_.name + " " + options_.precision;
      attempt("rms_norm", point, [&] {
        add("rms_norm", variant, rows, 0, {elements * 6, 0}, recorded([&](cudaStream_t stream) {
              cuda::rms_norm(stream, type_, residual.as<float>(), gain.as<float>(), 1e-5f, out.as(), rows,
                             hidden);
            }),
            false);
      });
      attempt("add_rms_norm", point, [&] {
        add("add_rms_norm", variant, rows, 0, {elements * 12, 0}, recorded([&](cudaStream_t stream) {
              cuda::add_rms_norm(stream, type_, residual.as<float>(), delta.as(), gain.as<float>(), 1e-5f,
                                 out.as(), rows, hidden);
            }),
            false);
        // The residual has grown by the repetitions.
        fill(stream_.get(), Filling::kF32, residual.as(), residual.bytes(), 1);
      });
      attempt("silu_multiply", point, [&] {
        add("silu_multiply", variant, rows, 0, {static_cast<double>(rows * intermediate) * 6, 0},
            recorded([&](cudaStream_t stream) {
              cuda::silu_multiply(stream, type_, gate_up.as(), activated.as(), rows, intermediate);
            }),
            false);
      });
      attempt("embed", point, [&] {
        const std::vector<int32_t> ids = token_ids(rows);
        const DeviceBuffer ids_on_device(rows * 4);
        cuda::check(cudaMemcpy(ids_on_device.as(), ids.data(), rows * 4, cudaMemcpyHostToDevice),
                    "copying token ids");
        cuda::DeviceBatch batch;
        batch.token_ids = ids_on_device.as<int32_t>();
        add("embed", variant, rows, 0, {elements * 6, 0}, recorded([&](cudaStream_t stream) {
              cuda::embed(stream, type_, batch, table.as(), residual.as<float>(), rows, hidden);
            }),
            false);
        stream_.synchronize();
      });
    }
  }

  std::vector<int32_t> token_ids(int64_t rows) const {
    std::vector<int32_t> ids;
    for (int64_t i = 0; i < rows; i++) ids.push_back(static_cast<int32_t>(i * 7919 % model_.vocabulary));
    return ids;
  }

  void rope_append() {
    const DeviceBuffer rotations(model_.context_length * model_.head_size * 4);
    for (const std::string& kv : options_.kv) {
      for (const int64_t rows : options_.rows) {
        if (rows > 256) continue;
        attempt("rope_append", kv + " " + std::to_string(rows), [&] {
          fill(stream_.get(), Filling::kScale, rotations.as(), rotations.bytes(), 6);
          // Each row is a sequence with one token more than fills its first block.
          const BenchmarkBatch batch(std::vector<int64_t>(static_cast<size_t>(rows), kBlockSize + 1), 1,
                                     kBlockSize, true);
          const std::unique_ptr<KvPool> pool = make_pool(model_, kv, batch.blocks());
          const BenchmarkRows qkv(backend_, rows, model_.query_size() + 2 * model_.kv_size(), 2, filling_);
          const StepBatch& view = batch.view();
          const auto upload = [](const auto* values, int64_t count) {
            auto buffer = std::make_unique<DeviceBuffer>(count * static_cast<int64_t>(sizeof *values));
            cuda::check(cudaMemcpy(buffer->as(), values, static_cast<size_t>(buffer->bytes()),
                                   cudaMemcpyHostToDevice),
                        "copying a batch");
            return buffer;
          };
          const auto positions = upload(view.positions, rows);
          const auto entries = upload(view.entry_of_token, rows);
          const auto tables = upload(view.block_tables, batch.blocks());
          const auto starts = upload(view.table_starts, rows + 1);
          cuda::DeviceBatch on_device;
          on_device.positions = positions->as<int32_t>();
          on_device.entry_of_token = entries->as<int32_t>();
          on_device.block_tables = tables->as<int32_t>();
          on_device.table_starts = starts->as<int64_t>();
          cuda::QkvShape shape;
          shape.type = type_;
          shape.heads = static_cast<int32_t>(model_.heads);
          shape.layout = pool->layout();
          const auto size = static_cast<double>(rows);
          const double bytes = size * (4 * static_cast<double>(model_.query_size()) +
                                       2 * 2 * static_cast<double>(model_.kv_size()) +
                                       kv_bytes_per_token(model_, format_of(kv, pool->layout().element)));
          add("rope_append", model_.name + " " + kv, rows, 0, {bytes, 0}, recorded([&](cudaStream_t stream) {
                cuda::rope_append(stream, shape, on_device, rotations.as<float>(), qkv.first(rows).data,
                                  pool->data(), rows);
              }),
              false);
        });
      }
    }
  }

  void sampler() {
    struct Kind {
      const char* name;
      float temperature;
      int32_t top_k;
      float top_p;
    };
    for (const Kind& kind : {Kind{"sample greedy", 0, 0, 1}, Kind{"sample temperature", 0.8f, 0, 1},
                             Kind{"sample top-k 40", 0.8f, 40, 1}, Kind{"sample top-p 0.9", 0.8f, 0, 0.9f}}) {
      for (const int64_t rows : options_.batches) {
        attempt(kind.name, std::to_string(rows), [&] {
          const int64_t elements = rows * model_.vocabulary;
          const DeviceBuffer logits(elements * 4),
              parameters(rows * static_cast<int64_t>(sizeof(cuda::SampleParameters)));
          const DeviceBuffer tokens(rows * 4), logprobs(rows * 4);
          const DeviceBuffer scratch(
              std::max<int64_t>(16, cuda::sample_scratch_bytes(static_cast<int32_t>(rows),
                                                               static_cast<int32_t>(model_.vocabulary))));
          fill(stream_.get(), Filling::kF32, logits.as(), logits.bytes(), 7);
          fill(stream_.get(), Filling::kZero, scratch.as(), scratch.bytes() / 4 * 4, 0);
          std::vector<cuda::SampleParameters> host(static_cast<size_t>(rows));
          for (size_t i = 0; i < host.size(); i++) {
            host[i] = {};
            host[i].temperature = kind.temperature;
            host[i].top_k = kind.top_k;
            host[i].top_p = kind.top_p;
            host[i].repetition_penalty = 1;
            host[i].seed = i;
          }
          cuda::check(cudaMemcpy(parameters.as(), host.data(), static_cast<size_t>(parameters.bytes()),
                                 cudaMemcpyHostToDevice),
                      "copying parameters");
          cuda::SampleArguments arguments;
          arguments.logits = logits.as<float>();
          arguments.rows = static_cast<int32_t>(rows);
          arguments.vocabulary_size = static_cast<int32_t>(model_.vocabulary);
          arguments.parameters = parameters.as<cuda::SampleParameters>();
          arguments.scratch = scratch.as();
          arguments.tokens = tokens.as<int32_t>();
          arguments.logprobs = logprobs.as<float>();
          add(kind.name, model_.name, rows, 0, {static_cast<double>(elements) * 4, 0},
              recorded([&](cudaStream_t stream) { cuda::sample(stream, arguments); }), false);
        });
      }
    }
  }

  Backend& backend_;
  const Ceilings& ceilings_;
  const Options& options_;
  const std::function<bool()>& expired_;
  Report& report_;
  cuda::ElementType type_;
  Filling filling_;
  ModelShape model_;
  TimedStream stream_;
};

}  // namespace

void measure_operators(Backend& backend, const Ceilings& ceilings, const Options& options,
                       const std::function<bool()>& expired, Report& report) {
  report.section("operators");
  OperatorMeter(backend, ceilings, options, expired, report).run();
}

}  // namespace weir::benchmark
