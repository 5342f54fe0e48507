#include "abi/options.h"

#include <algorithm>
#include <string>

#include "abi/guard.h"

namespace weir::abi {
namespace {

constexpr int32_t kDefaultBlockSize = 16;
constexpr int32_t kDefaultSequences = 65536;
constexpr int32_t kMaxSequences = 1 << 20;

constexpr int32_t kDefaultEntries = 256;
constexpr int32_t kDefaultTokens = 2048;
constexpr int32_t kMaxEntries = 65536;
constexpr int32_t kMaxTokens = 1 << 20;

}  // namespace

weir_model_options checked_model_options(const weir_model_options* options) {
  const weir_model_options checked = optional(options, "options");
  check_range("weir_model_options.reserved", checked.reserved, 0, 0);
  if (checked.progress != nullptr) sized(checked.progress, "options->progress");
  return checked;
}

weir_cache_options checked_cache_options(const weir_cache_options* options) {
  weir_cache_options checked = optional(options, "options");
  if (checked.block_size == 0) checked.block_size = kDefaultBlockSize;
  if (checked.max_sequences == 0) checked.max_sequences = kDefaultSequences;
  check_range("weir_cache_options.block_size", checked.block_size, 1, WEIR_MAX_BLOCK_SIZE);
  check_range("weir_cache_options.blocks", checked.blocks, 0, kMaxBlocks);
  check_range("weir_cache_options.bytes", checked.bytes, 0, std::numeric_limits<int64_t>::max());
  check_range("weir_cache_options.swap_blocks", checked.swap_blocks, 0, kMaxBlocks);
  check_range("weir_cache_options.max_sequences", checked.max_sequences, 1, kMaxSequences);
  return checked;
}

weir_cache_options with_blocks(weir_cache_options options, const KvLayout& layout) {
  if (options.blocks == 0 && options.bytes != 0) {
    options.blocks = std::min(options.bytes / layout.block_bytes(), kMaxBlocks);
    if (options.blocks == 0) {
      throw invalid_argument("weir_cache_options.bytes is " + std::to_string(options.bytes) +
                             ", and one block of " + std::to_string(options.block_size) + " tokens takes " +
                             std::to_string(layout.block_bytes()));
    }
  }
  const int64_t most = std::numeric_limits<int64_t>::max() / layout.block_bytes();
  if (options.blocks > most || options.swap_blocks > most) {
    throw Error(WEIR_OUT_OF_MEMORY, "the KV pool or swap space would have more than 2^63 bytes");
  }
  return options;
}

weir_step_options checked_step_options(const weir_step_options* options) {
  weir_step_options checked = optional(options, "options");
  if (checked.max_entries == 0) checked.max_entries = kDefaultEntries;
  if (checked.max_tokens == 0) checked.max_tokens = kDefaultTokens;
  check_range("weir_step_options.max_entries", checked.max_entries, 1, kMaxEntries);
  check_range("weir_step_options.max_tokens", checked.max_tokens, 1, kMaxTokens);
  check_range("weir_step_options.max_top_logprobs", checked.max_top_logprobs, 0, WEIR_MAX_TOP_LOGPROBS);
  return checked;
}

}  // namespace weir::abi
