#include <cstddef>
#include <iterator>
#include <string>

#include "abi/guard.h"
#include "weir.h"

using namespace weir;
using namespace weir::abi;

namespace {

#define WEIR_FIELD(owner, field) \
  { sizeof(weir_field_layout), sizeof(owner::field), offsetof(owner, field), sizeof(owner), #owner, #field }

const weir_field_layout kFields[] = {
    WEIR_FIELD(weir_error, struct_size),
    WEIR_FIELD(weir_error, status),
    WEIR_FIELD(weir_error, needed),
    WEIR_FIELD(weir_error, available),
    WEIR_FIELD(weir_error, message),
    WEIR_FIELD(weir_field_layout, struct_size),
    WEIR_FIELD(weir_field_layout, field_size),
    WEIR_FIELD(weir_field_layout, field_offset),
    WEIR_FIELD(weir_field_layout, owner_size),
    WEIR_FIELD(weir_field_layout, owner),
    WEIR_FIELD(weir_field_layout, field),
    WEIR_FIELD(weir_device_options, struct_size),
    WEIR_FIELD(weir_device_options, kind),
    WEIR_FIELD(weir_device_options, ordinal),
    WEIR_FIELD(weir_device_options, threads),
    WEIR_FIELD(weir_device_options, precision),
    WEIR_FIELD(weir_device_options, flags),
    WEIR_FIELD(weir_device_info, struct_size),
    WEIR_FIELD(weir_device_info, kind),
    WEIR_FIELD(weir_device_info, ordinal),
    WEIR_FIELD(weir_device_info, threads),
    WEIR_FIELD(weir_device_info, memory_total),
    WEIR_FIELD(weir_device_info, memory_available),
    WEIR_FIELD(weir_device_info, name),
    WEIR_FIELD(weir_device_info, matmul),
    WEIR_FIELD(weir_device_info, precision),
    WEIR_FIELD(weir_device_info, compute_capability),
    WEIR_FIELD(weir_device_info, multiprocessors),
    WEIR_FIELD(weir_device_info, reserved),
    WEIR_FIELD(weir_device_info, pci_bus_id),
    WEIR_FIELD(weir_progress, struct_size),
    WEIR_FIELD(weir_progress, reserved),
    WEIR_FIELD(weir_progress, done),
    WEIR_FIELD(weir_progress, total),
    WEIR_FIELD(weir_model_options, struct_size),
    WEIR_FIELD(weir_model_options, weights),
    WEIR_FIELD(weir_model_options, seed),
    WEIR_FIELD(weir_model_options, layer_limit),
    WEIR_FIELD(weir_model_options, reserved),
    WEIR_FIELD(weir_model_options, progress),
    WEIR_FIELD(weir_model_info, struct_size),
    WEIR_FIELD(weir_model_info, vocabulary_size),
    WEIR_FIELD(weir_model_info, hidden_size),
    WEIR_FIELD(weir_model_info, intermediate_size),
    WEIR_FIELD(weir_model_info, layers),
    WEIR_FIELD(weir_model_info, heads),
    WEIR_FIELD(weir_model_info, kv_heads),
    WEIR_FIELD(weir_model_info, head_size),
    WEIR_FIELD(weir_model_info, context_length),
    WEIR_FIELD(weir_model_info, tied_embeddings),
    WEIR_FIELD(weir_model_info, rope_theta),
    WEIR_FIELD(weir_model_info, norm_epsilon),
    WEIR_FIELD(weir_model_info, bos_token),
    WEIR_FIELD(weir_model_info, eos_token_count),
    WEIR_FIELD(weir_model_info, eos_tokens),
    WEIR_FIELD(weir_model_info, reserved),
    WEIR_FIELD(weir_model_info, parameters),
    WEIR_FIELD(weir_model_info, weight_bytes),
    WEIR_FIELD(weir_model_info, kv_bytes_per_token),
    WEIR_FIELD(weir_cache_options, struct_size),
    WEIR_FIELD(weir_cache_options, block_size),
    WEIR_FIELD(weir_cache_options, blocks),
    WEIR_FIELD(weir_cache_options, bytes),
    WEIR_FIELD(weir_cache_options, swap_blocks),
    WEIR_FIELD(weir_cache_options, max_sequences),
    WEIR_FIELD(weir_cache_options, kv_precision),
    WEIR_FIELD(weir_cache_statistics, struct_size),
    WEIR_FIELD(weir_cache_statistics, block_size),
    WEIR_FIELD(weir_cache_statistics, block_bytes),
    WEIR_FIELD(weir_cache_statistics, capacity),
    WEIR_FIELD(weir_cache_statistics, free),
    WEIR_FIELD(weir_cache_statistics, used),
    WEIR_FIELD(weir_cache_statistics, shared),
    WEIR_FIELD(weir_cache_statistics, peak_used),
    WEIR_FIELD(weir_cache_statistics, swap_capacity),
    WEIR_FIELD(weir_cache_statistics, swap_used),
    WEIR_FIELD(weir_cache_statistics, sequences),
    WEIR_FIELD(weir_cache_statistics, swapped_sequences),
    WEIR_FIELD(weir_cache_statistics, resident_tokens),
    WEIR_FIELD(weir_cache_statistics, steps),
    WEIR_FIELD(weir_cache_statistics, tokens_computed),
    WEIR_FIELD(weir_cache_statistics, copied_on_write),
    WEIR_FIELD(weir_cache_statistics, swapped_out),
    WEIR_FIELD(weir_cache_statistics, swapped_in),
    WEIR_FIELD(weir_sequence_info, struct_size),
    WEIR_FIELD(weir_sequence_info, length),
    WEIR_FIELD(weir_sequence_info, blocks),
    WEIR_FIELD(weir_sequence_info, shared_blocks),
    WEIR_FIELD(weir_sequence_info, swapped),
    WEIR_FIELD(weir_sequence_info, reserved),
    WEIR_FIELD(weir_step_options, struct_size),
    WEIR_FIELD(weir_step_options, max_entries),
    WEIR_FIELD(weir_step_options, max_tokens),
    WEIR_FIELD(weir_step_options, max_top_logprobs),
    WEIR_FIELD(weir_step_buffers, struct_size),
    WEIR_FIELD(weir_step_buffers, max_entries),
    WEIR_FIELD(weir_step_buffers, max_tokens),
    WEIR_FIELD(weir_step_buffers, max_top_logprobs),
    WEIR_FIELD(weir_step_buffers, sequences),
    WEIR_FIELD(weir_step_buffers, token_counts),
    WEIR_FIELD(weir_step_buffers, tokens),
    WEIR_FIELD(weir_step_buffers, flags),
    WEIR_FIELD(weir_step_buffers, temperatures),
    WEIR_FIELD(weir_step_buffers, top_k),
    WEIR_FIELD(weir_step_buffers, top_p),
    WEIR_FIELD(weir_step_buffers, repetition_penalties),
    WEIR_FIELD(weir_step_buffers, seeds),
    WEIR_FIELD(weir_step_buffers, top_logprobs),
    WEIR_FIELD(weir_step_buffers, sampled_tokens),
    WEIR_FIELD(weir_step_buffers, sampled_logprobs),
    WEIR_FIELD(weir_step_buffers, top_tokens),
    WEIR_FIELD(weir_step_buffers, top_token_logprobs),
    WEIR_FIELD(weir_step_report, struct_size),
    WEIR_FIELD(weir_step_report, entries),
    WEIR_FIELD(weir_step_report, tokens),
    WEIR_FIELD(weir_step_report, sampled),
    WEIR_FIELD(weir_step_report, blocks_taken),
    WEIR_FIELD(weir_step_report, copied_on_write),
    WEIR_FIELD(weir_step_report, nanoseconds),
    WEIR_FIELD(weir_memory_plan, struct_size),
    WEIR_FIELD(weir_memory_plan, block_size),
    WEIR_FIELD(weir_memory_plan, device_total),
    WEIR_FIELD(weir_memory_plan, device_available),
    WEIR_FIELD(weir_memory_plan, weights),
    WEIR_FIELD(weir_memory_plan, workspace),
    WEIR_FIELD(weir_memory_plan, graphs),
    WEIR_FIELD(weir_memory_plan, kv_available),
    WEIR_FIELD(weir_memory_plan, kv_block_bytes),
    WEIR_FIELD(weir_memory_plan, kv_blocks),
    WEIR_FIELD(weir_memory_plan, kv_bytes),
    WEIR_FIELD(weir_memory_plan, swap_bytes),
};

#undef WEIR_FIELD

}  // namespace

int32_t weir_abi_version(void) { return WEIR_ABI_VERSION; }

const char* weir_version(void) { return WEIR_VERSION; }

const char* weir_status_name(weir_status status) {
  switch (status) {
    case WEIR_OK:
      return "WEIR_OK";
    case WEIR_INVALID_ARGUMENT:
      return "WEIR_INVALID_ARGUMENT";
    case WEIR_CLOSED:
      return "WEIR_CLOSED";
    case WEIR_OUT_OF_BLOCKS:
      return "WEIR_OUT_OF_BLOCKS";
    case WEIR_OUT_OF_SWAP:
      return "WEIR_OUT_OF_SWAP";
    case WEIR_OUT_OF_MEMORY:
      return "WEIR_OUT_OF_MEMORY";
    case WEIR_INVALID_MODEL:
      return "WEIR_INVALID_MODEL";
    case WEIR_UNSUPPORTED:
      return "WEIR_UNSUPPORTED";
    case WEIR_IO_ERROR:
      return "WEIR_IO_ERROR";
    case WEIR_DEVICE_UNAVAILABLE:
      return "WEIR_DEVICE_UNAVAILABLE";
    case WEIR_DEVICE_FAILED:
      return "WEIR_DEVICE_FAILED";
    case WEIR_INTERNAL:
      return "WEIR_INTERNAL";
    default:
      return "WEIR_UNKNOWN_STATUS";
  }
}

int32_t weir_layout_count(void) { return static_cast<int32_t>(std::size(kFields)); }

weir_status weir_layout_field(int32_t index, weir_field_layout* layout, weir_error* error) {
  return guard(error, [&] {
    weir_field_layout& out = sized(layout, "layout");
    if (index < 0 || index >= weir_layout_count()) {
      throw invalid_argument("index is " + std::to_string(index) + ", must be in 0.." +
                             std::to_string(weir_layout_count() - 1));
    }
    out = kFields[index];
  });
}
