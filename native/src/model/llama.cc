#include "model/llama.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <string>

#include "core/error.h"
#include "model/readahead.h"

namespace weir {
namespace {

// Standard deviation of random weights; with it the activations of a deep model neither vanish nor explode.
constexpr float kRandomDeviation = 0.02f;

// So many layers are one range on a profiler's time line.
constexpr int32_t kMarkedLayers = 8;

std::vector<float> rotation_table(const ModelConfig& config) {
  const int32_t half = config.head_size / 2;
  std::vector<float> table(int64_t{config.context_length} * config.head_size);
  for (int32_t i = 0; i < half; i++) {
    const double frequency = std::pow(static_cast<double>(config.rope_theta), -2.0 * i / config.head_size);
    for (int64_t position = 0; position < config.context_length; position++) {
      table[position * config.head_size + 2 * i] = static_cast<float>(std::cos(position * frequency));
      table[position * config.head_size + 2 * i + 1] = static_cast<float>(std::sin(position * frequency));
    }
  }
  return table;
}

// Makes weights from the checkpoint, or at random, and keeps the caller's progress up to date.
class Loader {
 public:
  Loader(const ModelConfig& config, const std::filesystem::path& directory, const weir_model_options& options)
      : options_(options) {
    if (options.weights == WEIR_WEIGHTS_FILES) {
      checkpoint_.emplace(directory, config);
      total_ = static_cast<int64_t>(checkpoint_->weight_bytes());
      std::vector<TensorView> in_order;
      for (const ExpectedTensor& tensor : expected_tensors(config)) {
        in_order.push_back(checkpoint_->tensor(tensor.name));
      }
      readahead_.emplace(std::move(in_order));
    } else {
      total_ = config.parameters() * static_cast<int64_t>(sizeof(float));
    }
    report(0);
  }

  int64_t total() const { return total_; }

  // The tensors `names` stacked by rows. A vector is one row.
  WeightSource source(std::initializer_list<const char*> names, const std::string& prefix, int64_t rows,
                      int64_t columns) {
    parts_.clear();
    WeightSource source;
    source.rows = rows;
    source.columns = columns;
    if (checkpoint_) {
      for (const char* name : names) parts_.push_back(checkpoint_->tensor(prefix + name));
      source.parts = parts_;
    } else {
      source.seed = options_.seed;
      source.stream = next_++;
      source.mean = rows == 1 ? 1.0f : 0.0f;
      source.deviation = rows == 1 ? 0.0f : kRandomDeviation;
    }
    return source;
  }

  void loaded(const WeightSource& source) {
    int64_t bytes = 0;
    if (checkpoint_) {
      for (const TensorView& part : source.parts) {
        bytes += static_cast<int64_t>(part.bytes);
        readahead_->used(part);
      }
    } else {
      bytes = source.rows * source.columns * static_cast<int64_t>(sizeof(float));
    }
    report(done_ + bytes);
  }

 private:
  void report(int64_t done) {
    done_ = done;
    if (options_.progress == nullptr) return;
    std::atomic_ref(options_.progress->total).store(static_cast<uint64_t>(total_), std::memory_order_relaxed);
    std::atomic_ref(options_.progress->done).store(static_cast<uint64_t>(done), std::memory_order_relaxed);
  }

