#include "model/safetensors.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <optional>
#include <set>
#include <utility>

#include "core/error.h"
#include "model/json_document.h"
#include "model/regular_file.h"

namespace weir {
namespace {

static_assert(std::endian::native == std::endian::little,
              "safetensors data is little-endian and read as it is");

using nlohmann::json;

constexpr uint64_t kLengthBytes = 8;
constexpr uint64_t kLongestHeader = 100'000'000;  // the limit of the format's reference implementation
constexpr size_t kMostDimensions = 64;            // that of PyTorch
constexpr size_t kMostTensors = size_t{1} << 16;
constexpr size_t kMostMetadata = size_t{1} << 16;
constexpr size_t kLongestToken = size_t{1} << 20;

struct FormatType {
  std::string_view name;
  uint32_t bits;
};

constexpr FormatType kFormatTypes[] = {
    {"F32", 32},    {"F16", 16},    {"BF16", 16},   {"F64", 64},        {"I64", 64},        {"I32", 32},
    {"I16", 16},    {"I8", 8},      {"U64", 64},    {"U32", 32},        {"U16", 16},        {"U8", 8},
    {"BOOL", 8},    {"F8_E4M3", 8}, {"F8_E5M2", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"F8_E8M0", 8},
    {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"F4", 4},      {"C64", 64},
};

// One member of the header while it is read. Offsets count from the start of the data.
struct HeaderTensor {
  const FormatType* type = nullptr;
  std::vector<int64_t> shape;
  uint64_t begin = 0;
  uint64_t end = 0;
};

// Accepts exactly the grammar of the header and nothing else, so that no value is ever kept that is not
// needed.
class HeaderReader final : public nlohmann::json_sax<json> {
 public:
  explicit HeaderReader(const std::string& origin) : origin_(origin) {}

  std::map<std::string, HeaderTensor, std::less<>> take() { return std::move(tensors_); }

  bool start_object(size_t) override {
    switch (place_) {
      case Place::start:
        place_ = Place::header;
        return true;
      case Place::member:
        place_ = is_metadata_ ? Place::metadata : Place::tensor;
        return true;
      default:
        throw unexpected("an object");
    }
  }

  bool key(string_t& name) override {
    switch (place_) {
      case Place::header:
        begin_member(name);
        return true;
      case Place::metadata:
        if (metadata_names_.size() == kMostMetadata) {
          throw invalid("more than " + std::to_string(kMostMetadata) + " names in __metadata__");
        }
        if (!metadata_names_.insert(name).second)
          throw invalid("the name " + in_quotes(name) + " twice in __metadata__");
        place_ = Place::metadata_value;
        return true;
      case Place::tensor:
        begin_field(name);
        return true;
      default:
        throw unexpected("a name");
    }
  }

  bool end_object() override {
    switch (place_) {
      case Place::header:
        place_ = Place::end;
        return true;
      case Place::metadata:
        place_ = Place::header;
        return true;
      case Place::tensor:
        if (!has_type_ || !has_shape_ || !has_offsets_) {
          throw invalid(member() + " without " +
                        (!has_type_    ? "dtype"
                         : !has_shape_ ? "shape"
                                       : "data_offsets"));
        }
        place_ = Place::header;
        return true;
      default:
        throw unexpected("the end of an object");
    }
  }

  bool start_array(size_t) override {
    if (place_ == Place::shape_field) {
      place_ = Place::shape;
    } else if (place_ == Place::offsets_field) {
      place_ = Place::offsets;
    } else {
      throw unexpected("a list");
    }
    return true;
  }

  bool end_array() override {
    if (place_ == Place::offsets && offsets_ != 2)
      throw invalid("data_offsets of " + member() + " that are not two");
    place_ = Place::tensor;
    return true;
  }

  bool string(string_t& value) override {
    if (place_ == Place::metadata_value) {
      place_ = Place::metadata;
      return true;
    }
    if (place_ != Place::type_field) throw unexpected("a string");
    const auto* type = std::find_if(std::begin(kFormatTypes), std::end(kFormatTypes),
                                    [&](const FormatType& known) { return known.name == value; });
    if (type == std::end(kFormatTypes)) {
      throw Error(WEIR_UNSUPPORTED,
                  origin_ + " has " + member() + " of the unknown dtype " + in_quotes(value));
    }
    tensor_->type = type;
    place_ = Place::tensor;
    return true;
  }

