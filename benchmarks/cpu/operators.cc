#include "operators.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <random>
#include <utility>

#include "core/error.h"

namespace weir::benchmark {
namespace {

ContextLimits limits_for(int32_t vocabulary_size) {
  ContextLimits limits;
  limits.vocabulary_size = vocabulary_size;
  return limits;
}

constexpr int32_t kBlockSize = 16;
constexpr int64_t kMostSamples = 128;               // rows whose logits are computed
constexpr int64_t kLargestPool = int64_t{1} << 30;  // bytes; larger batches share blocks

Unit unit_of(const std::string& precision) {
  return precision == "fp32" ? Unit::kFp32 : precision == "bf16" ? Unit::kBf16 : Unit::kInt8;
}

// Operations of an exponential: reduction of the argument, a polynomial, scaling.
constexpr double kExponential = 20;

// A buffer for rows that any operator may read or write.
class Buffer {
 public:
  Buffer(Backend& backend, int64_t rows, int64_t columns)
      : memory_(backend.allocate(backend.padded_rows(rows) * columns * static_cast<int64_t>(sizeof(float)),
                                 "activations of the benchmark")),
        rows_(rows),
        columns_(columns) {
    // Words that are numbers between 1/4 and 2 in size whether they are read as bfloat16 or as 32-bit floats.
    std::mt19937 random(1);
    auto* words = static_cast<uint16_t*>(memory_->data());
    for (size_t i = 0; i < memory_->bytes() / sizeof *words; i++) {
      const uint32_t bits = static_cast<uint32_t>(random());
      words[i] = static_cast<uint16_t>((bits & 0x8000) | (0x3E80 + (bits >> 16) % 0x180));
    }
  }
  Activations view() const { return {memory_->data(), rows_, columns_}; }
  float* floats() const { return static_cast<float*>(memory_->data()); }

 private:
  std::unique_ptr<Memory> memory_;
  int64_t rows_;
  int64_t columns_;
};

// Sequences of the same length, each with the last `queries` of its tokens in this step.
class Batch {
 public:
  Batch(int64_t sequences, int64_t queries, int64_t context, int64_t blocks, int32_t vocabulary) {
    std::mt19937 random(2);
    const int64_t blocks_each = (context + kBlockSize - 1) / kBlockSize;
    // A pool in use is not in order.
    std::vector<int32_t> ids(blocks);
    std::iota(ids.begin(), ids.end(), 0);
    std::shuffle(ids.begin(), ids.end(), random);
    for (int64_t s = 0; s < sequences; s++) {
      for (int64_t i = 0; i < queries; i++) {
        token_ids_.push_back(static_cast<int32_t>(random() % vocabulary));
        positions_.push_back(static_cast<int32_t>(context - queries + i));
        entry_of_token_.push_back(static_cast<int32_t>(s));
      }
      query_starts_.push_back(static_cast<int32_t>(token_ids_.size()));
      context_lengths_.push_back(static_cast<int32_t>(context));
      for (int64_t b = 0; b < blocks_each; b++) block_tables_.push_back(ids[(s * blocks_each + b) % blocks]);
      table_starts_.push_back(static_cast<int64_t>(block_tables_.size()));
      sample_rows_.push_back(query_starts_.back() - 1);
    }
    batch_.entries = static_cast<int32_t>(sequences);
    batch_.tokens = static_cast<int32_t>(token_ids_.size());
    batch_.samples = static_cast<int32_t>(sequences);
    batch_.longest_context = static_cast<int32_t>(context);
    batch_.token_ids = token_ids_.data();
    batch_.positions = positions_.data();
    batch_.entry_of_token = entry_of_token_.data();
    batch_.query_starts = query_starts_.data();
    batch_.context_lengths = context_lengths_.data();
    batch_.block_tables = block_tables_.data();
    batch_.table_starts = table_starts_.data();
    batch_.sample_rows = sample_rows_.data();
  }
  Batch(const Batch&) = delete;
  Batch& operator=(const Batch&) = delete;

  const StepBatch& view() const { return batch_; }

