#include "model/safetensors.h"

#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "model_files.h"

namespace weir {
namespace {

using test::error_of;
using test::names;
using test::safetensors;
using test::TemporaryFolder;

TensorTable parse(const std::string& header, size_t data_bytes) {
  const std::string file = safetensors(header, std::string(data_bytes, '\0'));
  return parse_safetensors(file, file.size(), "test.safetensors");
}

Error refused(const std::string& header, size_t data_bytes) {
  return error_of([&] { parse(header, data_bytes); });
}

std::string tensor(const std::string& name, const std::string& type, const std::string& shape, uint64_t begin,
                   uint64_t end) {
  return "\"" + name + "\":{\"dtype\":\"" + type + "\",\"shape\":" + shape + ",\"data_offsets\":[" +
         std::to_string(begin) + "," + std::to_string(end) + "]}";
}

TEST_CASE("a header is read") {
  const std::string header = R"({"__metadata__":{"format":"pt","x":""}, )" +
                             tensor("b", "F16", "[2,3]", 4, 16) + "," + tensor("a", "F32", "[]", 0, 4) + "," +
                             tensor("c", "BF16", "[0,5]", 16, 16) + "," +
                             tensor("ids", "I64", "[1]", 16, 24) + "}  \n";
  const TensorTable table = parse(header, 24);
  const uint64_t data = 8 + header.size();
  REQUIRE(table.size() == 3);
  CHECK(table.at("a").type == DataType::F32);
  CHECK(table.at("a").shape.empty());
  CHECK(table.at("a").begin == data);
  CHECK(table.at("a").end == data + 4);
  CHECK(table.at("b").type == DataType::F16);
  CHECK(table.at("b").shape == std::vector<int64_t>{2, 3});
  CHECK(table.at("b").begin == data + 4);
  CHECK(table.at("b").end == data + 16);
  CHECK(table.at("c").type == DataType::BF16);
  CHECK(table.at("c").begin == table.at("c").end);

  const std::string file = safetensors(header, std::string(24, '\0'));
  OtherTensors others;
  parse_safetensors(file, file.size(), "test.safetensors", &others);
  CHECK(others == OtherTensors{{"ids", "I64"}});
}

TEST_CASE("the header alone is enough") {
  const std::string header = "{" + tensor("a", "F32", "[1000,1000]", 0, 4000000) + "}";
  const TensorTable table =
      parse_safetensors(safetensors(header, ""), 8 + header.size() + 4000000, "test.safetensors");
  CHECK(table.at("a").end == 8 + header.size() + 4000000);
}

TEST_CASE("a file without tensors is a file") { CHECK(parse("{}", 0).empty()); }

TEST_CASE("escaped names are the names they spell") {
  CHECK(parse("{" + tensor("\\u0061\\n", "F32", "[1]", 0, 4) + "}", 4).contains("a\n"));
}

TEST_CASE("the types of the format have their sizes") {
  struct Type {
    const char* name;
    uint64_t bits;
  };
  const Type types[] = {{"F64", 64},        {"I64", 64},       {"U64", 64},    {"C64", 64},    {"F32", 32},
                        {"I32", 32},        {"U32", 32},       {"F16", 16},    {"I16", 16},    {"U16", 16},
                        {"BF16", 16},       {"BOOL", 8},       {"I8", 8},      {"U8", 8},      {"F4", 4},
                        {"F6_E2M3", 6},     {"F6_E3M2", 6},    {"F8_E8M0", 8}, {"F8_E4M3", 8}, {"F8_E5M2", 8},
                        {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}};
  for (const Type& type : types) {
    CAPTURE(type.name);
    const uint64_t bytes = 4 * type.bits / 8;
    CHECK_NOTHROW(parse("{" + tensor("a", type.name, "[4]", 0, bytes) + "}", bytes));
    CHECK(refused("{" + tensor("a", type.name, "[4]", 0, bytes + 1) + "}", bytes + 1).status() ==
          WEIR_INVALID_MODEL);
  }
  CHECK(refused("{" + tensor("a", "F4", "[3]", 0, 1) + "}", 1).status() == WEIR_INVALID_MODEL);
  CHECK(refused("{" + tensor("a", "F6_E2M3", "[1]", 0, 0) + "}", 0).status() == WEIR_INVALID_MODEL);
}

TEST_CASE("a type from the future is unsupported, not damaged") {
  const Error error = refused("{" + tensor("a", "F128", "[1]", 0, 16) + "}", 16);
  CHECK(error.status() == WEIR_UNSUPPORTED);
  CHECK(names(error, "F128"));
}

TEST_CASE("lengths of the header that cannot be") {
  const std::string good = safetensors("{}", "");
  for (size_t length = 0; length < good.size(); ++length) {
    CAPTURE(length);
    CHECK(error_of([&] { parse_safetensors(good.substr(0, length), length, "t"); }).status() ==
          WEIR_INVALID_MODEL);
    // A caller that claims more than it hands over is not believed either.
    CHECK(error_of([&] { parse_safetensors(good.substr(0, length), 1000, "t"); }).status() ==
          WEIR_INVALID_MODEL);
  }
  for (const uint64_t length :
       {uint64_t{0}, uint64_t{3}, uint64_t{100'000'000}, uint64_t{100'000'001}, uint64_t{1} << 31,
        uint64_t{1} << 32, uint64_t{1} << 63, std::numeric_limits<uint64_t>::max() - 7,
        std::numeric_limits<uint64_t>::max()}) {
    CAPTURE(length);
    std::string file = good;
    std::memcpy(file.data(), &length, sizeof length);
    CHECK(error_of([&] { parse_safetensors(file, file.size(), "t"); }).status() == WEIR_INVALID_MODEL);
    const uint64_t claimed = std::numeric_limits<uint64_t>::max();
    CHECK(error_of([&] { parse_safetensors(file, claimed, "t"); }).status() == WEIR_INVALID_MODEL);
  }
}

TEST_CASE("headers that the format does not have") {
  const std::string a = tensor("a", "F32", "[1]", 0, 4);
  const std::string rows[] = {
      "",
      " {}",
      "\xEF\xBB\xBF{}",
      "[]",
      "null",
      "{",
      "{} {}",
      "{}x",
      "{" + a,
      "{" + a + ",}",
      "{" + a + "," + a + "}",
      R"({"a":null})",
      R"({"a":1})",
      R"({"a":[]})",
      R"({"a":"F32"})",
      R"({"a":true})",
      R"({"a":{}})",
      R"({"a":{"dtype":"F32","shape":[1]}})",
      R"({"a":{"dtype":"F32","data_offsets":[0,4]}})",
      R"({"a":{"shape":[1],"data_offsets":[0,4]}})",
      R"({"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
      R"({"a":{"dtype":"F32","shape":[1],"shape":[1],"data_offsets":[0,4]}})",
      R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"data_offsets":[0,4]}})",
      R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"more":1}})",
      R"({"a":{"dtype":32,"shape":[1],"data_offsets":[0,4]}})",
      R"({"a":{"dtype":["F32"],"shape":[1],"data_offsets":[0,4]}})",
      R"({"a":{"dtype":{},"shape":[1],"data_offsets":[0,4]}})",
      R"({"a":{"dtype":null,"shape":[1],"data_offsets":[0,4]}})",
      R"({"a":{"dtype":"F32","shape":1,"data_offsets":[0,4]}})",
      R"({"a":{"dtype":"F32","shape":[[1]],"data_offsets":[0,4]}})",
      R"({"a":{"dtype":"F32","shape":{},"data_offsets":[0,4]}})",
      R"({"a":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}})",
      R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})",
      R"({"a":{"dtype":"F32","shape":[-0],"data_offsets":[0,0]}})",
      R"({"a":{"dtype":"F32","shape":["1"],"data_offsets":[0,4]}})",
      R"({"a":{"dtype":"F32","shape":[null],"data_offsets":[0,4]}})",
      R"({"a":{"dtype":"F32","shape":[NaN],"data_offsets":[0,4]}})",
      R"({"a":{"dtype":"F32","shape":[1e999],"data_offsets":[0,4]}})",
      R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[]}})",
      R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}})",
      R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,4]}})",
      R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4.0]}})",
      R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}})",
      R"({"a":{"dtype":"F32","shape":[1],"data_offsets":{"0":4}}})",
      R"({"__metadata__":null,)" + a + "}",
      R"({"__metadata__":[],)" + a + "}",
      R"({"__metadata__":{"k":1},)" + a + "}",
      R"({"__metadata__":{"k":{}},)" + a + "}",
      R"({"__metadata__":{"k":["v"]},)" + a + "}",
      R"({"__metadata__":{"k":null},)" + a + "}",
      R"({"__metadata__":{"k":"v","k":"v"},)" + a + "}",
      R"({"__metadata__":{},"__metadata__":{},)" + a + "}",
      "{\"\xff\":{}}",
      std::string(100000, '['),
      "{\"a\":" + std::string(100000, '['),
  };
  for (const std::string& header : rows) {
    CAPTURE(header.substr(0, 90));
    CHECK(refused(header, 4).status() == WEIR_INVALID_MODEL);
  }
  std::string deep;
  for (int i = 0; i < 100000; ++i) deep += "{\"a\":";
  CHECK(refused(deep, 4).status() == WEIR_INVALID_MODEL);
  CHECK_NOTHROW(parse("{" + a + "}", 4));
}

