#include "model/checkpoint.h"

#include <algorithm>
#include <set>
#include <system_error>

#include "core/error.h"
#include "model/json_document.h"
#include "model/regular_file.h"

namespace weir {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSingleFile = "model.safetensors";
constexpr const char* kIndexFile = "model.safetensors.index.json";
constexpr const char* kExtension = ".safetensors";
constexpr uint64_t kLargestIndex = uint64_t{4} << 20;

Error io_error(const fs::path& path, const std::error_code& error) {
  return {WEIR_IO_ERROR, path.string() + " cannot be read: " + error.message()};
}

// Also true for a link that leads nowhere, so that opening it names what is wrong.
bool is_there(const fs::path& path) {
  std::error_code error;
  const fs::file_status status = fs::symlink_status(path, error);
  if (status.type() == fs::file_type::not_found) return false;
  if (error) throw io_error(path, error);
  return true;
}

std::vector<std::string> shards_of_folder(const fs::path& directory) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator entry(directory, error), end; !error && entry != end; entry.increment(error)) {
    if (entry->path().extension() == kExtension) names.push_back(entry->path().filename().string());
  }
  if (error) throw io_error(directory, error);
  if (names.empty()) {
    throw Error(WEIR_IO_ERROR,
                directory.string() + " holds neither " + kSingleFile + " nor " + kIndexFile +
                    " nor any other *" + kExtension +
                    " file; a model card without weights can be used with random ones (--random-weights, "
                    "weir_model_options.weights)");
  }
  std::sort(names.begin(), names.end());
  return names;
}

bool is_plain_name(std::string_view name) {
  return name.size() > std::string_view(kExtension).size() && name.ends_with(kExtension) &&
         name.find_first_of(std::string_view("/\\\0", 3)) == std::string_view::npos;
}

std::string shown(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (const int64_t dimension : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(dimension);
  return text + "]";
}

}  // namespace

std::vector<ExpectedTensor> expected_tensors(const ModelConfig& config) {
  const int64_t hidden = config.hidden_size;
  const int64_t intermediate = config.intermediate_size;
  const int64_t query = config.query_size();
  const int64_t kv = config.kv_size();
  std::vector<ExpectedTensor> tensors;
  tensors.push_back({"model.embed_tokens.weight", {config.vocabulary_size, hidden}});
  for (int32_t layer = 0; layer < config.layers; ++layer) {
    const std::string prefix = "model.layers." + std::to_string(layer) + ".";
    tensors.push_back({prefix + "input_layernorm.weight", {hidden}});
    tensors.push_back({prefix + "self_attn.q_proj.weight", {query, hidden}});
    tensors.push_back({prefix + "self_attn.k_proj.weight", {kv, hidden}});
    tensors.push_back({prefix + "self_attn.v_proj.weight", {kv, hidden}});
    tensors.push_back({prefix + "self_attn.o_proj.weight", {hidden, query}});
    tensors.push_back({prefix + "post_attention_layernorm.weight", {hidden}});
    tensors.push_back({prefix + "mlp.gate_proj.weight", {intermediate, hidden}});
    tensors.push_back({prefix + "mlp.up_proj.weight", {intermediate, hidden}});
    tensors.push_back({prefix + "mlp.down_proj.weight", {hidden, intermediate}});
  }
  tensors.push_back({"model.norm.weight", {hidden}});
  if (!config.tied_embeddings) tensors.push_back({"lm_head.weight", {config.vocabulary_size, hidden}});
  return tensors;
}

