// Feeds damaged model files to the parsers. An Error is the right answer to them; anything else that leaves a
// parser, and any accepted file whose tensors do not lie within it, is a defect.
//
//   cmake -S native -B BUILD -DCMAKE_C_COMPILER=clang-14 -DCMAKE_CXX_COMPILER=clang++-14 -DWEIR_FUZZ=ON
//   cmake --build BUILD --target model_fuzzer
//   BUILD/fuzz/model_fuzzer -max_len=4096 -dict=native/fuzz/model.dict NEW_CORPUS native/fuzz/corpus
//
// The first byte of an input selects what the rest is: '0' a whole safetensors file, '1' a config.json, '2' a
// safetensors header (its length is put before it, so that mutations need not keep it right) after the number
// of data bytes in one byte, '3' a model.safetensors.index.json.

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "model/checkpoint.h"
#include "model/config.h"
#include "model/safetensors.h"

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

void read_safetensors(std::string_view file) {
  const weir::TensorTable tensors = weir::parse_safetensors(file, file.size(), "fuzz");
  for (const auto& [name, tensor] : tensors) {
    require(tensor.begin >= 8 && tensor.begin <= tensor.end && tensor.end <= file.size());
    const auto* data = reinterpret_cast<const std::byte*>(file.data()) + tensor.begin;
    const size_t bytes = tensor.end - tensor.begin;
    require(bytes % weir::bytes_of(tensor.type) == 0);
    std::vector<float> values(bytes / weir::bytes_of(tensor.type));
    weir::convert_to_f32({tensor.type, tensor.shape, data, bytes}, values.data());
  }
}

void read_header(std::string_view input) {
  if (input.empty()) return;
  const auto data_bytes = static_cast<uint8_t>(input.front());
  const std::string_view header = input.substr(1);
  const uint64_t length = header.size();
  std::string file(sizeof length, '\0');
  std::memcpy(file.data(), &length, sizeof length);
  file += header;
  file.append(data_bytes, '\x3c');
  read_safetensors(file);
}

void read_config(std::string_view text) {
  const weir::ModelConfig config = weir::parse_config(text, "fuzz");
  require(config.parameters() > 0);
  require(config.head_size % 2 == 0 && config.heads % config.kv_heads == 0);
  require(config.rope_theta > 0.0f && config.norm_epsilon > 0.0f);
  require(config.bos_token >= -1 && config.bos_token < config.vocabulary_size);
  require(config.eos_tokens.size() <= WEIR_MAX_EOS_TOKENS);
  for (const int32_t token : config.eos_tokens) require(token >= 0 && token < config.vocabulary_size);
}

void read_index(std::string_view text) {
  for (const auto& [tensor, shard] : weir::parse_shard_index(text, "fuzz")) {
    require(shard.find('/') == std::string::npos && shard.find('\0') == std::string::npos && shard != "..");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  if (size == 0) return 0;
  const std::string_view input(reinterpret_cast<const char*>(bytes) + 1, size - 1);
  try {
    switch (bytes[0]) {
      case '0':
        read_safetensors(input);
        break;
      case '1':
        read_config(input);
        break;
      case '2':
        read_header(input);
        break;
      case '3':
        read_index(input);
        break;
      default:
        return -1;
    }
  } catch (const weir::Error& error) {
    const weir_status status = error.status();
    require(status == WEIR_INVALID_MODEL || status == WEIR_UNSUPPORTED);
    require(!error.message().empty() && error.message().size() < 1000);
  }
  return 0;
}