TEST_CASE("shapes, types and offsets that do not agree") {
  struct Row {
    std::string members;
    size_t data_bytes;
    const char* part;
  };
  const std::string huge = "9223372036854775807";
  const Row rows[] = {
      {tensor("a", "F32", "[1]", 4, 0), 4, "begins at byte 4 and ends before"},
      {tensor("a", "F32", "[2]", 0, 8), 4, "may be truncated"},
      {tensor("a", "F32", "[1]", 18446744073709551612U, 18446744073709551615U), 4, "may be truncated"},
      {tensor("a", "F32", "[1]", 18446744073709551612U, 0), 4, "ends before"},
      {tensor("a", "F32", "[2]", 0, 4), 4, "take 8"},
      {tensor("a", "F32", "[0]", 0, 4), 4, "take 0"},
      {tensor("a", "F16", "[1]", 0, 4), 4, "dtype F16 take 2"},
      {tensor("a", "F32", "[" + huge + "]", 0, 4), 4, "more than there can be"},
      {tensor("a", "F32", "[9223372036854775808]", 0, 4), 4, "dimension of 9223372036854775808"},
      {tensor("a", "F32", "[18446744073709551616]", 0, 4), 4, "not whole or too large"},
      // 2^32 x 2^32 x 4 bytes is 0 modulo 2^64, and 2^62 x 4 + 4 bytes would be 4.
      {tensor("a", "F32", "[4294967296,4294967296]", 0, 0), 0, "more than there can be"},
      {tensor("a", "U8", "[2305843009213693953]", 0, 1), 1, "more than there can be"},
      {tensor("a", "F32", "[" + huge + "," + huge + ",0]", 0, 0), 0, "more than there can be"},
      {tensor("a", "F32", "[1]", 0, 4) + "," + tensor("b", "F32", "[1]", 0, 4), 4, "overlaps"},
      {tensor("a", "F32", "[2]", 0, 8) + "," + tensor("b", "F32", "[2]", 4, 12), 12, "overlaps"},
      {tensor("a", "F32", "[2]", 0, 8) + "," + tensor("b", "F32", "[0]", 4, 4), 8, "overlaps"},
      {tensor("a", "I64", "[1]", 0, 8) + "," + tensor("b", "F32", "[1]", 4, 8), 8, "overlaps"},
      {tensor("a", "F32", "[1]", 0, 4) + "," + tensor("b", "F32", "[1]", 8, 12), 12, "gap"},
      {tensor("a", "F32", "[1]", 4, 8), 8, "gap"},
      {tensor("a", "F32", "[1]", 0, 4), 5, "1 bytes after the last"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.members);
    const Error error = refused("{" + row.members + "}", row.data_bytes);
    CHECK(error.status() == WEIR_INVALID_MODEL);
    CHECK(names(error, row.part));
    CHECK(names(error, "test.safetensors"));
  }
  std::string ones = "1";
  for (int i = 1; i < 64; ++i) ones += ",1";
  CHECK_NOTHROW(parse("{" + tensor("a", "F32", "[" + ones + "]", 0, 4) + "}", 4));
  CHECK(names(refused("{" + tensor("a", "F32", "[" + ones + ",1]", 0, 4) + "}", 4), "64 dimensions"));
}

