// The one exception type of the native layer. The ABI turns it into a status; nothing else catches it.
#pragma once

#include <cstdint>
#include <exception>
#include <string>
#include <utility>

#include "weir.h"

namespace weir {

class Error : public std::exception {
 public:
  Error(weir_status status, std::string message, int64_t needed = 0, int64_t available = 0)
      : status_(status), message_(std::move(message)), needed_(needed), available_(available) {}

  weir_status status() const noexcept { return status_; }
  int64_t needed() const noexcept { return needed_; }
  int64_t available() const noexcept { return available_; }
  const std::string& message() const noexcept { return message_; }
  const char* what() const noexcept override { return message_.c_str(); }

 private:
  weir_status status_;
  std::string message_;
  int64_t needed_;
  int64_t available_;
};

// Thrown for everything the caller did wrong.
inline Error invalid_argument(std::string message) { return {WEIR_INVALID_ARGUMENT, std::move(message)}; }

}  // namespace weir
