#include "model/config.h"

#include <algorithm>
#include <initializer_list>
#include <limits>
#include <optional>

#include "core/error.h"
#include "model/json_document.h"
#include "model/regular_file.h"

namespace weir {
namespace {

using nlohmann::json;

constexpr uint64_t kLargestFile = uint64_t{1} << 20;

// Several times the largest published Llama models (405B: 16384 wide, 53248, 126 layers, 128 heads, 128256
// tokens).
constexpr int64_t kLargestVocabulary = 1 << 24;
constexpr int64_t kLargestHidden = 1 << 17;
constexpr int64_t kLargestIntermediate = 1 << 20;
constexpr int64_t kMostLayers = 1 << 12;
constexpr int64_t kMostHeads = 1 << 12;
constexpr int64_t kLargestHead = 1 << 10;
constexpr int64_t kLongestContext = 1 << 24;
constexpr double kLargestTheta = 1e12;
constexpr double kLargestEpsilon = 1.0;

// The members of one JSON object, read with their type and range checked. Null counts as absent.
class Fields {
 public:
  Fields(const json& object, std::string origin) : object_(object), origin_(std::move(origin)) {}

  const json* find(const char* name) const {
    const auto found = object_.find(name);
    return found == object_.end() || found->is_null() ? nullptr : &*found;
  }

  std::optional<int64_t> integer(const char* name, int64_t low, int64_t high) const {
    const json* value = find(name);
    if (value == nullptr) return std::nullopt;
    return in_range(name, *value, low, high);
  }

  int32_t size(const char* name, int64_t high) const {
    const std::optional<int64_t> value = integer(name, 1, high);
    if (!value) throw invalid(std::string(name) + " is missing");
    return static_cast<int32_t>(*value);
  }

  int32_t size(const char* name, int64_t high, int64_t fallback) const {
    return static_cast<int32_t>(integer(name, 1, high).value_or(fallback));
  }

  // A number in (0, high], that is still positive as a 32-bit float.
  std::optional<float> positive(const char* name, double high) const {
    const json* value = find(name);
    if (value == nullptr) return std::nullopt;
    if (!value->is_number()) throw invalid(shown(name, *value) + ", not a number");
    const double number = value->get<double>();
    if (!(number >= std::numeric_limits<float>::min() && number <= high)) {
      throw invalid(shown(name, *value) + ", not in (0, " + json(high).dump() + "]");
    }
    return static_cast<float>(number);
  }

  bool boolean(const char* name) const {
    const json* value = find(name);
    if (value == nullptr) return false;
    if (!value->is_boolean()) throw invalid(shown(name, *value) + ", not true or false");
    return value->get<bool>();
  }

  const std::string* text(const char* name) const {
    const json* value = find(name);
    if (value == nullptr) return nullptr;
    if (!value->is_string()) throw invalid(shown(name, *value) + ", not a string");
    return &value->get_ref<const std::string&>();
  }

  const json* object(const char* name) const {
    const json* value = find(name);
    if (value != nullptr && !value->is_object()) throw invalid(shown(name, *value) + ", not an object");
    return value;
  }

  int64_t in_range(const char* name, const json& value, int64_t low, int64_t high) const {
    if (!value.is_number_integer()) throw invalid(shown(name, value) + ", not a whole number");
    // An unsigned number beyond int64_t would come out negative from get<int64_t>().
    const bool fits = !value.is_number_unsigned() || value.get<uint64_t>() <= static_cast<uint64_t>(high);
    if (!fits || value.get<int64_t>() < low || value.get<int64_t>() > high) {
      throw invalid(shown(name, value) + ", not in [" + std::to_string(low) + ", " + std::to_string(high) +
                    "]");
    }
    return value.get<int64_t>();
  }

  static std::string shown(const char* name, const json& value) {
    return std::string(name) + " is " +
           (value.is_string()       ? in_quotes(value.get_ref<const std::string&>())
            : value.is_structured() ? (value.is_array() ? "a list" : "an object")
                                    : value.dump());
  }