TEST_CASE("headers that are all well but the size") {
  const std::string million((1 << 20) + 1, 'x');
  CHECK_NOTHROW(parse(R"({"__metadata__":{"k":")" + million.substr(1) + "\"}}", 0));
  for (const std::string& header :
       {R"({"__metadata__":{"k":")" + million + "\"}}", R"({"__metadata__":{")" + million + R"(":"v"}})",
        "{" + tensor(million, "F32", "[1]", 0, 4) + "}", R"({"__metadata__":{"k":"\")" + million + "\"}}",
        R"({"a":{"shape":[)" + std::string(2 << 20, '1'), "{}" + std::string(2 << 20, ' ')}) {
    CAPTURE(header.substr(0, 40));
    const Error error = refused(header, 4);
    CHECK(error.status() == WEIR_INVALID_MODEL);
    CHECK(names(error, "1048576"));
  }

  std::string metadata = R"("0":"")";
  for (int i = 1; i < 65536; ++i) metadata += ",\"" + std::to_string(i) + R"(":"")";
  CHECK_NOTHROW(parse(R"({"__metadata__":{)" + metadata + "}}", 0));
  CHECK(names(refused(R"({"__metadata__":{)" + metadata + R"(,"x":""}})", 0), "more than 65536 names"));

  std::string tensors = tensor("0", "F32", "[0]", 0, 0);
  for (int i = 1; i < 65536; ++i) tensors += "," + tensor(std::to_string(i), "F32", "[0]", 0, 0);
  CHECK(parse("{" + tensors + "}", 0).size() == 65536);
  CHECK(names(refused("{" + tensors + "," + tensor("x", "F32", "[0]", 0, 0) + "}", 0),
              "more than 65536 tensors"));
}

