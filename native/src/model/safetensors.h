// Reading of safetensors files: https://github.com/huggingface/safetensors#format
//
// Everything the format demands is checked: the header's length, its grammar, each tensor's type, shape and
// offsets, and that the tensors fill the data without overlap, gap or rest. Tensors may begin at any byte,
// aligned or not.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace weir {

enum class DataType : uint8_t { F32, F16, BF16 };

size_t bytes_of(DataType type);

// Where one tensor lies in a file, checked: begin <= end <= file size, and the length is shape x type.
struct TensorEntry {
  DataType type;
  std::vector<int64_t> shape;
  uint64_t begin;  // bytes from the start of the file
  uint64_t end;
};

using TensorTable = std::map<std::string, TensorEntry, std::less<>>;

// The types, by their names in the format, of tensors that are not F32, F16 or BF16.
using OtherTensors = std::map<std::string, std::string, std::less<>>;

// Parses the header of a file whose first bytes are `head` (at least the whole header, at most the whole
// file) and whose size is `file_size`. Tensors of types other than F32, F16 and BF16 are checked and left out
// of the table, but named in `others` if that is not null. No number in the header makes anything large.
// Beyond what the format demands, a header may name at most 2^16 tensors of at most 64 dimensions and 2^16
// metadata, and no string in it may be longer than 1 MiB; with the format's own limit of 100 MB that bounds
// memory. Throws Error WEIR_INVALID_MODEL, or WEIR_UNSUPPORTED for a type that the format did not have when
// this was written.
TensorTable parse_safetensors(std::string_view head, uint64_t file_size, const std::string& origin,
                              OtherTensors* others = nullptr);

// A tensor in mapped memory.
struct TensorView {
  DataType type;
  std::vector<int64_t> shape;
  const std::byte* data;
  size_t bytes;
};

// A memory-mapped safetensors file. Views are valid as long as it lives. Reading is safe from any number of
// threads. The file must not be changed meanwhile: other programs that write into it change the tensors, and
// if it is made shorter, reading what is gone ends the process with SIGBUS. No check at opening can prevent
// that.
class SafetensorsFile {
 public:
  // Throws Error WEIR_IO_ERROR, and what parse_safetensors throws.
  explicit SafetensorsFile(const std::filesystem::path& path);

  const TensorTable& tensors() const { return tensors_; }
  const OtherTensors& others() const { return others_; }
  // The path, for messages.
  const std::string& origin() const { return origin_; }
  // Throws Error WEIR_INVALID_ARGUMENT if the table has no tensor of this name.
  TensorView view(std::string_view name) const;

 private:
  struct Unmap {
    size_t size;
    void operator()(const std::byte* data) const noexcept;
  };

  std::string origin_;
  std::unique_ptr<const std::byte, Unmap> data_;
  TensorTable tensors_;
  OtherTensors others_;
};

// Converts to 32-bit floats, exactly; a NaN stays a NaN. `out` has room for all elements.
void convert_to_f32(const TensorView& tensor, float* out);

}  // namespace weir
