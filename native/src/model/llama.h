// A Llama model on a device: its weights and its forward pass.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
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

  Activations logits(int32_t rows) const { return view(logits_, rows, vocabulary_); }

 private:
  friend class LlamaModel;
  static Activations view(const std::unique_ptr<Memory>& memory, int64_t rows, int64_t columns) {
    return {memory->data(), rows, columns};
  }

  int64_t vocabulary_;
  std::unique_ptr<Memory> residual_;   // [tokens][hidden]
  std::unique_ptr<Memory> normed_;     // [tokens][hidden]
  std::unique_ptr<Memory> delta_;      // [tokens][hidden], what a sublayer adds to the residual
  std::unique_ptr<Memory> qkv_;        // [tokens][(heads + 2 kv_heads) * head_size]
  std::unique_ptr<Memory> attended_;   // [tokens][heads * head_size]
  std::unique_ptr<Memory> gate_up_;    // [tokens][2 * intermediate]
  std::unique_ptr<Memory> activated_;  // [tokens][intermediate]
  std::unique_ptr<Memory> sampled_;    // [samples][hidden]
  std::unique_ptr<Memory> logits_;     // [samples][vocabulary]
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
  std::unique_ptr<Weight> final_norm_;
  std::unique_ptr<Weight> head_;
};

// The config of `directory` with options.layer_limit applied. Also checks `options`.
ModelConfig read_limited_config(const std::filesystem::path& directory, const weir_model_options& options);

}  // namespace weir
