#include "backend/cpu/cpu_backend.h"

#include <cstdio>
#include <cstring>
#include <string>

#include "backend/cpu/avx512/target.h"
#include "backend/cpu/context.h"
#include "backend/cpu/host_memory.h"
#include "backend/cpu/onednn.h"
#include "backend/cpu/processor.h"
#include "backend/cpu/thread_pool.h"
#include "backend/cpu/weights.h"
#include "core/error.h"

namespace weir::cpu {
namespace {

class CpuKvPool final : public KvPool {
 public:
  CpuKvPool(const KvLayout& layout, int64_t blocks, int64_t swap_blocks)
      : KvPool(layout, nullptr),
        pool_(blocks * layout.block_bytes(), "the KV pool"),
        swap_(swap_blocks * layout.block_bytes(), "the swap space") {
    set_data(pool_.data());
  }

  void copy_block(int32_t from, int32_t to) override { copy(pool_, from, pool_, to); }
  void swap_out(int32_t block, int32_t swap_block) override { copy(pool_, block, swap_, swap_block); }
  void swap_in(int32_t swap_block, int32_t block) override { copy(swap_, swap_block, pool_, block); }

 private:
  void copy(const HostMemory& source, int64_t from, const HostMemory& target, int64_t to) {
    const int64_t bytes = layout().block_bytes();
    std::memcpy(target.as<char>() + to * bytes, source.as<char>() + from * bytes, bytes);
  }

  HostMemory pool_;
  HostMemory swap_;
};

weir_precision precision_of(const weir_device_options& options) {
  if (options.kind == WEIR_DEVICE_CPU_REFERENCE) {
    if (options.precision != WEIR_PRECISION_DEFAULT && options.precision != WEIR_PRECISION_FP32) {
      throw Error(WEIR_UNSUPPORTED, "weir_device_options.precision is " + std::to_string(options.precision) +
                                        ", and the reference backend computes in WEIR_PRECISION_FP32 only");
    }
    return WEIR_PRECISION_FP32;
  }
  switch (options.precision) {
    case WEIR_PRECISION_DEFAULT:
      return avx512::supported() ? WEIR_PRECISION_BF16 : WEIR_PRECISION_FP32;
    case WEIR_PRECISION_FP32:
      return WEIR_PRECISION_FP32;
    case WEIR_PRECISION_BF16:
    case WEIR_PRECISION_INT8:
      if (avx512::supported()) return options.precision;
      throw Error(WEIR_UNSUPPORTED,
                  "weir_device_options.precision is " + std::to_string(options.precision) +
                      " (bf16 or int8), which needs a processor with AVX-512 BF16 and VNNI, and this one (" +
                      processor_name() + ") has not; use WEIR_PRECISION_FP32");
    case WEIR_PRECISION_FP16:
    case WEIR_PRECISION_FP8:
      throw Error(WEIR_UNSUPPORTED, "weir_device_options.precision is " + std::to_string(options.precision) +
                                        " (fp16 or fp8), in which the CPU does not compute; use "
                                        "WEIR_PRECISION_DEFAULT");
    default:
      throw invalid_argument("weir_device_options.precision is " + std::to_string(options.precision) +
                             ", must be in 0.." + std::to_string(WEIR_PRECISION_FP8));
  }
}

std::shared_ptr<ThreadPool> threads_of(const weir_device_options& options) {
  if (options.kind == WEIR_DEVICE_CPU_REFERENCE) return std::make_shared<ThreadPool>(1, false);
  const bool pin = (options.flags & WEIR_DEVICE_PIN_THREADS) != 0;
  if (options.threads == 0 && !pin) return shared_thread_pool(usable_processors());
  return std::make_shared<ThreadPool>(options.threads == 0 ? usable_processors() : options.threads, pin);
}

class CpuBackend final : public Backend {
 public:
  explicit CpuBackend(const weir_device_options& options)
      : kind_(options.kind), precision_(precision_of(options)), threads_(threads_of(options)) {
    if (kind_ != WEIR_DEVICE_CPU) return;
    onednn_ = load_onednn(why_no_onednn_);
    if (onednn_ == nullptr) {
      why_no_onednn_ = "oneDNN was not found: " + why_no_onednn_;
    } else if (precision_ != WEIR_PRECISION_FP32 && !onednn_multiplies_packed(*onednn_)) {
      why_no_onednn_ =
          "oneDNN " + onednn_version(*onednn_) + " was told to do without AVX-512 (ONEDNN_MAX_CPU_ISA)";
      onednn_ = nullptr;
    } else if ((options.flags & WEIR_DEVICE_DETERMINISTIC) != 0 && precision_ != WEIR_PRECISION_INT8) {
      // The library promises no order of additions; of integers any order gives the same.
      why_no_onednn_ = "oneDNN is not used in deterministic mode";
      onednn_ = nullptr;
    }
  }

