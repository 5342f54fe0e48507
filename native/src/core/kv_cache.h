// Sequences and their block tables over a paged pool.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "backend/backend.h"
#include "core/block_pool.h"
#include "weir.h"

namespace weir {

struct KvCacheOptions {
  int64_t blocks = 0;
  int64_t swap_blocks = 0;
  int32_t max_sequences = 65536;
  int32_t context_length = 0;
};

struct Sequence {
  int64_t id = 0;  // 0: the slot is free
  bool swapped = false;
  // In the step that is being run, so a second entry of the same step is refused.
  bool in_step = false;
  std::vector<int32_t> tokens;
  // Ids of pool blocks, or of swap blocks if swapped.
  std::vector<int32_t> blocks;

  int32_t length() const { return static_cast<int32_t>(tokens.size()); }
};

// One chunk of tokens to append to one sequence.
struct Append {
  int64_t sequence;
  std::span<const int32_t> tokens;
};

// All changing operations hold `mutex()`; statistics() does not need it. Every operation that throws has
// changed nothing.
class KvCache {
 public:
  KvCache(Backend& backend, const KvLayout& layout, const KvCacheOptions& options);

  std::mutex& mutex() { return mutex_; }
  KvPool& pool() { return *pool_; }
  const KvLayout& layout() const { return pool_->layout(); }
  int32_t capacity() const { return blocks_.capacity(); }

  int64_t create();
  int64_t fork(int64_t parent);
  void truncate(int64_t sequence, int32_t length);
  void free(int64_t sequence);
  void swap_out(int64_t sequence);
  void swap_in(int64_t sequence);
  // Throws WEIR_CLOSED if there is no such sequence.
  const Sequence& find(int64_t sequence) const;
  int32_t shared_blocks(const Sequence& sequence) const;

  // Makes room for all `appends` and records their tokens; blocks that others share are copied first. All or
  // nothing: throws WEIR_OUT_OF_BLOCKS, WEIR_CLOSED or WEIR_INVALID_ARGUMENT (naming the entry) before it
  // changes anything. Followed by commit_append() or undo_append(), under the same lock.
  void append(std::span<const Append> appends);
  // The step has run. Returns the number of blocks that append() copied on write.
  int64_t commit_append(std::span<const Append> appends);
  // The step has failed: the tokens are taken back, and copied blocks are shared again.
  void undo_append(std::span<const Append> appends);

  void statistics(weir_cache_statistics& statistics) const;

 private:
  bool exists(int64_t sequence) const;
  Sequence& slot_of(int64_t sequence);
  Sequence& resident(int64_t sequence, const char* operation);
  void release_blocks(Sequence& sequence, int32_t keep);
  void share_copied_again(std::span<const Append> appends);
  template <typename Copy>
  void move_blocks(Sequence& sequence, BlockPool& from, BlockPool& to, const Copy& copy);
  void publish();

  std::mutex mutex_;
  std::unique_ptr<KvPool> pool_;
  KvCacheOptions options_;
  BlockPool blocks_;
  BlockPool swap_;
  std::vector<Sequence> slots_;
  std::vector<int32_t> free_slots_;
  int64_t next_generation_ = 1;
  // Users that entries earlier in the batch take away from a shared block; all zero between calls.
  std::vector<int32_t> pending_releases_;
  // What append() copied: the entry, and the block it shared before.
  struct Copied {
    size_t entry;
    int32_t shared;
  };
  std::vector<Copied> copied_;
  // Of the sequence that is being swapped.
  std::vector<int32_t> targets_;

  // Written under the mutex, read by anyone.
  struct Counters {
    std::atomic<int64_t> free{0}, shared{0}, peak_used{0}, swap_used{0}, sequences{0}, swapped_sequences{0},
        resident_tokens{0}, steps{0}, tokens_computed{0}, copied_on_write{0}, swapped_out{0}, swapped_in{0};
  };
  Counters counters_;
};

}  // namespace weir