TEST_CASE("a message stays short and printable, whatever the file holds") {
  const std::string name = std::string(1 << 19, 'n');
  const Error error = refused("{" + tensor("\\u0000" + name, "F32", "[2]", 0, 4) + "}", 4);
  CHECK(error.message().size() < 500);
  CHECK(names(error, "\"\\x00nnn"));
}

TEST_CASE("a mapped file gives its tensors") {
  TemporaryFolder folder;
  const std::array<float, 3> values = {1.5f, -0.0f, std::numeric_limits<float>::denorm_min()};
  std::string data(1, '\x7f');  // shifts what follows to an odd address
  data.append(reinterpret_cast<const char*>(values.data()), sizeof values);
  data += std::string("\x00\x3c\x00\xc0", 4);  // F16 1, -2
  data += std::string("\x80\x3f", 2);          // BF16 1
  const std::string header =
      "{" + tensor("odd", "U8", "[1]", 0, 1) + "," + tensor("f32", "F32", "[3]", 1, 13) + "," +
      tensor("f16", "F16", "[1,2]", 13, 17) + "," + tensor("bf16", "BF16", "[1]", 17, 19) + "}";
  SafetensorsFile opened(folder.write("a.safetensors", safetensors(header, data)));
  const SafetensorsFile file(std::move(opened));
  CHECK(file.tensors().size() == 3);
  CHECK(file.others() == OtherTensors{{"odd", "U8"}});

  std::array<float, 3> out{};
  const TensorView f32 = file.view("f32");
  CHECK(f32.bytes == 12);
  convert_to_f32(f32, out.data());
  CHECK(std::memcmp(out.data(), values.data(), sizeof values) == 0);

  const TensorView f16 = file.view("f16");
  CHECK(f16.shape == std::vector<int64_t>{1, 2});
  convert_to_f32(f16, out.data());
  CHECK(out[0] == 1.0f);
  CHECK(out[1] == -2.0f);

  convert_to_f32(file.view("bf16"), out.data());
  CHECK(out[0] == 1.0f);
  CHECK(error_of([&] { file.view("odd"); }).status() == WEIR_INVALID_ARGUMENT);
  CHECK(error_of([&] { file.view("absent"); }).status() == WEIR_INVALID_ARGUMENT);
}