  void describe(weir_device_info& info) const override {
    info.kind = kind_;
    info.ordinal = 0;
    info.threads = threads_->threads();
    info.precision = precision_;
    info.memory_total = total_memory();
    info.memory_available = free_memory();
    std::snprintf(info.name, sizeof info.name, "%s", processor_name().c_str());
    std::snprintf(info.matmul, sizeof info.matmul, "%s", describe_matmul().c_str());
  }
  ElementBytes element_bytes() const override {
    if (precision_ == WEIR_PRECISION_FP32) return {};
    ElementBytes bytes;
    if (precision_ == WEIR_PRECISION_BF16) bytes.matmul_input = sizeof(Bfloat16);
    return bytes;
  }
  KvElement kv_element(weir_precision precision) const override {
    if (precision < WEIR_PRECISION_DEFAULT || precision > WEIR_PRECISION_FP8) {
      throw invalid_argument("weir_cache_options.kv_precision is " + std::to_string(precision) +
                             ", must be in 0.." + std::to_string(WEIR_PRECISION_FP8));
    }
    const KvElement element = precision_ == WEIR_PRECISION_FP32
                                  ? KvElement{}
                                  : KvElement{WEIR_PRECISION_BF16, sizeof(Bfloat16), false};
    if (precision != WEIR_PRECISION_DEFAULT && precision != element.precision) {
      throw Error(WEIR_UNSUPPORTED,
                  "the CPU backend keeps keys and values as its activations only; set "
                  "weir_cache_options.kv_precision to WEIR_PRECISION_DEFAULT, or choose "
                  "weir_device_options.precision");
    }
    return element;
  }
  int64_t matrix_bytes(int64_t rows, int64_t columns) const override {
    switch (precision_) {
      case WEIR_PRECISION_BF16:
        return avx512::PackedShape{rows, columns, sizeof(Bfloat16)}.bytes();
      case WEIR_PRECISION_INT8: {
        const avx512::PackedShape shape{rows, columns, sizeof(int8_t)};
        // With a scale and an offset for each output.
        return shape.bytes() + shape.blocks() * avx512::kPackedColumns * 8;
      }
      default:
        return rows * columns * static_cast<int64_t>(sizeof(float));
    }
  }
  int64_t table_bytes(int64_t rows, int64_t columns) const override {
    const size_t element = precision_ == WEIR_PRECISION_FP32 ? sizeof(float) : sizeof(Bfloat16);
    return rows * columns * static_cast<int64_t>(element);
  }
  bool embeds_from_matrices() const override {
    return precision_ == WEIR_PRECISION_BF16 || (precision_ == WEIR_PRECISION_FP32 && onednn_ == nullptr);
  }
  int64_t available_memory() const override { return free_memory(); }
  int64_t padded_rows(int64_t rows) const override {
    return precision_ == WEIR_PRECISION_FP32 && onednn_ != nullptr ? onednn_rows(rows) : rows;
  }

