// Which blocks are free, and how many sequences use each of the others.
#pragma once

#include <cassert>
#include <cstdint>
#include <numeric>
#include <vector>

namespace weir {

// Bookkeeping only: the memory of the blocks belongs to the backend's KvPool. All operations are O(1). Not
// thread-safe.
class BlockPool {
 public:
  explicit BlockPool(int32_t blocks) : references_(blocks, 0), free_(blocks) {
    // Handed out from the back, so that the first allocations get the low ids.
    std::iota(free_.rbegin(), free_.rend(), 0);
  }

  int32_t capacity() const { return static_cast<int32_t>(references_.size()); }
  int32_t free() const { return static_cast<int32_t>(free_.size()); }
  int32_t used() const { return capacity() - free(); }
  // Blocks with more than one user.
  int32_t shared() const { return shared_; }
  int32_t references(int32_t block) const { return references_[block]; }

  // A block with one user. The caller has checked that there is one.
  int32_t take() {
    assert(!free_.empty());
    const int32_t block = free_.back();
    free_.pop_back();
    references_[block] = 1;
    return block;
  }

  void share(int32_t block) {
    assert(references_[block] > 0);
    shared_ += references_[block]++ == 1;
  }

  // One user less; a block without users is free.
  void release(int32_t block) {
    assert(references_[block] > 0);
    const int32_t left = --references_[block];
    shared_ -= left == 1;
    if (left == 0) free_.push_back(block);
  }

 private:
  std::vector<int32_t> references_;
  std::vector<int32_t> free_;
  int32_t shared_ = 0;
};

}  // namespace weir
