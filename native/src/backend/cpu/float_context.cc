#include "backend/cpu/context.h"

namespace weir::cpu {
namespace {

class ReferenceContext final : public CpuContext {
 public:
  using CpuContext::CpuContext;

  void rms_norm(Activations x, const Weight& gain, float epsilon, Activations out) override {
    reference::rms_norm(floats(x), floats(gain), epsilon, x.rows, x.columns, floats(out));
  }
  void add_rms_norm(Activations residual, Activations delta, const Weight& gain, float epsilon,
                    Activations out) override {
    for (int64_t i = 0; i < residual.rows * residual.columns; i++) floats(residual)[i] += floats(delta)[i];
    rms_norm(residual, gain, epsilon, out);
  }
  void matmul(const Weight& weight, Activations x, Activations out) override {
    reference::matmul(floats(weight), floats(x), x.rows, x.columns, out.columns, floats(out));
  }
  void rope_append(const StepBatch& batch, int32_t layer, int32_t heads, const Weight& rotations,
                   Activations qkv, KvPool& pool) override {
    cpu::rope_append(batch, layer, heads, floats(rotations), floats(qkv), pool.layout(), floats(pool),
                     threads());
  }
  void attention(const StepBatch& batch, int32_t layer, int32_t heads, Activations qkv, const KvPool& pool,
                 Activations out) override {
    reference::attention(batch, layer, heads, floats(qkv), pool.layout(), floats(pool), floats(out));
  }
  void silu_multiply(Activations gate_up, Activations out) override {
    reference::silu_multiply(floats(gate_up), out.rows, out.columns, floats(out));
  }
  void gather_samples(const StepBatch& batch, Activations x, Activations out) override {
    gather_rows<float>(x, batch.sample_rows, out);
  }
};

class FloatContext final : public CpuContext {
 public:
  FloatContext(const OneDnnApi* onednn, std::shared_ptr<ThreadPool> threads, int32_t vocabulary_size)
      : CpuContext(threads, vocabulary_size) {
    if (onednn == nullptr) return;
    for (int i = 0; i < threads->threads(); i++) streams_.push_back(std::make_unique<OneDnnStream>(*onednn));
  }

  void rms_norm(Activations x, const Weight& gain, float epsilon, Activations out) override {
    cpu::rms_norm(floats(x), floats(gain), epsilon, x.rows, x.columns, floats(out), threads());
  }
  void add_rms_norm(Activations residual, Activations delta, const Weight& gain, float epsilon,
                    Activations out) override {
    cpu::add_rms_norm(floats(residual), floats(delta), floats(gain), epsilon, residual.rows, residual.columns,
                      floats(out), threads());
  }
  void matmul(const Weight& weight, Activations x, Activations out) override {
    if (streams_.empty()) {
      cpu::matmul(floats(weight), floats(x), x.rows, x.columns, out.columns, floats(out), threads());
      return;
    }
    const auto& slices = static_cast<const OneDnnWeight&>(weight).slices();
    const bool shared = x.rows * x.columns * out.columns > parallel_work.multiply_adds;
    threads().run_if(shared, static_cast<int64_t>(slices.size()), [&](int64_t i, int thread) {
      streams_[thread]->multiply(*slices[i].matrix, floats(x), x.rows, floats(out) + slices[i].first,
                                 out.columns);
    });
  }
  void rope_append(const StepBatch& batch, int32_t layer, int32_t heads, const Weight& rotations,
                   Activations qkv, KvPool& pool) override {
    cpu::rope_append(batch, layer, heads, floats(rotations), floats(qkv), pool.layout(), floats(pool),
                     threads());
  }
  void attention(const StepBatch& batch, int32_t layer, int32_t heads, Activations qkv, const KvPool& pool,
                 Activations out) override {
    attention_scratch_.resize(std::max<size_t>(
        attention_scratch_.size(), attention_scratch(pool.layout(), heads) * threads().threads()));
    cpu::attention(batch, layer, heads, floats(qkv), pool.layout(), floats(pool), floats(out),
                   attention_scratch_.data(), threads());
  }
  void silu_multiply(Activations gate_up, Activations out) override {
    cpu::silu_multiply(floats(gate_up), out.rows, out.columns, floats(out), threads());
  }
  void gather_samples(const StepBatch& batch, Activations x, Activations out) override {
    gather_rows<float>(x, batch.sample_rows, out);
  }

 private:
  std::vector<std::unique_ptr<OneDnnStream>> streams_;  // one a thread
  std::vector<float> attention_scratch_;
};

}  // namespace

std::unique_ptr<Context> make_reference_context(std::shared_ptr<ThreadPool> threads,
                                                int32_t vocabulary_size) {
  return std::make_unique<ReferenceContext>(std::move(threads), vocabulary_size);
}

std::unique_ptr<Context> make_float_context(const OneDnnApi* onednn, std::shared_ptr<ThreadPool> threads,
                                            int32_t vocabulary_size) {
  return std::make_unique<FloatContext>(onednn, std::move(threads), vocabulary_size);
}

}  // namespace weir::cpu
