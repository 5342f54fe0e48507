#include <algorithm>

#include "abi/guard.h"
#include "abi/objects.h"
#include "abi/options.h"

using namespace weir;
using namespace weir::abi;

weir_status weir_plan_memory(weir_device* device, const char* directory, const weir_model_options* model,
                             const weir_cache_options* cache, const weir_step_options* step,
                             weir_memory_plan* plan, weir_error* error) {
  return guard(error, [&] {
    required(directory, "directory");
    weir_memory_plan& out = sized(plan, "plan");
    const weir_model_options model_options = checked_model_options(model);
    const weir_cache_options given = checked_cache_options(cache);
    const weir_step_options step_options = checked_step_options(step);
    if (given.blocks != 0 && given.bytes != 0) {
      throw invalid_argument("weir_cache_options.blocks is " + std::to_string(given.blocks) +
                             " and .bytes is " + std::to_string(given.bytes) +
                             "; at most one of them can be given");
    }
    const std::shared_ptr<DeviceObject> owner = devices().find(device);
    const Backend& backend = *owner->backend;
    const ModelConfig config = read_limited_config(directory, model_options);
    if (model_options.weights == WEIR_WEIGHTS_FILES) Checkpoint(directory, config);
    const KvLayout layout = layout_of(config, given.block_size, backend.kv_element(given.kv_precision));
    const weir_cache_options cache_options = with_blocks(given, layout);
    const ContextLimits limits = step_limits(config, step_options, given.block_size);
    weir_device_info info{};
    backend.describe(info);

    out.block_size = given.block_size;
    out.device_total = info.memory_total;
    out.device_available = backend.available_memory();
    out.weights = device_weight_bytes(backend, config);
    out.workspace = Workspace::bytes(backend, config, limits.max_tokens, limits.max_samples) +
                    backend.context_bytes(limits);
    out.graphs = backend.graph_bytes(limits, config.layers);
    out.kv_available = std::max<int64_t>(0, out.device_available - out.weights - out.workspace - out.graphs);
    out.kv_block_bytes = layout.block_bytes();
    out.kv_blocks = cache_options.blocks != 0
                        ? cache_options.blocks
                        : std::min<int64_t>(out.kv_available / layout.block_bytes(), kMaxBlocks);
    out.kv_bytes = out.kv_blocks * layout.block_bytes();
    out.swap_bytes = cache_options.swap_blocks * layout.block_bytes();
  });
}