  bool number_unsigned(number_unsigned_t value) override {
    if (place_ == Place::shape) {
      if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
        throw invalid(member() + " with a dimension of " + std::to_string(value));
      }
      if (tensor_->shape.size() == kMostDimensions) {
        throw invalid(member() + " with more than " + std::to_string(kMostDimensions) + " dimensions");
      }
      tensor_->shape.push_back(static_cast<int64_t>(value));
      return true;
    }
    if (place_ != Place::offsets) throw unexpected("a number");
    if (offsets_ == 2) throw invalid("data_offsets of " + member() + " that are not two");
    (offsets_++ == 0 ? tensor_->begin : tensor_->end) = value;
    return true;
  }

  bool number_integer(number_integer_t) override { throw unexpected("a negative number"); }
  bool number_float(number_float_t, const string_t&) override {
    throw unexpected("a number that is not whole or too large");
  }
  bool null() override { throw unexpected("null"); }
  bool boolean(bool) override { throw unexpected("true or false"); }
  bool binary(binary_t&) override { throw unexpected("binary data"); }
  bool parse_error(size_t position, const std::string&, const nlohmann::json::exception&) override {
    throw invalid_json("the header of " + origin_, position);
  }

 private:
  enum class Place {
    start,
    header,
    member,
    metadata,
    metadata_value,
    tensor,
    type_field,
    shape_field,
    offsets_field,
    shape,
    offsets,
    end
  };

  void begin_member(const std::string& name) {
    is_metadata_ = name == "__metadata__";
    if (is_metadata_) {
      if (has_metadata_) throw invalid("__metadata__ twice");
      has_metadata_ = true;
    } else {
      if (tensors_.size() == kMostTensors) {
        throw invalid("more than " + std::to_string(kMostTensors) + " tensors");
      }
      const auto [place, added] = tensors_.try_emplace(name);
      if (!added) throw invalid("tensor " + in_quotes(name) + " twice");
      name_ = &place->first;
      tensor_ = &place->second;
      has_type_ = has_shape_ = has_offsets_ = false;
      offsets_ = 0;
    }
    place_ = Place::member;
  }

  void begin_field(const std::string& name) {
    bool* seen = nullptr;
    if (name == "dtype") {
      seen = &has_type_;
      place_ = Place::type_field;
    } else if (name == "shape") {
      seen = &has_shape_;
      place_ = Place::shape_field;
    } else if (name == "data_offsets") {
      seen = &has_offsets_;
      place_ = Place::offsets_field;
    } else {
      throw invalid(member() + " with the unknown field " + in_quotes(name));
    }
    if (*seen) throw invalid(member() + " with " + name + " twice");
    *seen = true;
  }

  std::string member() const { return is_metadata_ ? "__metadata__" : "tensor " + in_quotes(*name_); }
  Error invalid(const std::string& what) const { return {WEIR_INVALID_MODEL, origin_ + " has " + what}; }
  Error unexpected(const std::string& what) const {
    const bool in_member = place_ != Place::start && place_ != Place::header && place_ != Place::end;
    return invalid(what + " where the format has none, in " + (in_member ? member() : "the header"));
  }

  const std::string& origin_;
  Place place_ = Place::start;
  std::map<std::string, HeaderTensor, std::less<>> tensors_;
  std::set<std::string> metadata_names_;
  bool is_metadata_ = false;
  bool has_metadata_ = false;