 private:
  std::vector<int32_t> token_ids_, positions_, entry_of_token_, query_starts_{0}, context_lengths_,
      block_tables_, sample_rows_;
  std::vector<int64_t> table_starts_{0};
  StepBatch batch_;
};

WeightSource random_weights(int64_t rows, int64_t columns, uint64_t stream) {
  WeightSource source;
  source.rows = rows;
  source.columns = columns;
  source.stream = stream;
  source.mean = rows == 1 ? 1.0f : 0.0f;
  source.deviation = rows == 1 ? 0.0f : 0.02f;
  return source;
}

class Operators {
 public:
  Operators(Machine& machine, Backend& backend, const std::string& precision, const Model& model,
            const Selection& selection, const std::function<void(const Result&)>& measured,
            const std::function<void(const std::string&)>& skipped)
      : machine_(machine),
        backend_(backend),
        precision_(precision),
        model_(model),
        selection_(selection),
        measured_(measured),
        skipped_(skipped),
        bytes_(backend.element_bytes()),
        kv_(backend.kv_element(WEIR_PRECISION_DEFAULT)),
        context_(backend.make_context(limits_for(model.vocabulary))) {}

  void run() {
    const int64_t queries = int64_t{model_.heads} * model_.head_size;
    const int64_t kv = int64_t{model_.kv_heads} * model_.head_size;
    matmul("matmul qkv", model_.hidden, queries + 2 * kv);
    matmul("matmul output", queries, model_.hidden);
    matmul("matmul gate_up", model_.hidden, 2 * int64_t{model_.intermediate});
    matmul("matmul down", model_.intermediate, model_.hidden);
    matmul("matmul head", model_.hidden, model_.vocabulary);
    attention(queries, kv);
    rope(queries, kv);
    elementwise();
    sampler();
  }

 private:
  bool selected(const std::string& op) const {
    return selection_.operators.empty() ||
           std::any_of(selection_.operators.begin(), selection_.operators.end(),
                       [&](const std::string& beginning) { return op.starts_with(beginning); });
  }

  void time(const std::string& op, int64_t rows, int64_t context, const Work& work,
            const std::function<void()>& call) {
    Result result;
    result.model = model_.name;
    result.op = op;
    result.precision = precision_;
    result.rows = rows;
    result.context = context;
    result.work = work;
    measure(machine_, selection_.rounds, call, result);
    measured_(result);
  }

  // Runs what needs memory, and says so if there is not enough.
  void attempt(const std::string& what, const std::function<void()>& work) {
    try {
      work();
    } catch (const Error& error) {
      if (error.status() != WEIR_OUT_OF_MEMORY) throw;
      skipped_(model_.name + " " + precision_ + " " + what + ": " + error.what());
    }
  }

  // As many as make cycling through them find none in a cache.
  int64_t copies_of(double bytes) const {
    return static_cast<int64_t>(std::ceil(4 * static_cast<double>(machine_.last_level_bytes()) / bytes));
  }

  void matmul(const std::string& op, int64_t in, int64_t out) {
    if (!selected(op)) return;
    attempt(op, [&] {
      const auto bytes = static_cast<double>(backend_.matrix_bytes(out, in));
      std::vector<std::unique_ptr<Weight>> weights;
      for (int64_t i = 0; i < copies_of(bytes); i++) {
        weights.push_back(backend_.make_matrix(random_weights(out, in, static_cast<uint64_t>(i))));
      }
      // A context must not outlive the weights that it has seen.
      const std::unique_ptr<Context> context = backend_.make_context(limits_for(model_.vocabulary));
      for (const int64_t rows : selection_.rows) {
        if (out == model_.vocabulary && rows > kMostSamples) continue;
        const Buffer x(backend_, rows, in);
        const Buffer y(backend_, rows, out);
        Work work;
        work.memory_bytes = bytes;
        work.cached_bytes =
            static_cast<double>(rows * (in * bytes_.matmul_input + out * bytes_.matmul_output));
        work.operations =
            2.0 * static_cast<double>(rows) * static_cast<double>(in) * static_cast<double>(out);
        work.unit = unit_of(precision_);
        size_t next = 0;
        time(op, rows, 0, work, [&] {
          context->matmul(*weights[next], x.view(), y.view());
          next = (next + 1) % weights.size();
        });
      }
    });
  }