  std::unique_ptr<Memory> allocate(int64_t bytes, const char* what) override {
    return std::make_unique<HostMemory>(bytes, what);
  }
  std::unique_ptr<Weight> make_vector(const WeightSource& source) override {
    return std::make_unique<FloatWeight>(source, *threads_);
  }
  std::unique_ptr<Weight> make_table(const WeightSource& source) override {
    if (precision_ == WEIR_PRECISION_FP32) return std::make_unique<FloatWeight>(source, *threads_);
    return std::make_unique<Bfloat16Table>(source, *threads_);
  }
  std::unique_ptr<Weight> make_matrix(const WeightSource& source) override {
#if defined(WEIR_HAS_AVX512)
    if (precision_ == WEIR_PRECISION_BF16) return std::make_unique<PackedBfloat16>(source, *threads_);
    if (precision_ == WEIR_PRECISION_INT8) return std::make_unique<PackedInt8>(source, *threads_);
#endif
    if (onednn_ != nullptr) return std::make_unique<OneDnnWeight>(*onednn_, source, *threads_);
    return std::make_unique<FloatWeight>(source, *threads_);
  }
  std::unique_ptr<KvPool> make_pool(const KvLayout& layout, int64_t blocks, int64_t swap_blocks) override {
    return std::make_unique<CpuKvPool>(layout, blocks, swap_blocks);
  }
  int64_t context_bytes(const ContextLimits&) const override {
    // Scratch grows with the batches and contexts that are seen; nobody knows it beforehand.
    return 0;
  }
  int64_t graph_bytes(const ContextLimits&, int32_t) const override { return 0; }
  void copy_to_device(void* to, const void* from, int64_t bytes) override { std::memcpy(to, from, bytes); }
  void copy_to_host(void* to, const void* from, int64_t bytes) override { std::memcpy(to, from, bytes); }

  std::unique_ptr<Context> make_context(const ContextLimits& limits) override {
    const int32_t vocabulary_size = limits.vocabulary_size;
    if (kind_ == WEIR_DEVICE_CPU_REFERENCE) return make_reference_context(threads_, vocabulary_size);
#if defined(WEIR_HAS_AVX512)
    if (precision_ == WEIR_PRECISION_BF16) return make_bfloat16_context(onednn_, threads_, vocabulary_size);
    if (precision_ == WEIR_PRECISION_INT8) return make_int8_context(onednn_, threads_, vocabulary_size);
#endif
    return make_float_context(onednn_, threads_, vocabulary_size);
  }

 private:
  std::string describe_matmul() const {
    if (kind_ == WEIR_DEVICE_CPU_REFERENCE) return "plain loops (reference)";
    const bool packed = precision_ != WEIR_PRECISION_FP32;
    const std::string own = packed ? "own AVX-512 kernels" : "built-in, slow";
    if (onednn_ != nullptr) return (packed ? own + ", oneDNN " : "oneDNN ") + onednn_version(*onednn_);
    return own + "; " + why_no_onednn_;
  }

  weir_device_kind kind_;
  weir_precision precision_;
  std::shared_ptr<ThreadPool> threads_;
  const OneDnnApi* onednn_ = nullptr;
  std::string why_no_onednn_;
};

}  // namespace

std::unique_ptr<Backend> open_cpu(const weir_device_options& options) {
  constexpr int32_t kMaxThreads = 1024;
  if (options.ordinal != 0) {
    throw Error(WEIR_DEVICE_UNAVAILABLE,
                "there is one CPU device, number 0, and not number " + std::to_string(options.ordinal));
  }
  if (options.threads < 0 || options.threads > kMaxThreads) {
    throw invalid_argument("weir_device_options.threads is " + std::to_string(options.threads) +
                           ", must be in 0.." + std::to_string(kMaxThreads));
  }
  // Without graphs is how the CPU computes anyway.
  constexpr int32_t kFlags = WEIR_DEVICE_PIN_THREADS | WEIR_DEVICE_DETERMINISTIC | WEIR_DEVICE_NO_GRAPHS;
  if ((options.flags & ~kFlags) != 0) {
    throw invalid_argument("weir_device_options.flags is " + std::to_string(options.flags) +
                           ", which has bits beyond those of weir_device_options.flags");
  }
  return std::make_unique<CpuBackend>(options);
}

}  // namespace weir::cpu