  Error invalid(const std::string& what) const { return {WEIR_INVALID_MODEL, origin_ + ": " + what}; }
  Error unsupported(const std::string& what) const { return {WEIR_UNSUPPORTED, origin_ + ": " + what}; }

 private:
  const json& object_;
  std::string origin_;
};

void check_architecture(const Fields& fields) {
  const std::string supported = "; only LlamaForCausalLM is supported";
  const json* architectures = fields.find("architectures");
  if (architectures == nullptr) {
    const std::string* type = fields.text("model_type");
    if (type == nullptr) throw fields.invalid("architectures and model_type are missing");
    if (*type != "llama") throw fields.unsupported("model_type is " + in_quotes(*type) + supported);
    return;
  }
  const bool strings = architectures->is_array() && std::all_of(architectures->begin(), architectures->end(),
                                                                [](const json& a) { return a.is_string(); });
  if (!strings) throw fields.invalid("architectures is not a list of strings");
  if (std::find(architectures->begin(), architectures->end(), "LlamaForCausalLM") == architectures->end()) {
    throw fields.unsupported(
        "architectures is " +
        (architectures->empty() ? "empty" : in_quotes(architectures->front().get_ref<const std::string&>())) +
        supported);
  }
}

// Everything that would change what the model computes and that the operators do not do.
void check_variant(const Fields& fields) {
  if (const std::string* activation = fields.text("hidden_act");
      activation != nullptr && *activation != "silu") {
    throw fields.unsupported("hidden_act is " + in_quotes(*activation) + "; only \"silu\" is supported");
  }
  for (const char* bias : {"attention_bias", "mlp_bias"}) {
    if (fields.boolean(bias))
      throw fields.unsupported(std::string(bias) + " is true; biases are not supported");
  }
  if (const json* quantization = fields.object("quantization_config")) {
    const std::string* method = Fields(*quantization, "quantization_config").text("quant_method");
    throw fields.unsupported("quantization_config (" +
                             (method == nullptr ? "no quant_method" : in_quotes(*method)) +
                             ") is not supported; use a checkpoint in F32, F16 or BF16");
  }
  if (const json* window = fields.find("sliding_window")) {
    throw fields.unsupported(Fields::shown("sliding_window", *window) + "; only full attention is supported");
  }
  if (const auto factor = fields.positive("partial_rotary_factor", 1.0); factor && *factor != 1.0f) {
    throw fields.unsupported("partial_rotary_factor is " + json(*factor).dump() + "; only 1 is supported");
  }
}

// rope_theta stands beside rope_scaling or, as transformers 5 writes it, together with the type in
// rope_parameters.
float read_rope_theta(const Fields& fields, const std::string& origin) {
  std::optional<float> theta = fields.positive("rope_theta", kLargestTheta);
  for (const char* name : {"rope_scaling", "rope_parameters"}) {
    const json* object = fields.object(name);
    if (object == nullptr) continue;
    const Fields rope(*object, origin + ": " + name);
    const std::string* current = rope.text("rope_type");
    const std::string* legacy = rope.text("type");
    if (current == nullptr && legacy == nullptr) throw rope.invalid("rope_type is missing");
    for (const std::string* type : {current, legacy}) {
      if (type != nullptr && *type != "default") {
        throw rope.unsupported("rope_type is " + in_quotes(*type) + "; only \"default\" is supported");
      }
    }
    if (const auto factor = rope.positive("partial_rotary_factor", 1.0); factor && *factor != 1.0f) {
      throw rope.unsupported("partial_rotary_factor is " + json(*factor).dump() + "; only 1 is supported");
    }
    const std::optional<float> inner = rope.positive("rope_theta", kLargestTheta);
    if (theta && inner && *theta != *inner) throw rope.invalid("rope_theta contradicts the one outside");
    if (inner) theta = inner;
  }
  return theta.value_or(10000.0f);
}

std::vector<int32_t> read_eos_tokens(const Fields& fields, int32_t vocabulary_size) {
  const char* name = "eos_token_id";
  std::vector<int32_t> tokens;
  const json* value = fields.find(name);
  if (value == nullptr) return tokens;
  if (!value->is_array()) {
    tokens.push_back(static_cast<int32_t>(fields.in_range(name, *value, 0, vocabulary_size - 1)));
    return tokens;
  }
  if (value->size() > WEIR_MAX_EOS_TOKENS) {
    throw fields.unsupported(std::string(name) + " lists " + std::to_string(value->size()) +
                             " tokens; at most " + std::to_string(WEIR_MAX_EOS_TOKENS) + " are supported");
  }
  for (const json& token : *value) {
    tokens.push_back(static_cast<int32_t>(fields.in_range(name, token, 0, vocabulary_size - 1)));
  }
  return tokens;
}

}  // namespace

int64_t ModelConfig::parameters() const {
  const int64_t hidden = hidden_size;
  const int64_t attention = 2 * hidden * query_size() + 2 * hidden * kv_size();
  const int64_t mlp = 3 * hidden * intermediate_size;
  const int64_t norms = 2 * hidden;
  const int64_t embeddings = (tied_embeddings ? 1 : 2) * hidden * vocabulary_size;
  return embeddings + layers * (attention + mlp + norms) + hidden;
}

ModelConfig parse_config(std::string_view text, const std::string& origin) {
  if (text.size() > kLargestFile) {
    throw Error(WEIR_INVALID_MODEL, origin + " has " + std::to_string(text.size()) + " bytes; at most " +
                                        std::to_string(kLargestFile) + " are read");
  }
  const json document = parse_json(text, origin);
  if (!document.is_object()) throw Error(WEIR_INVALID_MODEL, origin + " is not a JSON object");
  const Fields fields(document, origin);
  check_architecture(fields);
  check_variant(fields);

  ModelConfig config;
  config.vocabulary_size = fields.size("vocab_size", kLargestVocabulary);
  config.hidden_size = fields.size("hidden_size", kLargestHidden);
  config.intermediate_size = fields.size("intermediate_size", kLargestIntermediate);
  config.layers = fields.size("num_hidden_layers", kMostLayers);
  config.heads = fields.size("num_attention_heads", kMostHeads);
  config.context_length = fields.size("max_position_embeddings", kLongestContext);

  config.kv_heads = fields.size("num_key_value_heads", kMostHeads, config.heads);
  if (config.heads % config.kv_heads != 0) {
    throw fields.invalid("num_attention_heads " + std::to_string(config.heads) +
                         " is not a multiple of num_key_value_heads " + std::to_string(config.kv_heads));
  }

  if (fields.find("head_dim") == nullptr && config.hidden_size % config.heads != 0) {
    throw fields.invalid("head_dim is missing and hidden_size " + std::to_string(config.hidden_size) +
                         " is not a multiple of num_attention_heads " + std::to_string(config.heads));
  }
  config.head_size = fields.size("head_dim", kLargestHead, config.hidden_size / config.heads);
  if (config.head_size > kLargestHead || config.head_size % 2 != 0) {
    throw fields.invalid("head_dim (or hidden_size / num_attention_heads) is " +
                         std::to_string(config.head_size) + ", not an even number up to " +
                         std::to_string(kLargestHead));
  }

  config.tied_embeddings = fields.boolean("tie_word_embeddings");
  config.rope_theta = read_rope_theta(fields, origin);
  config.norm_epsilon = fields.positive("rms_norm_eps", kLargestEpsilon).value_or(1e-6f);
  config.bos_token =
      static_cast<int32_t>(fields.integer("bos_token_id", 0, config.vocabulary_size - 1).value_or(-1));
  config.eos_tokens = read_eos_tokens(fields, config.vocabulary_size);
  return config;
}

ModelConfig read_config(const std::filesystem::path& directory) {
  const RegularFile file(directory / "config.json");
  return parse_config(file.read(kLargestFile), file.origin());
}

}  // namespace weir
