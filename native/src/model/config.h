// The shape of a Llama model, read from a Hugging Face config.json.
//
// Where a field is absent or null, the default is that of transformers' LlamaConfig: num_key_value_heads =
// num_attention_heads, head_dim = hidden_size / num_attention_heads, rope_theta = 10000, rms_norm_eps = 1e-6,
// tie_word_embeddings = false. The sizes have no default. generation_config.json is not read.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace weir {

// Sizes are positive and small enough that products of any three of them, and parameters(), fit in an
// int64_t.
struct ModelConfig {
  int32_t vocabulary_size = 0;
  int32_t hidden_size = 0;
  int32_t intermediate_size = 0;
  int32_t layers = 0;
  int32_t heads = 0;
  int32_t kv_heads = 0;
  int32_t head_size = 0;
  int32_t context_length = 0;
  bool tied_embeddings = false;
  float rope_theta = 10000.0f;
  float norm_epsilon = 1e-6f;
  int32_t bos_token = -1;
  std::vector<int32_t> eos_tokens;

  int64_t query_size() const { return int64_t{heads} * head_size; }
  int64_t kv_size() const { return int64_t{kv_heads} * head_size; }
  // Number of weights. Tied embeddings are counted once.
  int64_t parameters() const;
};

// Parses and checks `json`, the text of a config.json. `origin` names it in messages.
// Throws Error WEIR_INVALID_MODEL (damaged, out of range, inconsistent) or WEIR_UNSUPPORTED (another
// architecture).
ModelConfig parse_config(std::string_view json, const std::string& origin);

// Reads `directory`/config.json. Also throws WEIR_IO_ERROR.
ModelConfig read_config(const std::filesystem::path& directory);

}  // namespace weir