  // Enough layers that cycling through them finds nothing in a cache.
  std::unique_ptr<KvPool> make_pool(int64_t sequences, int64_t context) {
    KvLayout layout;
    layout.block_size = kBlockSize;
    layout.layers = 1;
    layout.kv_heads = model_.kv_heads;
    layout.head_size = model_.head_size;
    layout.element = kv_;
    const int64_t wanted = sequences * ((context + kBlockSize - 1) / kBlockSize);
    const int64_t blocks = std::min(wanted, kLargestPool / layout.block_bytes());
    layout.layers = static_cast<int32_t>(copies_of(static_cast<double>(blocks * layout.block_bytes())));
    std::unique_ptr<KvPool> pool = backend_.make_pool(layout, blocks, 0);
    pool_blocks_ = blocks;
    return pool;
  }

  void attend(const std::string& op, int64_t sequences, int64_t queries, int64_t context, int64_t query_size,
              int64_t kv_size) {
    attempt(op, [&] {
      const std::unique_ptr<KvPool> pool = make_pool(sequences, context);
      const Batch batch(sequences, queries, context, pool_blocks_, model_.vocabulary);
      const int64_t rows = sequences * queries;
      const Buffer qkv(backend_, rows, query_size + 2 * kv_size);
      const Buffer out(backend_, rows, query_size);
      Work work;
      work.memory_bytes = static_cast<double>(sequences * context * 2 * kv_size * kv_.bytes);
      work.cached_bytes =
          static_cast<double>(rows * query_size * (bytes_.matmul_output + bytes_.matmul_input));
      const double pairs = static_cast<double>(sequences) * static_cast<double>(queries) *
                           (static_cast<double>(context) - static_cast<double>(queries - 1) / 2);
      work.operations = pairs * (4 * static_cast<double>(query_size) + kExponential * model_.heads);
      work.unit = kv_.bytes == 4 ? Unit::kFp32 : Unit::kBf16;
      int32_t layer = 0;
      time(op, rows, context, work, [&] {
        context_->attention(batch.view(), layer, model_.heads, qkv.view(), *pool, out.view());
        layer = (layer + 1) % pool->layout().layers;
      });
    });
  }

  void attention(int64_t query_size, int64_t kv_size) {
    for (const int64_t context : selection_.contexts) {
      for (const int64_t rows : selection_.rows) {
        if (selected("attention decode")) attend("attention decode", rows, 1, context, query_size, kv_size);
      }
    }
    for (const int64_t context : selection_.contexts) {
      for (const int64_t rows : selection_.rows) {
        if (rows < 128 || rows > context || !selected("attention prefill")) continue;
        attend("attention prefill", 1, rows, context, query_size, kv_size);
      }
    }
  }

  void rope(int64_t query_size, int64_t kv_size) {
    constexpr int64_t kContext = 128;
    if (!selected("rope_append")) return;
    attempt("rope_append", [&] {
      const std::unique_ptr<Weight> rotations =
          backend_.make_vector(random_weights(kContext, model_.head_size, 0));
      for (const int64_t rows : selection_.rows) {
        const std::unique_ptr<KvPool> pool = make_pool(rows, kContext);
        const Batch batch(rows, 1, kContext, pool_blocks_, model_.vocabulary);
        const Buffer qkv(backend_, rows, query_size + 2 * kv_size);
        Work work;
        work.cached_bytes = static_cast<double>(
            rows * ((2 * query_size + 2 * kv_size) * bytes_.matmul_output + 2 * kv_size * kv_.bytes));
        int32_t layer = 0;
        time("rope_append", rows, 0, work, [&] {
          context_->rope_append(batch.view(), layer, model_.heads, *rotations, qkv.view(), *pool);
          layer = (layer + 1) % pool->layout().layers;
        });
      }
    });
  }