  // Of the tensor that is being read.
  const std::string* name_ = nullptr;
  HeaderTensor* tensor_ = nullptr;
  bool has_type_ = false;
  bool has_shape_ = false;
  bool has_offsets_ = false;
  int offsets_ = 0;
};

// Refuses strings and numbers that would be copied several times over before the reader sees them.
void check_tokens(std::string_view header, const std::string& origin) {
  bool in_string = false;
  size_t begin = 0;
  for (size_t i = 0; i < header.size(); ++i) {
    if (header[i] == '\\' && in_string) {
      ++i;
    } else if (header[i] == '"') {
      in_string = !in_string;
      begin = i;
    }
    if (i - begin > kLongestToken) {
      throw Error(WEIR_INVALID_MODEL, "the header of " + origin + " goes on for more than " +
                                          std::to_string(kLongestToken) + " bytes from byte " +
                                          std::to_string(begin) +
                                          " without the beginning or end of a string");
    }
  }
}

// Bytes that a tensor takes, or nothing if that is no number of bytes.
std::optional<uint64_t> bytes_of(const HeaderTensor& tensor) {
  uint64_t bits = tensor.type->bits;
  for (const int64_t dimension : tensor.shape) {
    if (__builtin_mul_overflow(bits, static_cast<uint64_t>(dimension), &bits)) return std::nullopt;
  }
  if (bits % 8 != 0) return std::nullopt;
  return bits / 8;
}

void check_lengths(const std::map<std::string, HeaderTensor, std::less<>>& tensors, uint64_t data_size,
                   const std::string& origin) {
  for (const auto& [name, tensor] : tensors) {
    const std::string subject = origin + ": tensor " + in_quotes(name);
    if (tensor.begin > tensor.end) {
      throw Error(WEIR_INVALID_MODEL, subject + " begins at byte " + std::to_string(tensor.begin) +
                                          " and ends before it, at " + std::to_string(tensor.end));
    }
    if (tensor.end > data_size) {
      throw Error(WEIR_INVALID_MODEL, subject + " ends at byte " + std::to_string(tensor.end) + " of " +
                                          std::to_string(data_size) +
                                          " bytes of data; the file may be truncated");
    }
    const std::optional<uint64_t> bytes = bytes_of(tensor);
    if (bytes != tensor.end - tensor.begin) {
      throw Error(WEIR_INVALID_MODEL,
                  subject + " has " + std::to_string(tensor.end - tensor.begin) +
                      " bytes, but its shape and dtype " + std::string(tensor.type->name) + " take " +
                      (bytes ? std::to_string(*bytes) : "more than there can be or no whole number"));
    }
  }
}

void check_layout(const std::map<std::string, HeaderTensor, std::less<>>& tensors, uint64_t data_size,
                  const std::string& origin) {
  using Member = std::map<std::string, HeaderTensor, std::less<>>::value_type;
  std::vector<const Member*> by_place;
  by_place.reserve(tensors.size());
  for (const Member& member : tensors) by_place.push_back(&member);
  std::sort(by_place.begin(), by_place.end(), [](const Member* a, const Member* b) {
    return std::pair(a->second.begin, a->second.end) < std::pair(b->second.begin, b->second.end);
  });
  uint64_t filled = 0;
  for (const Member* member : by_place) {
    const auto& [name, tensor] = *member;
    if (tensor.begin != filled) {
      throw Error(WEIR_INVALID_MODEL, origin + ": tensor " + in_quotes(name) + " begins at byte " +
                                          std::to_string(tensor.begin) + " of the data, which " +
                                          (tensor.begin < filled ? "overlaps" : "leaves a gap after") +
                                          " the tensor that ends at " + std::to_string(filled));
    }
    filled = tensor.end;
  }
  if (filled != data_size) {
    throw Error(WEIR_INVALID_MODEL, origin + " has " + std::to_string(data_size - filled) +
                                        " bytes after the last tensor that belong to none");
  }
}

std::optional<DataType> supported(const FormatType& type) {
  if (type.name == "F32") return DataType::F32;
  if (type.name == "F16") return DataType::F16;
  if (type.name == "BF16") return DataType::BF16;
  return std::nullopt;
}

// IEEE 754 binary16 to binary32 without branches, so that the loop over it becomes vector instructions.
inline float half_to_float(uint16_t half) {
  constexpr uint32_t kBias = (127 - 15) << 23;  // what the exponents of the two formats differ by
  const uint32_t magnitude = half & 0x7FFFu;
  const uint32_t sign = (half & 0x8000u) << 16;
  const uint32_t normal = (magnitude << 13) + kBias;
  // Exact, as is the product: subnormal halves are multiples of 2^-24, and all of them are normal floats.
  const uint32_t subnormal =
      std::bit_cast<uint32_t>(static_cast<float>(static_cast<int32_t>(magnitude)) * 0x1p-24f);
  const uint32_t bits = magnitude < 0x0400u ? subnormal : magnitude >= 0x7C00u ? normal + kBias : normal;
  return std::bit_cast<float>(bits | sign);
}

inline float bfloat_to_float(uint16_t value) { return std::bit_cast<float>(uint32_t{value} << 16); }

template <float (*convert)(uint16_t)>
void convert_all(const std::byte* data, size_t count, float* out) {
  for (size_t i = 0; i < count; ++i) {
    uint16_t value;
    std::memcpy(&value, data + i * sizeof value, sizeof value);
    out[i] = convert(value);
  }
}

}  // namespace

