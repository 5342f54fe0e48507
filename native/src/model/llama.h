// A Llama model on a device: its weights and its forward pass.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "model/checkpoint.h"
#include "model/config.h"
#include "weir.h"

namespace weir {

// Activation buffers for steps of up to `max_tokens` tokens of which `max_samples` are sampled.
class Workspace {
 public:
  Workspace(Backend& backend, const ModelConfig& config, int32_t max_tokens, int32_t max_samples);
  // What one takes.
  static int64_t bytes(const Backend& backend, const ModelConfig& config, int32_t max_tokens,
                       int32_t max_samples);

  Activations logits(int32_t rows) const { return logits_.first(rows); }

 private:
  friend class LlamaModel;

  struct Shape {
    int64_t rows;
    int64_t columns;
    int32_t element_bytes;
  };
  struct Shapes {
    Shape residual, normed, delta, qkv, attended, gate_up, activated, sampled, logits;
  };
  static Shapes shapes(const Backend& backend, const ModelConfig& config, int32_t max_tokens,
                       int32_t max_samples);

  class Buffer {
   public:
    Buffer(Backend& backend, const Shape& shape);
    Activations first(int64_t rows) const { return {memory_->data(), rows, columns_, element_bytes_}; }

   private:
    std::unique_ptr<Memory> memory_;
    int64_t columns_;
    int32_t element_bytes_;
  };

  Workspace(Backend& backend, const Shapes& shapes);

  Buffer residual_;   // [tokens][hidden]
  Buffer normed_;     // [tokens][hidden]
  Buffer delta_;      // [tokens][hidden], what a sublayer adds to the residual
  Buffer qkv_;        // [tokens][(heads + 2 kv_heads) * head_size]
  Buffer attended_;   // [tokens][heads * head_size]
  Buffer gate_up_;    // [tokens][2 * intermediate]
  Buffer activated_;  // [tokens][intermediate]
  Buffer sampled_;    // [samples][hidden]
  Buffer logits_;     // [samples][vocabulary]
};

// Immutable once loaded; used by any number of contexts at the same time.
class LlamaModel {
 public:
  LlamaModel(Backend& backend, const std::filesystem::path& directory, const weir_model_options& options);

  const ModelConfig& config() const { return config_; }
  int64_t weight_bytes() const { return weight_bytes_; }

  // Computes the logits of the sampled rows into workspace.logits(batch.samples), and fills the KV pool.
  void forward(Context& context, const StepBatch& batch, KvPool& pool, Workspace& workspace) const;

 private:
  struct Layer {
    std::unique_ptr<Weight> input_norm;
    std::unique_ptr<Weight> qkv;  // query, key and value projections stacked: one matmul reads the input once
    std::unique_ptr<Weight> output;
    std::unique_ptr<Weight> post_attention_norm;
    std::unique_ptr<Weight> gate_up;
    std::unique_ptr<Weight> down;
  };

  ModelConfig config_;
  int64_t weight_bytes_ = 0;
  std::unique_ptr<Weight> embedding_;  // null: the head is looked at instead
  std::unique_ptr<Weight> rotations_;  // [context_length][head_size / 2][cos, sin]
  std::vector<Layer> layers_;
  std::vector<std::string> layer_marks_;
  std::unique_ptr<Weight> final_norm_;
  std::unique_ptr<Weight> head_;
};

// Bytes that the weights of a model take on the device, and what is needed for a moment while they are
// loaded.
int64_t device_weight_bytes(const Backend& backend, const ModelConfig& config);

// The config of `directory` with options.layer_limit applied. Also checks `options`.
ModelConfig read_limited_config(const std::filesystem::path& directory, const weir_model_options& options);

}  // namespace weir