std::map<std::string, std::string, std::less<>> parse_shard_index(std::string_view text,
                                                                  const std::string& origin) {
  const nlohmann::json document = parse_json(text, origin);
  const auto weight_map = document.is_object() ? document.find("weight_map") : document.end();
  if (weight_map == document.end() || !weight_map->is_object()) {
    throw Error(WEIR_INVALID_MODEL, origin + " has no object weight_map");
  }
  std::map<std::string, std::string, std::less<>> shards;
  for (const auto& [tensor, shard] : weight_map->items()) {
    if (!shard.is_string()) {
      throw Error(WEIR_INVALID_MODEL,
                  origin + ": the file of tensor " + in_quotes(tensor) + " is not a string");
    }
    const auto& name = shard.get_ref<const std::string&>();
    if (!is_plain_name(name)) {
      throw Error(WEIR_INVALID_MODEL, origin + ": the file of tensor " + in_quotes(tensor) + " is " +
                                          in_quotes(name) + ", not a plain name ending in " + kExtension);
    }
    shards.emplace(tensor, name);
  }
  return shards;
}

Checkpoint::Checkpoint(const fs::path& directory, const ModelConfig& config) {
  const std::vector<ExpectedTensor> expected = expected_tensors(config);
  std::map<std::string, std::string, std::less<>> index;
  std::vector<std::string> names;
  if (is_there(directory / kSingleFile)) {
    names = {kSingleFile};
  } else if (is_there(directory / kIndexFile)) {
    const RegularFile file(directory / kIndexFile);
    index = parse_shard_index(file.read(kLargestIndex), file.origin());
    std::set<std::string> needed;
    for (const ExpectedTensor& tensor : expected) {
      const auto shard = index.find(tensor.name);
      if (shard == index.end()) {
        throw Error(WEIR_INVALID_MODEL, file.origin() + " does not name tensor " + in_quotes(tensor.name));
      }
      needed.insert(shard->second);
    }
    names.assign(needed.begin(), needed.end());
  } else {
    names = shards_of_folder(directory);
  }
  files_.reserve(names.size());
  for (const std::string& name : names) files_.emplace_back(directory / name);

  for (const ExpectedTensor& tensor : expected) {
    constexpr size_t kNowhere = static_cast<size_t>(-1);
    size_t holder = kNowhere;
    for (size_t i = 0; i < files_.size(); ++i) {
      if (const auto other = files_[i].others().find(tensor.name); other != files_[i].others().end()) {
        throw Error(WEIR_UNSUPPORTED, files_[i].origin() + ": tensor " + in_quotes(tensor.name) +
                                          " is stored as " + other->second +
                                          "; F32, F16 and BF16 are supported");
      }
      const auto found = files_[i].tensors().find(tensor.name);
      if (found == files_[i].tensors().end()) continue;
      if (holder != kNowhere) {
        throw Error(WEIR_INVALID_MODEL, "tensor " + in_quotes(tensor.name) + " is in " +
                                            files_[holder].origin() + " and again in " + files_[i].origin());
      }
      holder = i;
      const TensorEntry& entry = found->second;
      if (entry.shape != tensor.shape) {
        throw Error(WEIR_INVALID_MODEL, files_[i].origin() + ": tensor " + in_quotes(tensor.name) +
                                            " has the shape " + shown(entry.shape) +
                                            "; config.json makes it " + shown(tensor.shape));
      }
      weight_bytes_ += entry.end - entry.begin;
    }
    if (holder == kNowhere) {
      throw Error(WEIR_INVALID_MODEL, directory.string() + ": tensor " + in_quotes(tensor.name) +
                                          " of shape " + shown(tensor.shape) + " is in none of its " +
                                          std::to_string(files_.size()) + " safetensors files");
    }
    if (const auto shard = index.find(tensor.name); shard != index.end() && shard->second != names[holder]) {
      throw Error(WEIR_INVALID_MODEL, files_[holder].origin() + " holds tensor " + in_quotes(tensor.name) +
                                          ", which the index says is in " + in_quotes(shard->second));
    }
    file_of_.emplace(tensor.name, holder);
  }
}

TensorView Checkpoint::tensor(std::string_view name) const {
  const auto file = file_of_.find(name);
  if (file == file_of_.end()) throw invalid_argument("this model has no tensor " + in_quotes(name));
  return files_[file->second].view(name);
}

}  // namespace weir
