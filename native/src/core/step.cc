#include "core/step.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <string>

#include "core/error.h"

namespace weir {
namespace {

constexpr float kNotSampled = std::numeric_limits<float>::quiet_NaN();

[[noreturn]] void refuse(int32_t entry, const std::string& what) {
  throw invalid_argument("entry " + std::to_string(entry) + ": " + what);
}

}  // namespace

ContextLimits step_limits(const ModelConfig& config, const weir_step_options& options, int32_t block_size) {
  ContextLimits limits;
  limits.max_entries = options.max_entries;
  limits.max_tokens = options.max_tokens;
  limits.max_samples = std::min(options.max_entries, options.max_tokens);
  limits.max_top_logprobs = options.max_top_logprobs;
  limits.vocabulary_size = config.vocabulary_size;
  limits.context_length = config.context_length;
  limits.heads = config.heads;
  limits.kv_heads = config.kv_heads;
  limits.head_size = config.head_size;
  limits.block_size = block_size;
  return limits;
}

Step::Step(Backend& backend, const LlamaModel& model, KvCache& cache, const weir_step_options& options)
    : model_(model),
      cache_(cache),
      options_(options),
      context_(backend.make_context(step_limits(model.config(), options, cache.layout().block_size))),
      workspace_(backend, model.config(), options.max_tokens,
                 std::min(options.max_entries, options.max_tokens)) {
  forward_ = [this](const StepBatch& batch) { model_.forward(*context_, batch, cache_.pool(), workspace_); };
  context_->prepare(forward_);
  const size_t entries = options.max_entries;
  const size_t top = entries * options.max_top_logprobs;
  arrays_.sequences.resize(entries);
  arrays_.token_counts.resize(entries);
  arrays_.tokens.resize(options.max_tokens);
  arrays_.flags.resize(entries);
  arrays_.temperatures.resize(entries);
  arrays_.top_k.resize(entries);
  arrays_.top_p.resize(entries, 1.0f);
  arrays_.repetition_penalties.resize(entries, 1.0f);
  arrays_.seeds.resize(entries);
  arrays_.top_logprobs.resize(entries);
  arrays_.sampled_tokens.resize(entries, -1);
  arrays_.sampled_logprobs.resize(entries, kNotSampled);
  arrays_.top_tokens.resize(top, -1);
  arrays_.top_token_logprobs.resize(top, kNotSampled);
  sampled_tokens_.resize(entries);
  sampled_logprobs_.resize(entries);
  top_tokens_.resize(top);
  top_token_logprobs_.resize(top);

  inputs_.reserve(entries);
  token_ids_.reserve(options.max_tokens);
  appends_.reserve(entries);
  positions_.reserve(options.max_tokens);
  entry_of_token_.reserve(options.max_tokens);
  query_starts_.reserve(entries + 1);
  context_lengths_.reserve(entries);
  table_starts_.reserve(entries + 1);
  // Enough unless sequences share most of their blocks.
  block_tables_.reserve(cache.capacity());
  sample_rows_.reserve(entries);
  requests_.reserve(entries);
  results_.reserve(entries);
  logits_row_.reserve(entries);
}

void Step::buffers(weir_step_buffers& out) {
  out.max_entries = options_.max_entries;
  out.max_tokens = options_.max_tokens;
  out.max_top_logprobs = options_.max_top_logprobs;
  out.sequences = arrays_.sequences.data();
  out.token_counts = arrays_.token_counts.data();
  out.tokens = arrays_.tokens.data();
  out.flags = arrays_.flags.data();
  out.temperatures = arrays_.temperatures.data();
  out.top_k = arrays_.top_k.data();
  out.top_p = arrays_.top_p.data();
  out.repetition_penalties = arrays_.repetition_penalties.data();
  out.seeds = arrays_.seeds.data();
  out.top_logprobs = arrays_.top_logprobs.data();
  out.sampled_tokens = arrays_.sampled_tokens.data();
  out.sampled_logprobs = arrays_.sampled_logprobs.data();
  out.top_tokens = arrays_.top_tokens.data();
  out.top_token_logprobs = arrays_.top_token_logprobs.data();
}

// Takes the inputs out of the caller's arrays, which another thread of a careless caller may still be writing
// to, so that what was checked is what runs.
void Step::read_inputs(int32_t entries) {
  if (entries < 1 || entries > options_.max_entries) {
    throw invalid_argument("the step has " + std::to_string(entries) + " entries, must be in 1.." +
                           std::to_string(options_.max_entries) + " (weir_step_options.max_entries)");
  }
  const int32_t vocabulary = model_.config().vocabulary_size;
  inputs_.clear();
  token_ids_.clear();
  for (int32_t e = 0; e < entries; e++) {
    Input input{arrays_.sequences[e], arrays_.token_counts[e], false, {}};
    if (input.count < 1)
      refuse(e, "its token count is " + std::to_string(input.count) + ", must be at least 1");
    const int64_t tokens = static_cast<int64_t>(token_ids_.size()) + input.count;
    if (tokens > options_.max_tokens) {
      refuse(e, "with it the step has " + std::to_string(tokens) + " tokens; it can have " +
                    std::to_string(options_.max_tokens) + " (weir_step_options.max_tokens)");
    }
    while (static_cast<int64_t>(token_ids_.size()) < tokens) {
      const int32_t token = arrays_.tokens[token_ids_.size()];
      if (token < 0 || token >= vocabulary) {
        refuse(e, "token " + std::to_string(token) + " is not in the vocabulary, 0.." +
                      std::to_string(vocabulary - 1));
      }
      token_ids_.push_back(token);
    }
    const uint32_t flags = arrays_.flags[e];
    if ((flags & ~uint32_t{WEIR_ENTRY_SAMPLE}) != 0) refuse(e, "its flags are " + std::to_string(flags));
    input.sampled = flags != 0;
    if (input.sampled) input.request = read_sampling(e);
    inputs_.push_back(input);
  }
}

SampleRequest Step::read_sampling(int32_t e) const {
  SampleRequest request;
  request.temperature = arrays_.temperatures[e];
  request.top_k = arrays_.top_k[e];
  request.top_p = arrays_.top_p[e];
  request.repetition_penalty = arrays_.repetition_penalties[e];
  request.seed = arrays_.seeds[e];
  request.top_logprobs = arrays_.top_logprobs[e];
  if (!(request.temperature >= 0) || std::isinf(request.temperature)) {
    refuse(e,
           "its temperature is " + std::to_string(request.temperature) + ", must be finite and at least 0");
  }
  if (request.top_k < 0) refuse(e, "its top_k is " + std::to_string(request.top_k) + ", must be at least 0");
  if (!(request.top_p > 0 && request.top_p <= 1)) {
    refuse(e, "its top_p is " + std::to_string(request.top_p) + ", must be in (0, 1]");
  }
  if (!(request.repetition_penalty > 0) || std::isinf(request.repetition_penalty)) {
    refuse(e, "its repetition penalty is " + std::to_string(request.repetition_penalty) +
                  ", must be finite and greater than 0");
  }
  if (request.top_logprobs < 0 || request.top_logprobs > options_.max_top_logprobs) {
    refuse(e, "it asks for " + std::to_string(request.top_logprobs) +
                  " log-probabilities; the step can report 0.." + std::to_string(options_.max_top_logprobs) +
                  " (weir_step_options.max_top_logprobs)");
  }
  return request;
}

// Describes the batch to the operators, after the cache has made room for its tokens.
void Step::plan() {
  positions_.clear();
  entry_of_token_.clear();
  query_starts_.assign(1, 0);
  table_starts_.assign(1, 0);
  context_lengths_.clear();
  block_tables_.clear();
  sample_rows_.clear();
  requests_.clear();
  results_.clear();
  logits_row_.clear();
  batch_ = StepBatch{};
  std::fill(sampled_tokens_.begin(), sampled_tokens_.end(), -1);
  std::fill(top_tokens_.begin(), top_tokens_.end(), -1);
  std::fill(sampled_logprobs_.begin(), sampled_logprobs_.end(), kNotSampled);
  std::fill(top_token_logprobs_.begin(), top_token_logprobs_.end(), kNotSampled);
  const int32_t entries = static_cast<int32_t>(inputs_.size());
  for (int32_t e = 0; e < entries; e++) {
    const Sequence& sequence = cache_.find(inputs_[e].sequence);
    const int32_t count = inputs_[e].count;
    for (int32_t i = 0; i < count; i++) {
      positions_.push_back(sequence.length() - count + i);
      entry_of_token_.push_back(e);
    }
    query_starts_.push_back(query_starts_.back() + count);
    context_lengths_.push_back(sequence.length());
    block_tables_.insert(block_tables_.end(), sequence.blocks.begin(), sequence.blocks.end());
    table_starts_.push_back(static_cast<int64_t>(block_tables_.size()));
    batch_.longest_context = std::max(batch_.longest_context, sequence.length());
    if (!inputs_[e].sampled) {
      logits_row_.push_back(-1);
      continue;
    }
    logits_row_.push_back(static_cast<int32_t>(sample_rows_.size()));
    sample_rows_.push_back(query_starts_.back() - 1);
    requests_.push_back(inputs_[e].request);
    requests_.back().position = sequence.length();
    requests_.back().history = sequence.tokens;
    const size_t top = static_cast<size_t>(e) * options_.max_top_logprobs;
    results_.push_back({&sampled_tokens_[e], &sampled_logprobs_[e], top_tokens_.data() + top,
                        top_token_logprobs_.data() + top});
  }
  batch_.entries = entries;
  batch_.tokens = query_starts_.back();
  batch_.samples = static_cast<int32_t>(sample_rows_.size());
  batch_.token_ids = token_ids_.data();
  batch_.positions = positions_.data();
  batch_.entry_of_token = entry_of_token_.data();
  batch_.query_starts = query_starts_.data();
  batch_.context_lengths = context_lengths_.data();
  batch_.block_tables = block_tables_.data();
  batch_.table_starts = table_starts_.data();
  batch_.sample_rows = sample_rows_.data();
}

void Step::publish_outputs() {
  const size_t entries = inputs_.size();
  const size_t top = entries * options_.max_top_logprobs;
  std::copy_n(sampled_tokens_.begin(), entries, arrays_.sampled_tokens.begin());
  std::copy_n(sampled_logprobs_.begin(), entries, arrays_.sampled_logprobs.begin());
  std::copy_n(top_tokens_.begin(), top, arrays_.top_tokens.begin());
  std::copy_n(top_token_logprobs_.begin(), top, arrays_.top_token_logprobs.begin());
}

void Step::run(int32_t entries, weir_step_report* report) {
  const auto started = std::chrono::steady_clock::now();
  const std::lock_guard lock(cache_.mutex());
  read_inputs(entries);
  appends_.clear();
  const int32_t* tokens = token_ids_.data();
  for (const Input& input : inputs_) {
    appends_.push_back({input.sequence, {tokens, static_cast<size_t>(input.count)}});
    tokens += input.count;
  }
  weir_cache_statistics before{};
  cache_.statistics(before);
  cache_.append(appends_);
  try {
    plan();
    context_->run(batch_, &cache_.pool(), forward_);
    const int64_t not_finite = context_->sample(workspace_.logits(batch_.samples), requests_, results_);
    if (not_finite >= 0) {
      const auto entry = std::find(logits_row_.begin(), logits_row_.end(), not_finite) - logits_row_.begin();
      throw Error(WEIR_INVALID_MODEL,
                  "entry " + std::to_string(entry) +
                      ": its logits are not finite; the weights hold a NaN, an infinity or huge "
                      "values",
                  entry);
    }
  } catch (...) {
    cache_.undo_append(appends_);
    logits_row_.clear();
    throw;
  }
  publish_outputs();
  const int64_t copied = cache_.commit_append(appends_);
  if (report != nullptr) {
    weir_cache_statistics after{};
    cache_.statistics(after);
    report->entries = entries;
    report->tokens = batch_.tokens;
    report->sampled = batch_.samples;
    report->blocks_taken = before.free - after.free;
    report->copied_on_write = copied;
    report->nanoseconds =
        std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - started)
            .count();
  }
}

void Step::logits(int32_t entry, float* out, int64_t capacity) {
  const std::lock_guard lock(cache_.mutex());
  const int32_t vocabulary = model_.config().vocabulary_size;
  if (capacity < vocabulary) {
    throw invalid_argument("there is room for " + std::to_string(capacity) + " logits, and there are " +
                           std::to_string(vocabulary));
  }
  if (entry < 0 || entry >= static_cast<int32_t>(logits_row_.size()) || logits_row_[entry] < 0) {
    throw invalid_argument("entry " + std::to_string(entry) +
                           " was not sampled in the last run, or that run failed");
  }
  context_->read_row(workspace_.logits(batch_.samples), logits_row_[entry], out);
}

}  // namespace weir