  void elementwise() {
    const int64_t hidden = model_.hidden;
    const int64_t intermediate = model_.intermediate;
    const std::unique_ptr<Weight> gain = backend_.make_vector(random_weights(1, hidden, 0));

    for (const int64_t rows : selection_.rows) {
      const Buffer x(backend_, rows, hidden);
      const Buffer delta(backend_, rows, hidden);
      const Buffer out(backend_, rows, hidden);
      const Buffer gate_up(backend_, rows, 2 * intermediate);
      const Buffer activated(backend_, rows, intermediate);

      if (selected("rms_norm")) {
        Work work;
        work.cached_bytes = static_cast<double>(rows * hidden * (bytes_.residual + bytes_.matmul_input));
        time("rms_norm", rows, 0, work, [&] { context_->rms_norm(x.view(), *gain, 1e-5f, out.view()); });
      }
      if (selected("add_rms_norm")) {
        Work work;
        work.cached_bytes = static_cast<double>(
            rows * hidden * (2 * bytes_.residual + bytes_.matmul_output + bytes_.matmul_input));
        time("add_rms_norm", rows, 0, work,
             [&] { context_->add_rms_norm(x.view(), delta.view(), *gain, 1e-5f, out.view()); });
      }
      if (selected("silu_multiply")) {
        Work work;
        work.cached_bytes =
            static_cast<double>(rows * intermediate * (2 * bytes_.matmul_output + bytes_.matmul_input));
        work.operations = static_cast<double>(rows * intermediate) * kExponential;
        work.unit = Unit::kFp32;
        time("silu_multiply", rows, 0, work,
             [&] { context_->silu_multiply(gate_up.view(), activated.view()); });
      }
    }
    if (!selected("embed")) return;
    attempt("embed", [&] {
      const std::unique_ptr<Weight> table = backend_.make_table(random_weights(model_.vocabulary, hidden, 0));
      for (const int64_t rows : selection_.rows) {
        const Batch batch(rows, 1, 1, rows, model_.vocabulary);
        const Buffer out(backend_, rows, hidden);
        Work work;
        work.cached_bytes =
            static_cast<double>(backend_.table_bytes(rows, hidden) + rows * hidden * bytes_.residual);
        time("embed", rows, 0, work, [&] { context_->embed(batch.view(), *table, out.view()); });
      }
    });
  }

  void sampler() {
    SampleRequest greedy, temperature, top_k, top_p;
    temperature.temperature = top_k.temperature = top_p.temperature = 0.8f;
    top_k.top_k = 40;
    top_p.top_p = 0.9f;
    for (const auto& [op, request] : {std::pair{"sample greedy", greedy},
                                      {"sample temperature", temperature},
                                      {"sample top-k 40", top_k},
                                      {"sample top-p 0.9", top_p}}) {
      if (!selected(op)) continue;
      for (const int64_t rows : selection_.rows) {
        if (rows > kMostSamples) continue;
        const Buffer logits(backend_, rows, model_.vocabulary);
        std::mt19937 random(3);
        std::normal_distribution<float> normal(0, 2);
        std::generate_n(logits.floats(), rows * model_.vocabulary, [&] { return normal(random); });
        std::vector<SampleRequest> requests(rows, request);
        std::vector<int32_t> tokens(rows);
        std::vector<float> logprobs(rows);
        std::vector<SampleResult> results;
        for (int64_t i = 0; i < rows; i++) {
          requests[i].position = i;
          results.push_back({&tokens[i], &logprobs[i], nullptr, nullptr});
        }
        Work work;
        const auto elements = static_cast<double>(rows * model_.vocabulary);
        work.cached_bytes = elements * bytes_.matmul_output;
        // For the log-probability, and for the draw at another temperature.
        work.operations = elements * kExponential * (request.temperature > 0 ? 2 : 1);
        work.unit = Unit::kFp32;
        time(op, rows, 0, work, [&] { context_->sample(logits.view(), requests, results); });
      }
    }
  }

  Machine& machine_;
  Backend& backend_;
  const std::string& precision_;
  const Model& model_;
  const Selection& selection_;
  const std::function<void(const Result&)>& measured_;
  const std::function<void(const std::string&)>& skipped_;
  ElementBytes bytes_;
  KvElement kv_;
  std::unique_ptr<Context> context_;
  int64_t pool_blocks_ = 0;
};

}  // namespace

const std::vector<Model>& models() {
  static const std::vector<Model> all = {{"r1b", 2048, 5632, 32, 4, 64, 32000},
                                         {"7b", 4096, 11008, 32, 32, 128, 32000}};
  return all;
}

void measure_operators(Machine& machine, Backend& backend, const std::string& precision, const Model& model,
                       const Selection& selection, const std::function<void(const Result&)>& measured,
                       const std::function<void(const std::string&)>& skipped) {
  Operators(machine, backend, precision, model, selection, measured, skipped).run();
}

}  // namespace weir::benchmark