  const weir_model_options& options_;
  std::optional<Checkpoint> checkpoint_;
  std::optional<Readahead> readahead_;
  std::vector<TensorView> parts_;
  int64_t total_ = 0;
  int64_t done_ = 0;
  uint64_t next_ = 0;
};

}  // namespace

int64_t device_weight_bytes(const Backend& backend, const ModelConfig& config) {
  const int64_t hidden = config.hidden_size;
  const int64_t intermediate = config.intermediate_size;
  const int64_t layer = backend.matrix_bytes(config.query_size() + 2 * config.kv_size(), hidden) +
                        backend.matrix_bytes(hidden, config.query_size()) +
                        backend.matrix_bytes(2 * intermediate, hidden) +
                        backend.matrix_bytes(hidden, intermediate);
  const int64_t head = backend.matrix_bytes(config.vocabulary_size, hidden);
  const bool shared = config.tied_embeddings && backend.embeds_from_matrices();
  const int64_t embedding = shared ? 0 : backend.table_bytes(config.vocabulary_size, hidden);
  const int64_t norms = (2 * int64_t{config.layers} + 1) * hidden * 4;
  // The rotations exist twice for a moment.
  const int64_t rotations = 2 * int64_t{config.context_length} * config.head_size * 4;
  return config.layers * layer + head + embedding + norms + rotations;
}

ModelConfig read_limited_config(const std::filesystem::path& directory, const weir_model_options& options) {
  if (options.weights != WEIR_WEIGHTS_FILES && options.weights != WEIR_WEIGHTS_RANDOM) {
    throw invalid_argument("weir_model_options.weights is " + std::to_string(options.weights) +
                           ", must be WEIR_WEIGHTS_FILES or WEIR_WEIGHTS_RANDOM");
  }
  ModelConfig config = read_config(directory);
  if (options.layer_limit < 0 || options.layer_limit > config.layers) {
    throw invalid_argument("weir_model_options.layer_limit is " + std::to_string(options.layer_limit) +
                           ", must be in 0.." + std::to_string(config.layers) + ", the layers of the model");
  }
  if (options.layer_limit > 0) config.layers = options.layer_limit;
  return config;
}

Workspace::Shapes Workspace::shapes(const Backend& backend, const ModelConfig& config, int32_t max_tokens,
                                    int32_t max_samples) {
  const ElementBytes bytes = backend.element_bytes();
  const int64_t tokens = backend.padded_rows(max_tokens);
  const int64_t samples = backend.padded_rows(max_samples);
  const int64_t hidden = config.hidden_size;
  const int64_t intermediate = config.intermediate_size;
  Shapes shapes;
  shapes.residual = {tokens, hidden, bytes.residual};
  shapes.normed = {tokens, hidden, bytes.matmul_input};
  shapes.delta = {tokens, hidden, bytes.matmul_output};
  shapes.qkv = {tokens, config.query_size() + 2 * config.kv_size(), bytes.matmul_output};
  shapes.attended = {tokens, config.query_size(), bytes.matmul_input};
  shapes.gate_up = {tokens, 2 * intermediate, bytes.matmul_output};
  shapes.activated = {tokens, intermediate, bytes.matmul_input};
  shapes.sampled = {samples, hidden, bytes.matmul_input};
  shapes.logits = {samples, config.vocabulary_size, bytes.logits};
  return shapes;
}

Workspace::Buffer::Buffer(Backend& backend, const Shape& shape)
    : memory_(backend.allocate(shape.rows * shape.columns * shape.element_bytes, "the workspace of a step")),
      columns_(shape.columns),
      element_bytes_(shape.element_bytes) {}

Workspace::Workspace(Backend& backend, const Shapes& shapes)
    : residual_(backend, shapes.residual),
      normed_(backend, shapes.normed),
      delta_(backend, shapes.delta),
      qkv_(backend, shapes.qkv),
      attended_(backend, shapes.attended),
      gate_up_(backend, shapes.gate_up),
      activated_(backend, shapes.activated),
      sampled_(backend, shapes.sampled),
      logits_(backend, shapes.logits) {}

Workspace::Workspace(Backend& backend, const ModelConfig& config, int32_t max_tokens, int32_t max_samples)
    : Workspace(backend, shapes(backend, config, max_tokens, max_samples)) {}

int64_t Workspace::bytes(const Backend& backend, const ModelConfig& config, int32_t max_tokens,
                         int32_t max_samples) {
  const Shapes all = shapes(backend, config, max_tokens, max_samples);
  int64_t bytes = 0;
  for (const Shape& shape : {all.residual, all.normed, all.delta, all.qkv, all.attended, all.gate_up,
                             all.activated, all.sampled, all.logits}) {
    bytes += shape.rows * shape.columns * shape.element_bytes;
  }
  return bytes;
}

LlamaModel::LlamaModel(Backend& backend, const std::filesystem::path& directory,
                       const weir_model_options& options)
    : config_(read_limited_config(directory, options)) {
  Loader loader(config_, directory, options);
  weight_bytes_ = loader.total();
  const int64_t bytes = device_weight_bytes(backend, config_);
  const int64_t available = backend.available_memory();
  if (bytes > available) {
    throw Error(WEIR_OUT_OF_MEMORY,
                "the weights need " + std::to_string(bytes) + " bytes on the device, and " +
                    std::to_string(available) +
                    " are available; use a smaller model, or weir_model_options.layer_limit",
                bytes, available);
  }

  const int64_t hidden = config_.hidden_size;
  const int64_t intermediate = config_.intermediate_size;
  const auto vector = [&](const std::string& name) {
    const WeightSource source = loader.source({""}, name, 1, hidden);
    auto weight = backend.make_vector(source);
    loader.loaded(source);
    return weight;
  };
  const auto matrix = [&](std::initializer_list<const char*> names, const std::string& prefix, int64_t rows,
                          int64_t columns) {
    const WeightSource source = loader.source(names, prefix, rows, columns);
    auto weight = backend.make_matrix(source);
    loader.loaded(source);
    return weight;
  };

  const WeightSource embedding =
      loader.source({"model.embed_tokens.weight"}, "", config_.vocabulary_size, hidden);
  if (config_.tied_embeddings) head_ = backend.make_matrix(embedding);
  if (!config_.tied_embeddings || !backend.embeds_from_matrices()) embedding_ = backend.make_table(embedding);
  loader.loaded(embedding);

  for (int32_t i = 0; i < config_.layers; i++) {
    const std::string prefix = "model.layers." + std::to_string(i) + ".";
    Layer layer;
    layer.input_norm = vector(prefix + "input_layernorm.weight");
    layer.qkv = matrix({"self_attn.q_proj.weight", "self_attn.k_proj.weight", "self_attn.v_proj.weight"},
                       prefix, config_.query_size() + 2 * config_.kv_size(), hidden);
    layer.output = matrix({"self_attn.o_proj.weight"}, prefix, hidden, config_.query_size());
    layer.post_attention_norm = vector(prefix + "post_attention_layernorm.weight");
    layer.gate_up = matrix({"mlp.gate_proj.weight", "mlp.up_proj.weight"}, prefix, 2 * intermediate, hidden);
    layer.down = matrix({"mlp.down_proj.weight"}, prefix, hidden, intermediate);
    layers_.push_back(std::move(layer));
    if (i % kMarkedLayers == 0) {
      const int32_t last = std::min(i + kMarkedLayers, config_.layers) - 1;
      layer_marks_.push_back("layers " + std::to_string(i) + " to " + std::to_string(last));
    }
  }
  final_norm_ = vector("model.norm.weight");
  if (!config_.tied_embeddings) head_ = matrix({"lm_head.weight"}, "", config_.vocabulary_size, hidden);

  const std::vector<float> rotations = rotation_table(config_);
  const TensorView view{DataType::F32,
                        {config_.context_length, config_.head_size},
                        reinterpret_cast<const std::byte*>(rotations.data()),
                        rotations.size() * sizeof(float)};
  WeightSource source;
  source.parts = {&view, 1};
  source.rows = config_.context_length;
  source.columns = config_.head_size;
  rotations_ = backend.make_vector(source);
}

void LlamaModel::forward(Context& context, const StepBatch& batch, KvPool& pool, Workspace& workspace) const {
  const int64_t tokens = batch.tokens;
  const float epsilon = config_.norm_epsilon;
  const Activations residual = workspace.residual_.first(tokens);
  const Activations normed = workspace.normed_.first(tokens);
  const Activations delta = workspace.delta_.first(tokens);
  const Activations qkv = workspace.qkv_.first(tokens);
  const Activations attended = workspace.attended_.first(tokens);
  const Activations gate_up = workspace.gate_up_.first(tokens);
  const Activations activated = workspace.activated_.first(tokens);

  context.embed(batch, embedding_ != nullptr ? *embedding_ : *head_, residual);
  context.rms_norm(residual, *layers_.front().input_norm, epsilon, normed);
  for (int32_t i = 0; i < config_.layers; i++) {
    if (i % kMarkedLayers == 0) context.mark(layer_marks_[i / kMarkedLayers].c_str());
    const Layer& layer = layers_[i];
    context.matmul(*layer.qkv, normed, qkv);
    context.rope_append(batch, i, config_.heads, *rotations_, qkv, pool);
    context.attention(batch, i, config_.heads, qkv, pool, attended);
    context.matmul(*layer.output, attended, delta);
    context.add_rms_norm(residual, delta, *layer.post_attention_norm, epsilon, normed);
    context.gated_matmul(*layer.gate_up, normed, gate_up, activated);
    context.matmul(*layer.down, activated, delta);
    const Weight& next_norm = i + 1 < config_.layers ? *layers_[i + 1].input_norm : *final_norm_;
    context.add_rms_norm(residual, delta, next_norm, epsilon, normed);
  }
  context.mark(batch.samples > 0 ? "logits" : nullptr);
  if (batch.samples == 0) return;
  const Activations sampled = workspace.sampled_.first(batch.samples);
  context.gather_samples(batch, normed, sampled);
  context.matmul(*head_, sampled, workspace.logits(batch.samples));
  context.mark(nullptr);
}

}  // namespace weir