TEST_CASE("files that cannot be mapped") {
  TemporaryFolder folder;
  CHECK(error_of([&] { SafetensorsFile(folder.path() / "absent.safetensors"); }).status() == WEIR_IO_ERROR);
  CHECK(error_of([&] { SafetensorsFile{folder.path()}; }).status() == WEIR_IO_ERROR);
  CHECK(error_of([&] { SafetensorsFile("/dev/zero"); }).status() == WEIR_IO_ERROR);
  CHECK(error_of([&] { SafetensorsFile(folder.write("empty", "")); }).status() == WEIR_INVALID_MODEL);
  CHECK(error_of([&] { SafetensorsFile(folder.write("short", "1234567")); }).status() == WEIR_INVALID_MODEL);
}

TEST_CASE("no truncation of the bundled model is accepted") {
  const SafetensorsFile file(std::filesystem::path(WEIR_SOURCE_ROOT) /
                             "models/stories260K/model.safetensors");
  CHECK(file.tensors().size() == 47);
  std::ifstream stream(file.origin(), std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
  uint64_t header = 0;
  std::memcpy(&header, bytes.data(), sizeof header);
  for (size_t length = 0; length < bytes.size(); length += length < header + 64 ? 13 : 4093) {
    CAPTURE(length);
    CHECK(error_of([&] { parse_safetensors(bytes.substr(0, length), length, "t"); }).status() ==
          WEIR_INVALID_MODEL);
  }
  CHECK(parse_safetensors(bytes, bytes.size(), "t").size() == 47);
}

// Sign, exponent and fraction of a binary format to a double, by the definition of IEEE 754.
double value_of(uint32_t bits, int exponent_bits, int fraction_bits) {
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const uint32_t exponent = bits >> fraction_bits & ((1u << exponent_bits) - 1);
  const uint32_t fraction = bits & ((1u << fraction_bits) - 1);
  const double sign = bits >> (exponent_bits + fraction_bits) != 0 ? -1.0 : 1.0;
  if (exponent == (1u << exponent_bits) - 1) {
    return fraction != 0 ? std::numeric_limits<double>::quiet_NaN()
                         : sign * std::numeric_limits<double>::infinity();
  }
  const double scaled = std::ldexp(static_cast<double>(fraction), -fraction_bits);
  return exponent == 0 ? sign * std::ldexp(scaled, 1 - bias)
                       : sign * std::ldexp(1.0 + scaled, static_cast<int>(exponent) - bias);
}

TEST_CASE("every F16 and BF16 number becomes the same number") {
  // The offset makes the source unaligned.
  for (const size_t offset : {0, 1}) {
    std::vector<std::byte> source(offset + 65536 * 2);
    for (uint32_t bits = 0; bits < 65536; ++bits) {
      const auto value = static_cast<uint16_t>(bits);
      std::memcpy(source.data() + offset + bits * 2, &value, sizeof value);
    }
    for (const DataType type : {DataType::F16, DataType::BF16}) {
      std::vector<float> out(65536);
      convert_to_f32({type, {65536}, source.data() + offset, 65536 * 2}, out.data());
      size_t different = 0;
      for (uint32_t bits = 0; bits < 65536; ++bits) {
        const double expected = type == DataType::F16 ? value_of(bits, 5, 10) : value_of(bits, 8, 7);
        const double found = out[bits];
        const bool same = std::isnan(expected)
                              ? std::isnan(found)
                              : std::bit_cast<uint64_t>(expected) == std::bit_cast<uint64_t>(found);
        if (!same) ++different;
      }
      CHECK(different == 0);
    }
  }
}

TEST_CASE("nothing is converted from an empty tensor") {
  float untouched = 7.0f;
  for (const DataType type : {DataType::F32, DataType::F16, DataType::BF16}) {
    convert_to_f32({type, {0}, nullptr, 0}, &untouched);
  }
  CHECK(untouched == 7.0f);
}

}  // namespace
}  // namespace weir
