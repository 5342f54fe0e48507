#include "backend/cpu/avx512/operators.h"
#include "backend/cpu/avx512/target.h"
#include "backend/cpu/context.h"

#if defined(WEIR_HAS_AVX512)

namespace weir::cpu {
namespace {

// From this many rows on, and in multiples of it, multiplications go to oneDNN. With fewer our own kernels
// are faster, with more both take the same time (benchmarks/cpu/LOG.md), but oneDNN also knows processors
// with matrix units.
constexpr int64_t kOneDnnRows = 128;

// Tasks that a multiplication is cut into: several a thread, so that one that is held up does not hold up
// all, of at least four blocks, which the kernels for few rows take together.
int64_t blocks_of_task(int64_t blocks, int threads) {
  constexpr int64_t kTasksOfThread = 8;
  const int64_t blocks_of = blocks / (kTasksOfThread * threads) / 4 * 4;
  return std::max<int64_t>(4, blocks_of);
}

// `Input` is what goes into a multiplication by weights.
template <typename Input>
class PackedContext : public CpuContext {
 public:
  PackedContext(const OneDnnApi* onednn, std::shared_ptr<ThreadPool> threads, int32_t vocabulary_size)
      : CpuContext(threads, vocabulary_size) {
    if (onednn == nullptr) return;
    for (int i = 0; i < threads->threads(); i++) streams_.push_back(std::make_unique<OneDnnStream>(*onednn));
  }

  void rms_norm(Activations x, const Weight& gain, float epsilon, Activations out) final {
    avx512::rms_norm(floats(x), floats(gain), epsilon, x.rows, x.columns, inputs(out), threads());
  }
  void add_rms_norm(Activations residual, Activations delta, const Weight& gain, float epsilon,
                    Activations out) final {
    avx512::add_rms_norm(floats(residual), floats(delta), floats(gain), epsilon, residual.rows,
                         residual.columns, inputs(out), threads());
  }
  void rope_append(const StepBatch& batch, int32_t layer, int32_t heads, const Weight& rotations,
                   Activations qkv, KvPool& pool) final {
    avx512::rope_append(batch, layer, heads, floats(rotations), floats(qkv), pool.layout(),
                        static_cast<Bfloat16*>(pool.data()), threads());
  }
  void attention(const StepBatch& batch, int32_t layer, int32_t heads, Activations qkv, const KvPool& pool,
                 Activations out) final {
    const int64_t bytes = avx512::attention_scratch(batch, heads, pool.layout(), threads().threads());
    if (attention_scratch_ == nullptr || static_cast<int64_t>(attention_scratch_->bytes()) < bytes) {
      attention_scratch_.reset();
      attention_scratch_ =
          std::make_unique<HostMemory>(bytes, "the workspace of attention", Contents::kUnwritten);
    }
    avx512::attention(batch, layer, heads, floats(qkv), pool.layout(),
                      static_cast<const Bfloat16*>(pool.data()), inputs(out), attention_scratch_->data(),
                      threads());
  }
  void silu_multiply(Activations gate_up, Activations out) final {
    avx512::silu_multiply(floats(gate_up), out.rows, out.columns, inputs(out), threads());
  }
  void gather_samples(const StepBatch& batch, Activations x, Activations out) final {
    gather_rows<Input>(x, batch.sample_rows, out);
  }

 protected:
  static Input* inputs(const Activations& x) { return static_cast<Input*>(x.data); }

  // Rows for oneDNN; the others are for our own kernels.
  int64_t library_rows(int64_t rows) const { return streams_.empty() ? 0 : rows / kOneDnnRows * kOneDnnRows; }
  OneDnnStream& stream(int thread) { return *streams_[thread]; }

  // Calls multiply(first_block, last_block, thread) for all blocks of 64 outputs.
  template <typename Multiply>
  void for_blocks(const avx512::PackedShape& shape, int64_t rows, const Multiply& multiply) {
    const int64_t blocks = shape.blocks();
    const int64_t step = blocks_of_task(blocks, threads().threads());
    const bool shared = rows * shape.in * shape.out > parallel_work.multiply_adds;
    threads().run_if(shared, (blocks + step - 1) / step, [&](int64_t i, int thread) {
      multiply(i * step, std::min(blocks, (i + 1) * step), thread);
    });
  }

