// Reading of safetensors files: https://github.com/huggingface/safetensors#format
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
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

// Parses the header of a file whose first bytes are `head` (at least the whole header, at most the whole file) and
// whose size is `file_size`. Tensors of types other than F32, F16 and BF16 are checked and left out of the table.
// Throws Error WEIR_INVALID_MODEL before it allocates anything that a hostile header could make large.
TensorTable parse_safetensors(std::string_view head, uint64_t file_size, const std::string& origin);

// A tensor in mapped memory.
struct TensorView {
  DataType type;
  std::vector<int64_t> shape;
  const std::byte* data;
  size_t bytes;
};

// A memory-mapped safetensors file. Views are valid as long as it lives.
class SafetensorsFile {
 public:
  explicit SafetensorsFile(const std::filesystem::path& path);
  ~SafetensorsFile();
  SafetensorsFile(SafetensorsFile&& other) noexcept;
  SafetensorsFile& operator=(SafetensorsFile&&) = delete;
  SafetensorsFile(const SafetensorsFile&) = delete;
  SafetensorsFile& operator=(const SafetensorsFile&) = delete;

  const TensorTable& tensors() const { return tensors_; }
  TensorView view(std::string_view name) const;

 private:
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
  TensorTable tensors_;
  std::string origin_;
};

// Converts to 32-bit floats. `out` has room for all elements.
void convert_to_f32(const TensorView& tensor, float* out);

}  // namespace weir