size_t bytes_of(DataType type) { return type == DataType::F32 ? 4 : 2; }

TensorTable parse_safetensors(std::string_view head, uint64_t file_size, const std::string& origin,
                              OtherTensors* others) {
  if (head.size() < kLengthBytes || file_size < kLengthBytes) {
    throw Error(WEIR_INVALID_MODEL,
                origin + " is no safetensors file: it has " + std::to_string(file_size) + " bytes");
  }
  uint64_t length = 0;
  std::memcpy(&length, head.data(), kLengthBytes);
  if (length > kLongestHeader) {
    throw Error(WEIR_INVALID_MODEL, origin + " is no safetensors file: its header would have " +
                                        std::to_string(length) + " bytes; the format allows " +
                                        std::to_string(kLongestHeader));
  }
  if (length > file_size - kLengthBytes || length > head.size() - kLengthBytes) {
    throw Error(WEIR_INVALID_MODEL, origin + " ends within its header: it has " + std::to_string(file_size) +
                                        " bytes, its header " + std::to_string(length));
  }
  const std::string_view header = head.substr(kLengthBytes, length);
  if (!header.starts_with('{')) throw invalid_json("the header of " + origin, 0);
  check_tokens(header, origin);

  HeaderReader reader(origin);
  json::sax_parse(header.begin(), header.end(), &reader);
  auto tensors = reader.take();
  const uint64_t data_begin = kLengthBytes + length;
  const uint64_t data_size = file_size - data_begin;
  check_lengths(tensors, data_size, origin);
  check_layout(tensors, data_size, origin);

  TensorTable table;
  while (!tensors.empty()) {
    auto node = tensors.extract(tensors.begin());
    HeaderTensor& tensor = node.mapped();
    if (const std::optional<DataType> type = supported(*tensor.type)) {
      table.emplace_hint(
          table.end(), std::move(node.key()),
          TensorEntry{*type, std::move(tensor.shape), data_begin + tensor.begin, data_begin + tensor.end});
    } else if (others != nullptr) {
      others->emplace(std::move(node.key()), tensor.type->name);
    }
  }
  return table;
}

void SafetensorsFile::Unmap::operator()(const std::byte* data) const noexcept {
  ::munmap(const_cast<std::byte*>(data), size);
}

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path) : origin_(path.string()) {
  const RegularFile file(path);
  if (file.size() < kLengthBytes) {
    // An empty file cannot be mapped. This throws.
    parse_safetensors({}, file.size(), origin_);
  }
  if (file.size() > std::numeric_limits<size_t>::max())
    throw Error(WEIR_IO_ERROR, origin_ + " is too large to be mapped");
  const size_t size = file.size();
  void* memory = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.descriptor(), 0);
  if (memory == MAP_FAILED) throw file.failure("cannot be mapped");
  data_ = {static_cast<const std::byte*>(memory), Unmap{size}};
  // Weights are converted once, front to back, and not needed again. Only a hint: failure changes nothing.
  ::madvise(memory, size, MADV_SEQUENTIAL);
  tensors_ = parse_safetensors({reinterpret_cast<const char*>(data_.get()), size}, size, origin_, &others_);
}

TensorView SafetensorsFile::view(std::string_view name) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) throw invalid_argument(origin_ + " has no tensor " + in_quotes(name));
  const TensorEntry& entry = found->second;
  return {entry.type, entry.shape, data_.get() + entry.begin, static_cast<size_t>(entry.end - entry.begin)};
}

void convert_to_f32(const TensorView& tensor, float* out) {
  if (tensor.bytes == 0) return;
  switch (tensor.type) {
    case DataType::F32:
      std::memcpy(out, tensor.data, tensor.bytes);
      return;
    case DataType::F16:
      convert_all<half_to_float>(tensor.data, tensor.bytes / sizeof(uint16_t), out);
      return;
    case DataType::BF16:
      convert_all<bfloat_to_float>(tensor.data, tensor.bytes / sizeof(uint16_t), out);
      return;
  }
}

}  // namespace weir