 private:
  std::vector<std::unique_ptr<OneDnnStream>> streams_;  // one a thread
  std::unique_ptr<HostMemory> attention_scratch_;
};

// The columns of blocks [first, last), of which the last one may not be whole.
int64_t width_of(const avx512::PackedShape& shape, int64_t first, int64_t last) {
  return std::min(shape.out, last * avx512::kPackedColumns) - first * avx512::kPackedColumns;
}

class Bfloat16Context final : public PackedContext<Bfloat16> {
 public:
  using PackedContext::PackedContext;

  void matmul(const Weight& weight, Activations x, Activations out) override {
    const auto& packed = static_cast<const PackedBfloat16&>(weight);
    const avx512::PackedShape& shape = packed.shape();
    const Bfloat16* input = inputs(x);
    int64_t stride = shape.in;
    if (shape.in % 2 != 0) {
      // The kernels read inputs in pairs.
      stride = shape.in + 1;
      even_.resize(std::max<size_t>(even_.size(), x.rows * stride));
      for (int64_t r = 0; r < x.rows; r++) {
        std::copy_n(input + r * shape.in, shape.in, even_.data() + r * stride);
        even_[r * stride + shape.in] = {};
      }
      input = even_.data();
    }
    const int64_t by_library = stride == shape.in ? library_rows(x.rows) : 0;
    for_blocks(shape, x.rows, [&](int64_t first, int64_t last, int thread) {
      float* to = floats(out);
      if (by_library > 0) {
        const int64_t column = first * avx512::kPackedColumns;
        stream(thread).multiply(packed.data() + first * shape.block_bytes() / 2, width_of(shape, first, last),
                                shape.in, input, by_library, to + column, shape.out);
      }
      if (by_library < x.rows) {
        avx512::multiply_blocks(shape, packed.data(), first, last, input + by_library * stride,
                                stride * static_cast<int64_t>(sizeof(Bfloat16)), x.rows - by_library,
                                to + by_library * shape.out, shape.out);
      }
    });
  }

 private:
  std::vector<Bfloat16> even_;
};

class Int8Context final : public PackedContext<float> {
 public:
  using PackedContext::PackedContext;

  void matmul(const Weight& weight, Activations x, Activations out) override {
    const auto& packed = static_cast<const PackedInt8&>(weight);
    const avx512::PackedShape& shape = packed.shape();
    const int64_t stride = shape.units() * 4;
    quantized_.resize(std::max<size_t>(quantized_.size(), x.rows * stride));
    scales_.resize(std::max<size_t>(scales_.size(), x.rows));
    threads().run_if(x.rows * shape.in > parallel_work.elements, x.rows, [&](int64_t row, int) {
      scales_[row] = avx512::quantize_row(floats(x) + row * shape.in, shape.in, stride,
                                          quantized_.data() + row * stride);
    });
    const int64_t by_library = library_rows(x.rows);
    for_blocks(shape, x.rows, [&](int64_t first, int64_t last, int thread) {
      float* to = floats(out);
      avx512::Dequantization dequantization{scales_.data(), packed.scales(), packed.offsets()};
      if (by_library > 0) {
        // The sums, as integers, in the place of the floats.
        const int64_t column = first * avx512::kPackedColumns;
        stream(thread).multiply(packed.data() + first * shape.block_bytes(), width_of(shape, first, last),
                                shape.in, quantized_.data(), stride, by_library,
                                reinterpret_cast<int32_t*>(to + column), shape.out);
        avx512::dequantize(dequantization, column, width_of(shape, first, last), by_library, to + column,
                           shape.out);
      }
      if (by_library < x.rows) {
        dequantization.row_scales += by_library;
        avx512::multiply_blocks(shape, packed.data(), first, last, quantized_.data() + by_library * stride,
                                stride, x.rows - by_library, dequantization, to + by_library * shape.out,
                                shape.out);
      }
    });
  }

 private:
  std::vector<uint8_t> quantized_;
  std::vector<float> scales_;
};

}  // namespace

std::unique_ptr<Context> make_bfloat16_context(const OneDnnApi* onednn, std::shared_ptr<ThreadPool> threads,
                                               int32_t vocabulary_size) {
  return std::make_unique<Bfloat16Context>(onednn, std::move(threads), vocabulary_size);
}

std::unique_ptr<Context> make_int8_context(const OneDnnApi* onednn, std::shared_ptr<ThreadPool> threads,
                                           int32_t vocabulary_size) {
  return std::make_unique<Int8Context>(onednn, std::move(threads), vocabulary_size);
}

}  // namespace weir::cpu

#endif
