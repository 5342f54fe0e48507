#include "model/config.h"

#include <sys/stat.h>

#include <map>

#include "model_files.h"

namespace weir {
namespace {

using test::error_of;
using test::names;
using test::TemporaryFolder;

using Members = std::map<std::string, std::string>;  // name -> JSON text of the value

Members tiny() {
  return {{"architectures", R"(["LlamaForCausalLM"])"},
          {"model_type", R"("llama")"},
          {"vocab_size", "100"},
          {"hidden_size", "32"},
          {"intermediate_size", "48"},
          {"num_hidden_layers", "2"},
          {"num_attention_heads", "4"},
          {"num_key_value_heads", "2"},
          {"head_dim", "8"},
          {"max_position_embeddings", "64"},
          {"rms_norm_eps", "1e-05"},
          {"rope_theta", "10000.0"},
          {"hidden_act", R"("silu")"},
          {"tie_word_embeddings", "true"},
          {"bos_token_id", "1"},
          {"eos_token_id", "2"}};
}

std::string text_of(const Members& members) {
  std::string text;
  for (const auto& [name, value] : members) text += (text.empty() ? "{\"" : ",\"") + name + "\":" + value;
  return text + "}";
}

std::string with(const std::string& name, const std::string& value) {
  Members members = tiny();
  members[name] = value;
  return text_of(members);
}

std::string without(const std::string& name) {
  Members members = tiny();
  members.erase(name);
  return text_of(members);
}

ModelConfig parse(const std::string& text) { return parse_config(text, "test.json"); }

TEST_CASE("a config is read field by field") {
  const ModelConfig config = parse(text_of(tiny()));
  CHECK(config.vocabulary_size == 100);
  CHECK(config.hidden_size == 32);
  CHECK(config.intermediate_size == 48);
  CHECK(config.layers == 2);
  CHECK(config.heads == 4);
  CHECK(config.kv_heads == 2);
  CHECK(config.head_size == 8);
  CHECK(config.context_length == 64);
  CHECK(config.tied_embeddings);
  CHECK(config.rope_theta == 10000.0f);
  CHECK(config.norm_epsilon == 1e-5f);
  CHECK(config.bos_token == 1);
  CHECK(config.eos_tokens == std::vector<int32_t>{2});
  CHECK(config.query_size() == 32);
  CHECK(config.kv_size() == 16);
}

TEST_CASE("parameters are counted by shape") {
  // Per layer: q and o 32x32, k and v 16x32, gate, up and down 48x32, two norms of 32.
  const int64_t layer = 2 * 32 * 32 + 2 * 16 * 32 + 3 * 48 * 32 + 2 * 32;
  CHECK(parse(text_of(tiny())).parameters() == 100 * 32 + 2 * layer + 32);
  CHECK(parse(with("tie_word_embeddings", "false")).parameters() == 2 * 100 * 32 + 2 * layer + 32);
}

TEST_CASE("the bundled configs are read") {
  const std::filesystem::path models = std::filesystem::path(WEIR_SOURCE_ROOT) / "models";
  const ModelConfig stories = read_config(models / "stories260K");
  CHECK(stories.hidden_size == 64);
  CHECK(stories.layers == 5);
  CHECK(stories.kv_heads == 4);
  CHECK(stories.parameters() == 260032);
  // The number of parameters that the Llama 2 checkpoint has.
  CHECK(read_config(models / "llama-2-7b").parameters() == 6738415616);
}

TEST_CASE("absent and null fields take the defaults of transformers") {
  for (const std::string value : {"", "null"}) {
    Members members = tiny();
    for (const char* name :
         {"num_key_value_heads", "head_dim", "rope_theta", "rms_norm_eps", "hidden_act", "bos_token_id",
          "eos_token_id", "tie_word_embeddings", "rope_scaling", "attention_bias", "mlp_bias",
          "quantization_config", "sliding_window", "model_type"}) {
      members.erase(name);
      if (!value.empty()) members[name] = value;
    }
    const ModelConfig config = parse(text_of(members));
    CHECK(config.kv_heads == 4);
    CHECK(config.head_size == 8);
    CHECK(config.rope_theta == 10000.0f);
    CHECK(config.norm_epsilon == 1e-6f);
    CHECK(config.bos_token == -1);
    CHECK(config.eos_tokens.empty());
    CHECK_FALSE(config.tied_embeddings);
  }
}

TEST_CASE("values of the forms that published configs have") {
  CHECK(parse(with("rope_theta", "500000")).rope_theta == 500000.0f);
  CHECK(parse(with("eos_token_id", "[2, 7, 99]")).eos_tokens == std::vector<int32_t>{2, 7, 99});
  CHECK(parse(with("eos_token_id", "[]")).eos_tokens.empty());
  CHECK(parse(with("eos_token_id", "[1,2,3,4,5,6,7,8]")).eos_tokens.size() == WEIR_MAX_EOS_TOKENS);
  CHECK(parse(with("rope_scaling", R"({"type":"default"})")).rope_theta == 10000.0f);
  CHECK(parse(with("head_dim", "64")).query_size() == 256);
  CHECK(parse(with("unknown", R"({"a":[1,{"b":null}]})")).layers == 2);
  CHECK(parse(with("architectures", R"(["Other","LlamaForCausalLM"])")).layers == 2);
  CHECK(parse(without("architectures")).layers == 2);

  Members members = tiny();
  members.erase("rope_theta");
  members["rope_parameters"] = R"({"rope_theta": 250000.0, "rope_type": "default"})";
  CHECK(parse(text_of(members)).rope_theta == 250000.0f);
}

TEST_CASE("every size is required, whole, positive and bounded") {
  struct Size {
    const char* name;
    int64_t limit;
  };
  const Size sizes[] = {{"vocab_size", 1 << 24},          {"hidden_size", 1 << 17},
                        {"intermediate_size", 1 << 20},   {"num_hidden_layers", 1 << 12},
                        {"num_attention_heads", 1 << 12}, {"max_position_embeddings", 1 << 24}};
  for (const Size& size : sizes) {
    const char* name = size.name;
    CAPTURE(name);
    for (const std::string& text : {without(name), with(name, "null")}) {
      const Error error = error_of([&] { parse(text); });
      CHECK(error.status() == WEIR_INVALID_MODEL);
      CHECK(names(error, name));
    }
    const std::string just_too_large = std::to_string(size.limit + 1);
    for (const std::string& value : {std::string("0"),
                                     std::string("-1"),
                                     std::string("-0"),
                                     just_too_large,
                                     std::string("2147483647"),
                                     std::string("2147483648"),
                                     std::string("4294967297"),
                                     std::string("9223372036854775807"),
                                     std::string("9223372036854775808"),
                                     std::string("-9223372036854775808"),
                                     std::string("18446744073709551615"),
                                     std::string("18446744073709551616"),
                                     std::string("1e400"),
                                     std::string("32.0"),
                                     std::string("32.5"),
                                     std::string("NaN"),
                                     std::string("Infinity"),
                                     std::string("true"),
                                     std::string("\"32\""),
                                     std::string("[32]"),
                                     std::string("{}")}) {
      CAPTURE(value);
      const Error error = error_of([&] { parse(with(name, value)); });
      CHECK(error.status() == WEIR_INVALID_MODEL);
    }
    const Error error = error_of([&] { parse(with(name, just_too_large)); });
    CHECK(names(error, name));
    CHECK(names(error, just_too_large));
    CHECK(names(error, std::to_string(size.limit)));
  }
}

TEST_CASE("the largest sizes that pass do not overflow the number of parameters") {
  Members members = tiny();
  members["vocab_size"] = "16777216";
  members["hidden_size"] = "131072";
  members["intermediate_size"] = "1048576";
  members["num_hidden_layers"] = "4096";
  members["num_attention_heads"] = "4096";
  members["num_key_value_heads"] = "4096";
  members["head_dim"] = "1024";
  members["tie_word_embeddings"] = "false";
  // 2 x 2^24 x 2^17 + 2^12 x (4 x 2^17 x 2^22 + 3 x 2^17 x 2^20 + 2 x 2^17) + 2^17
  const int64_t layer = (int64_t{4} << 39) + (int64_t{3} << 37) + (int64_t{2} << 17);
  CHECK(parse(text_of(members)).parameters() == (int64_t{2} << 41) + 4096 * layer + (int64_t{1} << 17));
}

TEST_CASE("fields that contradict each other or are out of range") {
  struct Row {
    const char* name;
    const char* value;
  };
  const Row rows[] = {
      {"num_key_value_heads", "3"},
      {"num_key_value_heads", "8"},
      {"num_key_value_heads", "0"},
      {"num_key_value_heads", "-4"},
      {"head_dim", "7"},
      {"head_dim", "0"},
      {"head_dim", "1026"},
      {"head_dim", "1e1"},
      {"rope_theta", "0"},
      {"rope_theta", "-1.0"},
      {"rope_theta", "1e300"},
      {"rope_theta", "1e-300"},
      {"rope_theta", "\"10000\""},
      {"rope_theta", "1e999"},
      {"rms_norm_eps", "0"},
      {"rms_norm_eps", "-1e-5"},
      {"rms_norm_eps", "1e-60"},
      {"rms_norm_eps", "2.0"},
      {"rms_norm_eps", "[]"},
      {"rms_norm_eps", "NaN"},
      {"bos_token_id", "100"},
      {"bos_token_id", "-1"},
      {"bos_token_id", "1.0"},
      {"bos_token_id", "[1]"},
      {"eos_token_id", "100"},
      {"eos_token_id", "-2"},
      {"eos_token_id", "[1,100]"},
      {"eos_token_id", "[[1]]"},
      {"eos_token_id", "[null]"},
      {"eos_token_id", "\"2\""},
      {"eos_token_id", "4294967298"},
      {"tie_word_embeddings", "1"},
      {"tie_word_embeddings", "\"no\""},
      {"attention_bias", "0"},
      {"mlp_bias", "{}"},
      {"hidden_act", "7"},
      {"architectures", "\"Llama\""},
      {"architectures", "[1]"},
      {"rope_scaling", "1"},
      {"rope_scaling", "{}"},
      {"rope_scaling", "{\"type\":1}"},
      {"quantization_config", "\"gptq\""},
      {"rope_parameters", R"({"rope_type":"default","rope_theta":5000.0})"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.name);
    CAPTURE(row.value);
    const Error error = error_of([&] { parse(with(row.name, row.value)); });
    CHECK(error.status() == WEIR_INVALID_MODEL);
    CHECK(names(error, "test.json"));
  }
}

TEST_CASE("a head size that follows from other fields is checked as well") {
  Members members = tiny();
  members.erase("head_dim");
  members["hidden_size"] = "30";
  CHECK(names(error_of([&] { parse(text_of(members)); }), "head_dim is missing"));
  members["hidden_size"] = "36";
  CHECK(names(error_of([&] { parse(text_of(members)); }), "is 9, not an even number"));
  members["hidden_size"] = "131072";
  CHECK(names(error_of([&] { parse(text_of(members)); }), "is 32768"));
}

TEST_CASE("what this library cannot do is named") {
  struct Row {
    const char* name;
    const char* value;
    const char* part;
  };
  const Row rows[] = {
      {"architectures", R"(["MistralForCausalLM"])", "MistralForCausalLM"},
      {"architectures", "[]", "architectures is empty"},
      {"hidden_act", R"("gelu")", "gelu"},
      {"attention_bias", "true", "attention_bias"},
      {"mlp_bias", "true", "mlp_bias"},
      {"sliding_window", "4096", "sliding_window is 4096"},
      {"quantization_config", R"({"quant_method":"awq","bits":4})", "awq"},
      {"quantization_config", "{}", "quantization_config"},
      {"rope_scaling", R"({"rope_type":"llama3","factor":8.0})", "llama3"},
      {"rope_scaling", R"({"type":"linear","factor":2.0})", "linear"},
      {"rope_scaling", R"({"rope_type":"default","type":"yarn"})", "yarn"},
      {"rope_parameters", R"({"rope_type":"dynamic","rope_theta":10000.0})", "dynamic"},
      {"rope_parameters", R"({"rope_type":"default","partial_rotary_factor":0.5})", "partial_rotary_factor"},
      {"partial_rotary_factor", "0.25", "partial_rotary_factor is 0.25"},
      {"eos_token_id", "[1,2,3,4,5,6,7,8,9]", "9 tokens"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.name);
    CAPTURE(row.value);
    const Error error = error_of([&] { parse(with(row.name, row.value)); });
    CHECK(error.status() == WEIR_UNSUPPORTED);
    CHECK(names(error, row.part));
  }
  Members members = tiny();
  members.erase("architectures");
  members["model_type"] = R"("gpt2")";
  CHECK(error_of([&] { parse(text_of(members)); }).status() == WEIR_UNSUPPORTED);
  members.erase("model_type");
  CHECK(error_of([&] { parse(text_of(members)); }).status() == WEIR_INVALID_MODEL);
}

TEST_CASE("text that is no acceptable JSON") {
  const std::string good = text_of(tiny());
  std::string many = "[0";
  for (int i = 0; i < 70000; ++i) many += ",0";
  const std::string rows[] = {
      "",
      "{",
      "null",
      "[]",
      "7",
      good + "x",
      good + good,
      good.substr(0, good.size() - 1),
      good.substr(0, good.size() - 1) + ",}",
      R"({"layers":2,"layers":2})",
      R"({"a":{"b":1,"c":2,"b":3}})",
      "{\"a\":\"\xff\"}",
      std::string("{\"a\":\"\0\"}", 9),
      R"({"a":"\ud800"})",
      std::string(100000, '['),
      std::string(100000, '[') + std::string(100000, ']'),
      with("deep", std::string(100, '[') + std::string(100, ']')),
      with("many", many + "]"),
      with("long", "\"" + std::string(2 << 20, 'x') + "\""),
  };
  for (const std::string& text : rows) {
    CAPTURE(text.substr(0, 60));
    CHECK(error_of([&] { parse(text); }).status() == WEIR_INVALID_MODEL);
  }
  std::string deep;
  for (int i = 0; i < 100000; ++i) deep += "{\"a\":";
  CHECK(error_of([&] { parse(deep); }).status() == WEIR_INVALID_MODEL);
}

TEST_CASE("no prefix of a config is accepted, and none crashes") {
  const std::string good = text_of(tiny());
  for (size_t length = 0; length < good.size(); ++length) {
    CHECK(error_of([&] { parse(good.substr(0, length)); }).status() == WEIR_INVALID_MODEL);
  }
}

TEST_CASE("a message stays short and printable, whatever the file holds") {
  const Error error =
      error_of([&] { parse(with("hidden_act", "\"\\n\\u0000" + std::string(100000, 'y') + "\"")); });
  CHECK(error.message().size() < 400);
  CHECK(names(error, "\\x0a\\x00yyy"));
}

TEST_CASE("config.json is read from a folder") {
  TemporaryFolder folder;
  Error error = error_of([&] { read_config(folder.path()); });
  CHECK(error.status() == WEIR_IO_ERROR);
  CHECK(names(error, "config.json"));

  folder.write("config.json", text_of(tiny()));
  folder.write("generation_config.json", "not JSON, and nobody looks");
  CHECK(read_config(folder.path()).layers == 2);

  folder.write("config.json", std::string((1 << 20) + 1, ' '));
  error = error_of([&] { read_config(folder.path()); });
  CHECK(error.status() == WEIR_INVALID_MODEL);
  CHECK(names(error, "1048577"));

  std::filesystem::remove(folder.path() / "config.json");
  std::filesystem::create_directory(folder.path() / "config.json");
  CHECK(error_of([&] { read_config(folder.path()); }).status() == WEIR_IO_ERROR);
}

TEST_CASE("a named pipe in the place of config.json does not block") {
  TemporaryFolder folder;
  REQUIRE(::mkfifo((folder.path() / "config.json").c_str(), 0600) == 0);
  CHECK(error_of([&] { read_config(folder.path()); }).status() == WEIR_IO_ERROR);
}

}  // namespace
}  // namespace weir
