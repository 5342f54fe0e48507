// Opening of files that come with a model, which may be anything at all.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <string>

#include "core/error.h"

namespace weir {

// A regular file that is open for reading.
class RegularFile {
 public:
  // Throws Error WEIR_IO_ERROR if `path` cannot be opened or is a folder, a pipe or a device.
  explicit RegularFile(const std::filesystem::path& path) : origin_(path.string()) {
    // Without O_NONBLOCK a named pipe would block here until somebody writes to it.
    do {
      descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    } while (descriptor_ < 0 && errno == EINTR);
    if (descriptor_ < 0) throw failure("cannot be opened");
    struct stat status {};
    const bool known = ::fstat(descriptor_, &status) == 0;
    if (known && S_ISREG(status.st_mode)) {
      size_ = static_cast<uint64_t>(status.st_size);
      return;
    }
    const Error error =
        known ? Error(WEIR_IO_ERROR, origin_ + " is not a regular file") : failure("cannot be read");
    ::close(descriptor_);
    throw error;
  }
  ~RegularFile() { ::close(descriptor_); }
  RegularFile(const RegularFile&) = delete;
  RegularFile& operator=(const RegularFile&) = delete;

  int descriptor() const { return descriptor_; }
  uint64_t size() const { return size_; }
  const std::string& origin() const { return origin_; }

  // The whole content. Throws Error WEIR_INVALID_MODEL if it has more than `limit` bytes, WEIR_IO_ERROR.
  std::string read(uint64_t limit) const {
    if (size_ > limit) {
      throw Error(WEIR_INVALID_MODEL, origin_ + " has " + std::to_string(size_) + " bytes; at most " +
                                          std::to_string(limit) + " are read");
    }
    std::string content(size_, '\0');
    size_t filled = 0;
    while (filled < content.size()) {
      const ssize_t got = ::read(descriptor_, content.data() + filled, content.size() - filled);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) throw failure("cannot be read");
      if (got == 0) throw Error(WEIR_IO_ERROR, origin_ + " became shorter while it was read");
      filled += static_cast<size_t>(got);
    }
    return content;
  }

  // An Error WEIR_IO_ERROR with the reason in errno.
  Error failure(const std::string& what) const {
    return {WEIR_IO_ERROR, origin_ + " " + what + ": " + std::generic_category().message(errno)};
  }

 private:
  std::string origin_;
  int descriptor_ = -1;
  uint64_t size_ = 0;
};

}  // namespace weir
