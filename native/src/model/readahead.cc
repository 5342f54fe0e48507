#include "model/readahead.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <system_error>

namespace weir {
namespace {

constexpr size_t kPiece = size_t{8} << 20;
// Bytes that are asked for at least before they are used.
constexpr int64_t kAhead = int64_t{512} << 20;
// A weight is reported as used when all of its tensors (three at most: query, key, value) are; until then the
// disk must have work.
constexpr int64_t kLargestTensors = 4;

// Advises on the pages that lie wholly (or also partly) in [data, data + bytes). Advice may be refused
// without harm.
void advise(const std::byte* data, size_t bytes, bool partly, int advice) {
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<uintptr_t>(data);
  const uintptr_t end = begin + bytes;
  const uintptr_t first = (partly ? begin : begin + page - 1) / page * page;
  const uintptr_t last = (partly ? end + page - 1 : end) / page * page;
  if (first < last) madvise(reinterpret_cast<void*>(first), last - first, advice);
}

}  // namespace

Readahead::Readahead(std::vector<TensorView> tensors) : tensors_(std::move(tensors)), ahead_(kAhead) {
  for (const TensorView& tensor : tensors_) {
    ahead_ = std::max(ahead_, kLargestTensors * static_cast<int64_t>(tensor.bytes));
  }
  try {
    thread_ = std::thread([this] { run(); });
  } catch (const std::system_error&) {
    // The load is only slower without it.
  }
}

Readahead::~Readahead() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Readahead::used(const TensorView& tensor) {
  advise(tensor.data, tensor.bytes, false, MADV_DONTNEED);
  const std::lock_guard lock(mutex_);
  used_ += static_cast<int64_t>(tensor.bytes);
  changed_.notify_all();
}

bool Readahead::wait_for_room() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return ending_ || asked_ - used_ < ahead_; });
  return !ending_;
}

void Readahead::run() {
  for (const TensorView& tensor : tensors_) {
    for (size_t offset = 0; offset < tensor.bytes; offset += kPiece) {
      if (!wait_for_room()) return;
      const size_t bytes = std::min(kPiece, tensor.bytes - offset);
      advise(tensor.data + offset, bytes, true, MADV_WILLNEED);
      const std::lock_guard lock(mutex_);
      asked_ += static_cast<int64_t>(bytes);
    }
  }
}

}  // namespace weir
