#include <algorithm>
#include <string>

#include "abi/guard.h"
#include "abi/objects.h"
#include "abi/options.h"

using namespace weir;
using namespace weir::abi;

namespace {

// Runs `work` on the cache with its lock held.
template <typename Work>
void with_cache(weir_cache* handle, Work&& work) {
  const std::shared_ptr<CacheObject> object = caches().find(handle);
  const std::lock_guard lock(object->cache.mutex());
  work(object->cache);
}

}  // namespace

weir_status weir_cache_create(weir_model* model, const weir_cache_options* options, weir_cache** cache,
                              weir_error* error) {
  return guard(error, [&] {
    weir_cache*& out = required(cache, "cache");
    const weir_cache_options given = checked_cache_options(options);
    if ((given.blocks == 0) == (given.bytes == 0)) {
      throw invalid_argument("weir_cache_options.blocks is " + std::to_string(given.blocks) +
                             " and .bytes is " + std::to_string(given.bytes) +
                             "; exactly one of them must be given");
    }
    const std::shared_ptr<ModelObject> owner = models().find(model);
    const ModelConfig& config = owner->model.config();
    const KvLayout layout =
        layout_of(config, given.block_size, owner->device->backend->kv_element(given.kv_precision));
    const weir_cache_options checked = with_blocks(given, layout);
    const KvCacheOptions core{checked.blocks, checked.swap_blocks, checked.max_sequences,
                              config.context_length};
    out = caches().insert(std::make_shared<CacheObject>(owner, layout, core));
  });
}

weir_status weir_cache_statistics_read(weir_cache* cache, weir_cache_statistics* statistics,
                                       weir_error* error) {
  return guard(error, [&] {
    weir_cache_statistics& out = sized(statistics, "statistics");
    caches().find(cache)->cache.statistics(out);
  });
}

weir_status weir_cache_close(weir_cache* cache, weir_error* error) {
  return guard(error, [&] { caches().remove(cache); });
}

weir_status weir_sequence_create(weir_cache* cache, weir_sequence* sequence, weir_error* error) {
  return guard(error, [&] {
    weir_sequence& out = required(sequence, "sequence");
    with_cache(cache, [&](KvCache& c) { out = c.create(); });
  });
}

weir_status weir_sequence_fork(weir_cache* cache, weir_sequence parent, weir_sequence* child,
                               weir_error* error) {
  return guard(error, [&] {
    weir_sequence& out = required(child, "child");
    with_cache(cache, [&](KvCache& c) { out = c.fork(parent); });
  });
}

weir_status weir_sequence_truncate(weir_cache* cache, weir_sequence sequence, int32_t length,
                                   weir_error* error) {
  return guard(error, [&] { with_cache(cache, [&](KvCache& c) { c.truncate(sequence, length); }); });
}

weir_status weir_sequence_free(weir_cache* cache, weir_sequence sequence, weir_error* error) {
  return guard(error, [&] { with_cache(cache, [&](KvCache& c) { c.free(sequence); }); });
}

weir_status weir_sequence_swap_out(weir_cache* cache, weir_sequence sequence, weir_error* error) {
  return guard(error, [&] { with_cache(cache, [&](KvCache& c) { c.swap_out(sequence); }); });
}

weir_status weir_sequence_swap_in(weir_cache* cache, weir_sequence sequence, weir_error* error) {
  return guard(error, [&] { with_cache(cache, [&](KvCache& c) { c.swap_in(sequence); }); });
}

weir_status weir_sequence_describe(weir_cache* cache, weir_sequence sequence, weir_sequence_info* info,
                                   weir_error* error) {
  return guard(error, [&] {
    weir_sequence_info& out = sized(info, "info");
    with_cache(cache, [&](KvCache& c) {
      const Sequence& found = c.find(sequence);
      out.length = found.length();
      out.blocks = static_cast<int32_t>(found.blocks.size());
      out.shared_blocks = c.shared_blocks(found);
      out.swapped = found.swapped;
      out.reserved = 0;
    });
  });
}

weir_status weir_sequence_blocks(weir_cache* cache, weir_sequence sequence, int32_t* block_ids,
                                 int32_t capacity, int32_t* count, weir_error* error) {
  return guard(error, [&] {
    int32_t& out = required(count, "count");
    if (capacity < 0)
      throw invalid_argument("capacity is " + std::to_string(capacity) + ", must not be negative");
    if (capacity > 0) required(block_ids, "block_ids");
    with_cache(cache, [&](KvCache& c) {
      const Sequence& found = c.find(sequence);
      out = found.swapped ? 0 : static_cast<int32_t>(found.blocks.size());
      std::copy_n(found.blocks.begin(), std::min(capacity, out), block_ids);
    });
  });
}
