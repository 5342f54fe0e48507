// One batched iteration: checks the entries, makes room for their tokens, runs the model, samples.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "backend/backend.h"
#include "core/kv_cache.h"
#include "model/llama.h"
#include "weir.h"

namespace weir {

// What a context must have room for to run such steps.
ContextLimits step_limits(const ModelConfig& config, const weir_step_options& options, int32_t block_size);

class Step {
 public:
  Step(Backend& backend, const LlamaModel& model, KvCache& cache, const weir_step_options& options);

  void buffers(weir_step_buffers& buffers);
  void run(int32_t entries, weir_step_report* report);
  void logits(int32_t entry, float* out, int64_t capacity);

 private:
  // The arrays of weir_step_buffers.
  struct Arrays {
    std::vector<weir_sequence> sequences;
    std::vector<int32_t> token_counts, tokens;
    std::vector<uint32_t> flags;
    std::vector<float> temperatures;
    std::vector<int32_t> top_k;
    std::vector<float> top_p, repetition_penalties;
    std::vector<uint64_t> seeds;
    std::vector<int32_t> top_logprobs;
    std::vector<int32_t> sampled_tokens;
    std::vector<float> sampled_logprobs;
    std::vector<int32_t> top_tokens;
    std::vector<float> top_token_logprobs;
  };

  struct Input {
    weir_sequence sequence;
    int32_t count;
    bool sampled;
    SampleRequest request;
  };

  void read_inputs(int32_t entries);
  SampleRequest read_sampling(int32_t entry) const;
  void plan();
  void publish_outputs();

  const LlamaModel& model_;
  KvCache& cache_;
  weir_step_options options_;
  Arrays arrays_;
  std::unique_ptr<Context> context_;
  Workspace workspace_;
  std::function<void(const StepBatch&)> forward_;

  // The batch of the run under way; the vectors keep their memory from run to run.
  std::vector<Input> inputs_;
  std::vector<int32_t> token_ids_;
  StepBatch batch_;
  std::vector<Append> appends_;
  std::vector<int32_t> positions_, entry_of_token_, query_starts_, context_lengths_, block_tables_,
      sample_rows_;
  std::vector<int64_t> table_starts_;
  std::vector<SampleRequest> requests_;
  std::vector<SampleResult> results_;
  // What was sampled, until the whole step has succeeded. Laid out as the arrays.
  std::vector<int32_t> sampled_tokens_, top_tokens_;
  std::vector<float> sampled_logprobs_, top_token_logprobs_;
  // Row of workspace_.logits() for each entry of the last run, -1 if it did not sample; empty if the run
  // failed.
  std::vector<int32_t> logits_row_;
};

}  // namespace weir
