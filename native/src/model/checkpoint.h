// The weights of a LlamaForCausalLM folder: one file, or shards with an index.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "model/config.h"
#include "model/safetensors.h"

namespace weir {

// A tensor that a model of some shape must have.
struct ExpectedTensor {
  std::string name;  // as Hugging Face names it, such as "model.layers.0.self_attn.q_proj.weight"
  std::vector<int64_t> shape;
};

// Every tensor that a model of this shape needs. lm_head.weight is left out if the embeddings are tied.
std::vector<ExpectedTensor> expected_tensors(const ModelConfig& config);

// Which file holds which tensor: the weight_map of a model.safetensors.index.json, whose text is `json` and
// which `origin` names in messages. File names are checked to be plain names ending in ".safetensors", so
// that none leads out of the folder. Throws Error WEIR_INVALID_MODEL.
std::map<std::string, std::string, std::less<>> parse_shard_index(std::string_view json,
                                                                  const std::string& origin);

// The weights of one folder, mapped: model.safetensors if it is there, otherwise the files that
// model.safetensors.index.json names, otherwise all *.safetensors of the folder. Tensors that the model does
// not need are ignored, and so are shards that hold only such. Reading is safe from any number of threads;
// see SafetensorsFile for files that change while they are open.
class Checkpoint {
 public:
  // Opens and checks everything: the index, that shards stay inside the folder, that each expected tensor is
  // there exactly once with its shape. If `config` has fewer layers than the files, only those are expected.
  // Throws Error WEIR_IO_ERROR, WEIR_INVALID_MODEL or WEIR_UNSUPPORTED.
  Checkpoint(const std::filesystem::path& directory, const ModelConfig& config);

  // One of expected_tensors(config); Error WEIR_INVALID_ARGUMENT for any other name.
  TensorView tensor(std::string_view name) const;
  // Bytes of the expected tensors as stored.
  uint64_t weight_bytes() const { return weight_bytes_; }

 private:
  std::vector<SafetensorsFile> files_;
  std::map<std::string, size_t, std::less<>> file_of_;
  uint64_t weight_bytes_ = 0;
};

}  // namespace weir
