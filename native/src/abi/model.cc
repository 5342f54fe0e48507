#include <algorithm>

#include "abi/guard.h"
#include "abi/objects.h"
#include "abi/options.h"

using namespace weir;
using namespace weir::abi;

namespace {

void describe(const ModelConfig& config, int64_t weight_bytes, const KvElement& element,
              weir_model_info& info) {
  info.vocabulary_size = config.vocabulary_size;
  info.hidden_size = config.hidden_size;
  info.intermediate_size = config.intermediate_size;
  info.layers = config.layers;
  info.heads = config.heads;
  info.kv_heads = config.kv_heads;
  info.head_size = config.head_size;
  info.context_length = config.context_length;
  info.tied_embeddings = config.tied_embeddings;
  info.rope_theta = config.rope_theta;
  info.norm_epsilon = config.norm_epsilon;
  info.bos_token = config.bos_token;
  info.eos_token_count = static_cast<int32_t>(config.eos_tokens.size());
  std::fill(std::begin(info.eos_tokens), std::end(info.eos_tokens), -1);
  std::copy(config.eos_tokens.begin(), config.eos_tokens.end(), info.eos_tokens);
  info.reserved = 0;
  info.parameters = config.parameters();
  info.weight_bytes = weight_bytes;
  info.kv_bytes_per_token = layout_of(config, 1, element).block_bytes();
}

}  // namespace

weir_status weir_model_inspect(const char* directory, const weir_model_options* options,
                               weir_model_info* info, weir_error* error) {
  return guard(error, [&] {
    required(directory, "directory");
    weir_model_info& out = sized(info, "info");
    const weir_model_options checked = checked_model_options(options);
    const ModelConfig config = read_limited_config(directory, checked);
    const int64_t weight_bytes = checked.weights == WEIR_WEIGHTS_FILES
                                     ? static_cast<int64_t>(Checkpoint(directory, config).weight_bytes())
                                     : config.parameters() * static_cast<int64_t>(sizeof(float));
    describe(config, weight_bytes, KvElement{}, out);
  });
}

weir_status weir_model_load(weir_device* device, const char* directory, const weir_model_options* options,
                            weir_model** model, weir_error* error) {
  return guard(error, [&] {
    required(directory, "directory");
    weir_model*& out = required(model, "model");
    const weir_model_options checked = checked_model_options(options);
    const std::shared_ptr<DeviceObject> owner = devices().find(device);
    out = models().insert(std::shared_ptr<ModelObject>(
        new ModelObject{owner, LlamaModel(*owner->backend, directory, checked)}));
  });
}

weir_status weir_model_describe(weir_model* model, weir_model_info* info, weir_error* error) {
  return guard(error, [&] {
    weir_model_info& out = sized(info, "info");
    const std::shared_ptr<ModelObject> object = models().find(model);
    describe(object->model.config(), object->model.weight_bytes(),
             object->device->backend->kv_element(WEIR_PRECISION_DEFAULT), out);
  });
}

weir_status weir_model_close(weir_model* model, weir_error* error) {
  return guard(error, [&] { models().remove(model); });
}
