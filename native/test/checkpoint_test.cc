#include "model/checkpoint.h"

#include <functional>
#include <set>

#include "model_files.h"

namespace weir {
namespace {

using test::error_of;
using test::names;
using test::safetensors;
using test::TemporaryFolder;

ModelConfig tiny() {
  ModelConfig config;
  config.vocabulary_size = 5;
  config.hidden_size = 4;
  config.intermediate_size = 6;
  config.layers = 2;
  config.heads = 2;
  config.kv_heads = 1;
  config.head_size = 2;
  config.context_length = 8;
  return config;
}

using Shapes = std::map<std::string, std::vector<int64_t>>;

// Written down by hand from Hugging Face's LlamaForCausalLM, for the shape of tiny().
Shapes tiny_shapes() {
  Shapes shapes = {
      {"model.embed_tokens.weight", {5, 4}}, {"model.norm.weight", {4}}, {"lm_head.weight", {5, 4}}};
  for (const std::string layer : {"model.layers.0.", "model.layers.1."}) {
    shapes[layer + "input_layernorm.weight"] = {4};
    shapes[layer + "post_attention_layernorm.weight"] = {4};
    shapes[layer + "self_attn.q_proj.weight"] = {4, 4};
    shapes[layer + "self_attn.k_proj.weight"] = {2, 4};
    shapes[layer + "self_attn.v_proj.weight"] = {2, 4};
    shapes[layer + "self_attn.o_proj.weight"] = {4, 4};
    shapes[layer + "mlp.gate_proj.weight"] = {6, 4};
    shapes[layer + "mlp.up_proj.weight"] = {6, 4};
    shapes[layer + "mlp.down_proj.weight"] = {4, 6};
  }
  return shapes;
}

// A file with these tensors as BF16 (or as another type of two bytes); all bytes of the i-th are `i`.
std::string file_of(const Shapes& shapes, const std::string& type = "BF16") {
  std::string header;
  std::string data;
  char fill = 0;
  for (const auto& [name, shape] : shapes) {
    std::string dimensions;
    int64_t elements = 1;
    for (const int64_t dimension : shape) {
      dimensions += (dimensions.empty() ? "" : ",") + std::to_string(dimension);
      elements *= dimension;
    }
    const size_t begin = data.size();
    data.append(static_cast<size_t>(elements) * 2, fill++);
    header += (header.empty() ? "{\"" : ",\"") + name + "\":{\"dtype\":\"" + type + "\",\"shape\":[" +
              dimensions + "],\"data_offsets\":[" + std::to_string(begin) + "," +
              std::to_string(data.size()) + "]}";
  }
  return safetensors(header.empty() ? "{}" : header + "}", data);
}

Shapes select(const Shapes& shapes, const std::function<bool(const std::string&)>& wanted) {
  Shapes selected;
  for (const auto& [name, shape] : shapes) {
    if (wanted(name)) selected[name] = shape;
  }
  return selected;
}

bool in_layer_1(const std::string& name) { return name.starts_with("model.layers.1."); }
bool not_in_layer_1(const std::string& name) { return !in_layer_1(name); }

std::string index_of(const std::map<std::string, std::string>& weight_map) {
  std::string members;
  for (const auto& [tensor, shard] : weight_map) {
    members += (members.empty() ? "\"" : ",\"") + tensor + "\":\"" + shard + "\"";
  }
  return R"({"metadata":{"total_size":1},"weight_map":{)" + members + "}}";
}

// "0.safetensors" has all but layer 1, which is in "1.safetensors".
std::map<std::string, std::string> two_shards() {
  std::map<std::string, std::string> weight_map;
  for (const auto& [name, shape] : tiny_shapes()) {
    weight_map[name] = in_layer_1(name) ? "1.safetensors" : "0.safetensors";
  }
  return weight_map;
}

Error refused(const TemporaryFolder& folder, const ModelConfig& config = tiny()) {
  return error_of([&] { Checkpoint(folder.path(), config); });
}

TEST_CASE("the expected tensors are those of LlamaForCausalLM") {
  Shapes expected;
  for (const ExpectedTensor& tensor : expected_tensors(tiny())) {
    CHECK(expected.emplace(tensor.name, tensor.shape).second);
  }
  CHECK(expected == tiny_shapes());

  ModelConfig tied = tiny();
  tied.tied_embeddings = true;
  CHECK(expected_tensors(tied).size() == expected.size() - 1);
  for (const ExpectedTensor& tensor : expected_tensors(tied)) CHECK(tensor.name != "lm_head.weight");
}

TEST_CASE("their elements add up to the parameters of the model") {
  for (const bool tied : {false, true}) {
    ModelConfig config = tiny();
    config.tied_embeddings = tied;
    int64_t elements = 0;
    for (const ExpectedTensor& tensor : expected_tensors(config)) {
      int64_t product = 1;
      for (const int64_t dimension : tensor.shape) product *= dimension;
      elements += product;
    }
    CHECK(elements == config.parameters());
  }
}

TEST_CASE("the bundled model opens") {
  const std::filesystem::path folder = std::filesystem::path(WEIR_SOURCE_ROOT) / "models/stories260K";
  const ModelConfig config = read_config(folder);
  const Checkpoint checkpoint(folder, config);
  CHECK(checkpoint.weight_bytes() == 260032 * 4);
  const TensorView down = checkpoint.tensor("model.layers.4.mlp.down_proj.weight");
  CHECK(down.type == DataType::F32);
  CHECK(down.shape == std::vector<int64_t>{64, 172});
  CHECK(down.bytes == 64 * 172 * 4);
}

TEST_CASE("one file") {
  TemporaryFolder folder;
  Shapes shapes = tiny_shapes();
  shapes["model.layers.0.self_attn.rotary_emb.inv_freq"] = {1};
  folder.write("model.safetensors", file_of(shapes));
  folder.write("model.safetensors.index.json", "not looked at");
  folder.write("other.safetensors", "not looked at");
  const Checkpoint checkpoint(folder.path(), tiny());
  CHECK(checkpoint.weight_bytes() == static_cast<uint64_t>(tiny().parameters()) * 2);
  CHECK(checkpoint.tensor("model.norm.weight").shape == std::vector<int64_t>{4});
  CHECK(error_of([&] { checkpoint.tensor("model.layers.0.self_attn.rotary_emb.inv_freq"); }).status() ==
        WEIR_INVALID_ARGUMENT);
}

TEST_CASE("shards with an index and without") {
  for (const bool indexed : {true, false}) {
    CAPTURE(indexed);
    TemporaryFolder folder;
    folder.write("0.safetensors", file_of(select(tiny_shapes(), not_in_layer_1)));
    folder.write("1.safetensors", file_of(select(tiny_shapes(), in_layer_1)));
    folder.write("readme.txt", "not looked at");
    if (indexed) folder.write("model.safetensors.index.json", index_of(two_shards()));
    const Checkpoint checkpoint(folder.path(), tiny());
    CHECK(checkpoint.weight_bytes() == static_cast<uint64_t>(tiny().parameters()) * 2);
    // The first and the last tensor of the second shard in the order of their names.
    const TensorView first = checkpoint.tensor("model.layers.1.input_layernorm.weight");
    const TensorView last = checkpoint.tensor("model.layers.1.self_attn.v_proj.weight");
    CHECK(first.data[0] == std::byte{0});
    CHECK(first.bytes == 8);
    CHECK(last.data[0] == std::byte{8});
    CHECK(last.bytes == 16);
  }
}

TEST_CASE("a shard that an index does not name is left alone, and so is one that no expected tensor is in") {
  TemporaryFolder folder;
  folder.write("0.safetensors", file_of(select(tiny_shapes(), not_in_layer_1)));
  folder.write("broken.safetensors", "broken");
  folder.write("model.safetensors.index.json", index_of(two_shards()));
  ModelConfig config = tiny();
  config.layers = 1;
  CHECK(Checkpoint(folder.path(), config).weight_bytes() == static_cast<uint64_t>(config.parameters()) * 2);
  const Error error = refused(folder);
  CHECK(error.status() == WEIR_IO_ERROR);
  CHECK(names(error, "1.safetensors"));
}

TEST_CASE("tied embeddings need no head and ignore one") {
  ModelConfig tied = tiny();
  tied.tied_embeddings = true;
  Shapes shapes = tiny_shapes();
  shapes["lm_head.weight"] = {1};
  TemporaryFolder with_head;
  with_head.write("model.safetensors", file_of(shapes));
  CHECK(Checkpoint(with_head.path(), tied).weight_bytes() == static_cast<uint64_t>(tied.parameters()) * 2);

  shapes.erase("lm_head.weight");
  TemporaryFolder without_head;
  without_head.write("model.safetensors", file_of(shapes));
  CHECK_NOTHROW(Checkpoint(without_head.path(), tied));
  const Error error = refused(without_head);
  CHECK(error.status() == WEIR_INVALID_MODEL);
  CHECK(names(error, "lm_head.weight"));
}

TEST_CASE("every tensor is missed, and every wrong shape is named") {
  for (const auto& expected : tiny_shapes()) {
    const std::string& name = expected.first;
    CAPTURE(name);
    Shapes shapes = tiny_shapes();
    shapes.erase(name);
    TemporaryFolder folder;
    folder.write("model.safetensors", file_of(shapes));
    Error error = refused(folder);
    CHECK(error.status() == WEIR_INVALID_MODEL);
    CHECK(names(error, name));

    shapes[name] = {3, 7};
    folder.write("model.safetensors", file_of(shapes));
    error = refused(folder);
    CHECK(error.status() == WEIR_INVALID_MODEL);
    CHECK(names(error, name));
    CHECK(names(error, "[3, 7]"));
  }
  // The right number of elements is not the right shape.
  Shapes shapes = tiny_shapes();
  shapes["model.layers.0.mlp.down_proj.weight"] = {6, 4};
  TemporaryFolder folder;
  folder.write("model.safetensors", file_of(shapes));
  const Error error = refused(folder);
  CHECK(names(error, "[6, 4]"));
  CHECK(names(error, "[4, 6]"));
}

TEST_CASE("a tensor in two files is refused") {
  TemporaryFolder folder;
  Shapes second = select(tiny_shapes(), in_layer_1);
  second["model.norm.weight"] = {4};
  folder.write("0.safetensors", file_of(select(tiny_shapes(), not_in_layer_1)));
  folder.write("1.safetensors", file_of(second));
  Error error = refused(folder);
  CHECK(error.status() == WEIR_INVALID_MODEL);
  CHECK(names(error, "model.norm.weight"));
  folder.write("model.safetensors.index.json", index_of(two_shards()));
  error = refused(folder);
  CHECK(error.status() == WEIR_INVALID_MODEL);
  CHECK(names(error, "again"));
}

TEST_CASE("types that are not read are unsupported") {
  TemporaryFolder folder;
  folder.write("model.safetensors", file_of(tiny_shapes(), "I16"));
  const Error error = refused(folder);
  CHECK(error.status() == WEIR_UNSUPPORTED);
  CHECK(names(error, "I16"));
}

TEST_CASE("an index that lies") {
  TemporaryFolder folder;
  folder.write("0.safetensors", file_of(select(tiny_shapes(), not_in_layer_1)));
  folder.write("1.safetensors", file_of(select(tiny_shapes(), in_layer_1)));
  auto weight_map = two_shards();
  weight_map["model.norm.weight"] = "1.safetensors";
  folder.write("model.safetensors.index.json", index_of(weight_map));
  Error error = refused(folder);
  CHECK(error.status() == WEIR_INVALID_MODEL);
  CHECK(names(error, "model.norm.weight"));

  weight_map.erase("model.norm.weight");
  folder.write("model.safetensors.index.json", index_of(weight_map));
  error = refused(folder);
  CHECK(error.status() == WEIR_INVALID_MODEL);
  CHECK(names(error, "does not name"));

  weight_map["model.norm.weight"] = "absent.safetensors";
  folder.write("model.safetensors.index.json", index_of(weight_map));
  CHECK(refused(folder).status() == WEIR_IO_ERROR);

  folder.write("model.safetensors.index.json", std::string((4 << 20) + 1, ' '));
  CHECK(refused(folder).status() == WEIR_INVALID_MODEL);
}

TEST_CASE("shard names that lead out of the folder") {
  TemporaryFolder outer;
  outer.write("outside.safetensors", file_of(tiny_shapes()));
  for (const std::string name :
       {"../outside.safetensors", "/etc/passwd", "/tmp/x.safetensors", "..", ".", "", "a/../x.safetensors",
        "sub/x.safetensors", "..\\\\x.safetensors", "x.safetensors\\u0000", "x\\u0000.safetensors",
        ".safetensors", "x.bin", "x.safetensors/"}) {
    CAPTURE(name);
    const std::string index = index_of({{"a", name}});
    const Error error = error_of([&] { parse_shard_index(index, "test.json"); });
    CHECK(error.status() == WEIR_INVALID_MODEL);
    CHECK(names(error, "plain name"));
  }
  std::filesystem::create_directory(outer.path() / "model");
  std::map<std::string, std::string> weight_map;
  for (const auto& [name, shape] : tiny_shapes()) weight_map[name] = "../outside.safetensors";
  outer.write("model/model.safetensors.index.json", index_of(weight_map));
  CHECK(error_of([&] { Checkpoint(outer.path() / "model", tiny()); }).status() == WEIR_INVALID_MODEL);
  CHECK(parse_shard_index(index_of({{"a", "x..y.safetensors"}}), "test.json").at("a") == "x..y.safetensors");
}

TEST_CASE("indexes that are none") {
  for (const std::string text :
       {"", "[]", "{}", R"({"weight_map":null})", R"({"weight_map":[]})", R"({"weight_map":{"a":1}})",
        R"({"weight_map":{"a":null}})", R"({"weight_map":{"a":["x.safetensors"]}})",
        R"({"weight_map":{"a":"x.safetensors","a":"y.safetensors"}})",
        R"({"weight_map":{},"weight_map":{}})"}) {
    CAPTURE(text);
    CHECK(error_of([&] { parse_shard_index(text, "test.json"); }).status() == WEIR_INVALID_MODEL);
  }
}

TEST_CASE("folders without weights") {
  TemporaryFolder folder;
  Error error = refused(folder);
  CHECK(error.status() == WEIR_IO_ERROR);
  CHECK(names(error, "model.safetensors"));
  CHECK(error_of([&] { Checkpoint(folder.path() / "absent", tiny()); }).status() == WEIR_IO_ERROR);

  std::filesystem::create_symlink("nowhere", folder.path() / "model.safetensors");
  error = refused(folder);
  CHECK(error.status() == WEIR_IO_ERROR);
  CHECK(names(error, "cannot be opened"));
}

TEST_CASE("files that are linked into the folder are read, as the cache of Hugging Face links them") {
  TemporaryFolder folder;
  folder.write("blob", file_of(tiny_shapes()));
  std::filesystem::create_symlink("blob", folder.path() / "model.safetensors");
  CHECK_NOTHROW(Checkpoint(folder.path(), tiny()));
}

TEST_CASE("a truncated shard") {
  TemporaryFolder folder;
  const std::string whole = file_of(tiny_shapes());
  folder.write("model.safetensors", std::string_view(whole).substr(0, whole.size() - 1));
  const Error error = refused(folder);
  CHECK(error.status() == WEIR_INVALID_MODEL);
  CHECK(names(error, "truncated"));
}

}  // namespace
}  // namespace weir
