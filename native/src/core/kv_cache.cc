#include "core/kv_cache.h"

#include <algorithm>
#include <string>

#include "core/error.h"

namespace weir {
namespace {

constexpr int kSlotBits = 24;

size_t slot_index(int64_t id) { return id & ((1 << kSlotBits) - 1); }

void add(std::atomic<int64_t>& counter, int64_t amount) {
  counter.store(counter.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
}

int32_t blocks_for(int64_t tokens, int32_t block_size) {
  return static_cast<int32_t>((tokens + block_size - 1) / block_size);
}

}  // namespace

KvCache::KvCache(Backend& backend, const KvLayout& layout, const KvCacheOptions& options)
    : pool_(backend.make_pool(layout, options.blocks, options.swap_blocks)),
      options_(options),
      blocks_(static_cast<int32_t>(options.blocks)),
      swap_(static_cast<int32_t>(options.swap_blocks)),
      pending_releases_(options.blocks, 0) {
  publish();
}

int64_t KvCache::create() {
  if (free_slots_.empty()) {
    if (static_cast<int64_t>(slots_.size()) >= options_.max_sequences) {
      throw Error(WEIR_OUT_OF_MEMORY,
                  "the cache holds " + std::to_string(slots_.size()) +
                      " sequences already, the most it may hold; raise weir_cache_options.max_sequences",
                  1, 0);
    }
    slots_.emplace_back();
    free_slots_.reserve(slots_.capacity());
    free_slots_.push_back(static_cast<int32_t>(slots_.size() - 1));
  }
  const int32_t slot = free_slots_.back();
  Sequence& sequence = slots_[slot];
  // Reserved once a slot, so that appending never allocates; untouched pages of a long reservation cost
  // nothing.
  sequence.tokens.reserve(options_.context_length);
  sequence.blocks.reserve(
      std::min<int64_t>(blocks_for(options_.context_length, layout().block_size), blocks_.capacity()));
  free_slots_.pop_back();
  sequence.id = next_generation_++ << kSlotBits | slot;
  add(counters_.sequences, 1);
  return sequence.id;
}

int64_t KvCache::fork(int64_t parent) {
  resident(parent, "fork");
  const int64_t id = create();
  const Sequence& source = slot_of(parent);
  Sequence& child = slot_of(id);
  child.tokens = source.tokens;
  child.blocks = source.blocks;
  for (const int32_t block : child.blocks) blocks_.share(block);
  add(counters_.resident_tokens, child.length());
  publish();
  return id;
}

void KvCache::truncate(int64_t id, int32_t length) {
  Sequence& sequence = resident(id, "truncate");
  if (length < 0 || length > sequence.length()) {
    throw invalid_argument("cannot truncate a sequence of " + std::to_string(sequence.length()) +
                           " tokens to " + std::to_string(length));
  }
  add(counters_.resident_tokens, length - sequence.length());
  sequence.tokens.resize(length);
  release_blocks(sequence, blocks_for(length, layout().block_size));
  publish();
}

void KvCache::free(int64_t id) {
  Sequence& sequence = slot_of(id);
  if (sequence.swapped) {
    for (const int32_t block : sequence.blocks) swap_.release(block);
    add(counters_.swapped_sequences, -1);
  } else {
    release_blocks(sequence, 0);
    add(counters_.resident_tokens, -sequence.length());
  }
  sequence.id = 0;
  sequence.swapped = false;
  sequence.tokens.clear();
  sequence.blocks.clear();
  free_slots_.push_back(static_cast<int32_t>(slot_index(id)));
  add(counters_.sequences, -1);
  publish();
}

void KvCache::swap_out(int64_t id) {
  Sequence& sequence = resident(id, "swap out");
  const int32_t needed = static_cast<int32_t>(sequence.blocks.size());
  if (needed > swap_.free()) {
    throw Error(WEIR_OUT_OF_SWAP,
                "swapping out " + std::to_string(needed) + " blocks, but the swap space has " +
                    std::to_string(swap_.free()) + " of " + std::to_string(swap_.capacity()) +
                    " free; raise weir_cache_options.swap_blocks",
                needed, swap_.free());
  }
  move_blocks(sequence, blocks_, swap_, [&](int32_t from, int32_t to) { pool_->swap_out(from, to); });
  sequence.swapped = true;
  add(counters_.swapped_sequences, 1);
  add(counters_.swapped_out, needed);
  add(counters_.resident_tokens, -sequence.length());
  publish();
}

void KvCache::swap_in(int64_t id) {
  Sequence& sequence = slot_of(id);
  if (!sequence.swapped) throw invalid_argument("cannot swap in a sequence that is not swapped out");
  const int32_t needed = static_cast<int32_t>(sequence.blocks.size());
  if (needed > blocks_.free()) {
    throw Error(WEIR_OUT_OF_BLOCKS,
                "swapping in " + std::to_string(needed) + " blocks, but the KV pool has " +
                    std::to_string(blocks_.free()) + " of " + std::to_string(blocks_.capacity()) + " free",
                needed, blocks_.free());
  }
  move_blocks(sequence, swap_, blocks_, [&](int32_t from, int32_t to) { pool_->swap_in(from, to); });
  sequence.swapped = false;
  add(counters_.swapped_sequences, -1);
  add(counters_.swapped_in, needed);
  add(counters_.resident_tokens, sequence.length());
  publish();
}

const Sequence& KvCache::find(int64_t id) const { return const_cast<KvCache*>(this)->slot_of(id); }

int32_t KvCache::shared_blocks(const Sequence& sequence) const {
  if (sequence.swapped) return 0;
  return static_cast<int32_t>(std::count_if(sequence.blocks.begin(), sequence.blocks.end(),
                                            [&](int32_t block) { return blocks_.references(block) > 1; }));
}

void KvCache::append(std::span<const Append> appends) {
  const int32_t block_size = layout().block_size;
  const auto entry = [&](const Append& append) {
    return "entry " + std::to_string(&append - appends.data());
  };
  // First count what is needed, so that nothing has to be taken back when it is not there.
  int64_t needed = 0;
  size_t checked = 0;
  const auto clear_marks = [&] {
    for (size_t i = 0; i < checked; i++) {
      Sequence& sequence = slot_of(appends[i].sequence);
      sequence.in_step = false;
      if (!sequence.blocks.empty()) pending_releases_[sequence.blocks.back()] = 0;
    }
  };
  try {
    for (const Append& append : appends) {
      if (!exists(append.sequence)) {
        throw Error(WEIR_CLOSED, entry(append) + ": sequence " + std::to_string(append.sequence) +
                                     " was freed, or is not of this cache");
      }
      Sequence& sequence = slot_of(append.sequence);
      if (sequence.swapped) throw invalid_argument(entry(append) + ": its sequence is swapped out");
      if (sequence.in_step) throw invalid_argument(entry(append) + ": its sequence is in this step already");
      const int64_t length = int64_t{sequence.length()} + static_cast<int64_t>(append.tokens.size());
      if (length > options_.context_length) {
        throw invalid_argument(entry(append) + ": the sequence would have " + std::to_string(length) +
                               " tokens; the model's context length is " +
                               std::to_string(options_.context_length));
      }
      sequence.in_step = true;
      checked++;
      needed += blocks_for(length, block_size) - static_cast<int64_t>(sequence.blocks.size());
      if (sequence.length() % block_size != 0) {
        const int32_t last = sequence.blocks.back();
        if (blocks_.references(last) - pending_releases_[last] > 1) {
          pending_releases_[last]++;
          needed++;
        }
      }
    }
    if (needed > blocks_.free()) {
      throw Error(WEIR_OUT_OF_BLOCKS,
                  "the step needs " + std::to_string(needed) + " more KV blocks, but the pool has " +
                      std::to_string(blocks_.free()) + " of " + std::to_string(blocks_.capacity()) +
                      " free; evict a sequence, or raise weir_cache_options.blocks or .bytes",
                  needed, blocks_.free());
    }
  } catch (...) {
    clear_marks();
    throw;
  }
  clear_marks();

  // The copies first: they fail with the device, and nothing after them can.
  copied_.clear();
  copied_.reserve(appends.size());
  for (const Append& append : appends) {
    Sequence& sequence = slot_of(append.sequence);
    if (sequence.length() % block_size == 0) continue;
    int32_t& last = sequence.blocks.back();
    if (blocks_.references(last) == 1) continue;
    const int32_t own = blocks_.take();
    try {
      pool_->copy_block(last, own);
    } catch (...) {
      blocks_.release(own);
      share_copied_again(appends);
      throw;
    }
    blocks_.release(last);
    copied_.push_back({static_cast<size_t>(&append - appends.data()), last});
    last = own;
  }
  for (const Append& append : appends) {
    Sequence& sequence = slot_of(append.sequence);
    sequence.tokens.insert(sequence.tokens.end(), append.tokens.begin(), append.tokens.end());
    const int32_t count = blocks_for(sequence.length(), block_size);
    while (static_cast<int32_t>(sequence.blocks.size()) < count) sequence.blocks.push_back(blocks_.take());
    add(counters_.resident_tokens, static_cast<int64_t>(append.tokens.size()));
  }
  publish();
}

int64_t KvCache::commit_append(std::span<const Append> appends) {
  const int64_t copied = static_cast<int64_t>(copied_.size());
  add(counters_.steps, 1);
  for (const Append& append : appends) {
    add(counters_.tokens_computed, static_cast<int64_t>(append.tokens.size()));
  }
  add(counters_.copied_on_write, copied);
  return copied;
}

void KvCache::undo_append(std::span<const Append> appends) {
  for (const Append& append : appends) {
    truncate(append.sequence, slot_of(append.sequence).length() - static_cast<int32_t>(append.tokens.size()));
  }
  share_copied_again(appends);
  publish();
}

// Whoever shared a copied block has been locked out since, so the block still has a user.
void KvCache::share_copied_again(std::span<const Append> appends) {
  for (const Copied& copied : copied_) {
    int32_t& last = slot_of(appends[copied.entry].sequence).blocks.back();
    blocks_.release(last);
    blocks_.share(copied.shared);
    last = copied.shared;
  }
  copied_.clear();
}

// Moves all blocks of a sequence, or none if `copy` throws.
template <typename Copy>
void KvCache::move_blocks(Sequence& sequence, BlockPool& from, BlockPool& to, const Copy& copy) {
  targets_.clear();
  try {
    for (const int32_t block : sequence.blocks) {
      targets_.push_back(to.take());
      copy(block, targets_.back());
    }
  } catch (...) {
    for (const int32_t target : targets_) to.release(target);
    throw;
  }
  for (const int32_t block : sequence.blocks) from.release(block);
  std::copy(targets_.begin(), targets_.end(), sequence.blocks.begin());
}

void KvCache::statistics(weir_cache_statistics& out) const {
  const auto read = [](const std::atomic<int64_t>& counter) {
    return counter.load(std::memory_order_relaxed);
  };
  out.block_size = layout().block_size;
  out.block_bytes = layout().block_bytes();
  out.capacity = options_.blocks;
  out.free = read(counters_.free);
  out.used = out.capacity - out.free;
  out.shared = read(counters_.shared);
  out.peak_used = read(counters_.peak_used);
  out.swap_capacity = options_.swap_blocks;
  out.swap_used = read(counters_.swap_used);
  out.sequences = read(counters_.sequences);
  out.swapped_sequences = read(counters_.swapped_sequences);
  out.resident_tokens = read(counters_.resident_tokens);
  out.steps = read(counters_.steps);
  out.tokens_computed = read(counters_.tokens_computed);
  out.copied_on_write = read(counters_.copied_on_write);
  out.swapped_out = read(counters_.swapped_out);
  out.swapped_in = read(counters_.swapped_in);
}

bool KvCache::exists(int64_t id) const {
  const size_t slot = slot_index(id);
  return id > 0 && slot < slots_.size() && slots_[slot].id == id;
}

Sequence& KvCache::slot_of(int64_t id) {
  if (!exists(id)) {
    throw Error(WEIR_CLOSED, "sequence " + std::to_string(id) + " was freed, or is not of this cache");
  }
  return slots_[slot_index(id)];
}

Sequence& KvCache::resident(int64_t id, const char* operation) {
  Sequence& sequence = slot_of(id);
  if (sequence.swapped) {
    throw invalid_argument(std::string(operation) + ": sequence " + std::to_string(id) +
                           " is swapped out; swap it in first");
  }
  return sequence;
}

void KvCache::release_blocks(Sequence& sequence, int32_t keep) {
  while (static_cast<int32_t>(sequence.blocks.size()) > keep) {
    blocks_.release(sequence.blocks.back());
    sequence.blocks.pop_back();
  }
}

void KvCache::publish() {
  const int64_t used = blocks_.used();
  counters_.free.store(blocks_.free(), std::memory_order_relaxed);
  counters_.shared.store(blocks_.shared(), std::memory_order_relaxed);
  counters_.swap_used.store(swap_.used(), std::memory_order_relaxed);
  if (used > counters_.peak_used.load(std::memory_order_relaxed)) {
    counters_.peak_used.store(used, std::memory_order_relaxed);
  }
}

}  // namespace weir
