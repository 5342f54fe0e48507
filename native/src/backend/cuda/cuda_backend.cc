#include "backend/cuda/cuda_backend.h"

#include <string>
#include <utility>

#include "backend/cuda/context.h"
#include "backend/cuda/device.h"
#include "backend/cuda/error.h"
#include "backend/cuda/kv_pool.h"
#include "backend/cuda/memory.h"
#include "backend/cuda/weights.h"
#include "core/error.h"

namespace weir::cuda {
namespace {

class CudaBackend final : public Backend {
 public:
  explicit CudaBackend(const weir_device_options& options)
      : device_(std::make_shared<const Device>(options)) {}

  void describe(weir_device_info& info) const override { device_->describe(info); }

  ElementBytes element_bytes() const override {
    ElementBytes bytes;
    bytes.matmul_input = bytes.matmul_output = bytes_of(device_->type());
    return bytes;
  }

  KvElement kv_element(weir_precision precision) const override {
    switch (precision) {
      case WEIR_PRECISION_DEFAULT:
        return {device_->precision(), bytes_of(device_->type()), false};
      case WEIR_PRECISION_FP16:
      case WEIR_PRECISION_BF16:
        // The attention kernels multiply keys and values of 16 bits as they are.
        if (precision == device_->precision()) return {precision, 2, false};
        throw Error(WEIR_UNSUPPORTED,
                    "weir_cache_options.kv_precision is " + std::to_string(precision) +
                        " and weir_device_options.precision " + std::to_string(device_->precision()) +
                        "; keys and values of 16 bits are of the type of the activations: use "
                        "WEIR_PRECISION_DEFAULT, WEIR_PRECISION_INT8 or WEIR_PRECISION_FP8");
      case WEIR_PRECISION_INT8:
      case WEIR_PRECISION_FP8:
        return {precision, 1, true};
      case WEIR_PRECISION_FP32:
        throw Error(WEIR_UNSUPPORTED,
                    "weir_cache_options.kv_precision is WEIR_PRECISION_FP32; the CUDA backend keeps keys and "
                    "values in "
                    "fp16, bf16, int8 and fp8");
      default:
        throw invalid_argument("weir_cache_options.kv_precision is " + std::to_string(precision) +
                               ", must be in 0.." + std::to_string(WEIR_PRECISION_FP8));
    }
  }

  int64_t matrix_bytes(int64_t rows, int64_t columns) const override {
    return CudaWeight::bytes(rows, columns, device_->type());
  }
  int64_t table_bytes(int64_t rows, int64_t columns) const override { return matrix_bytes(rows, columns); }
  bool embeds_from_matrices() const override { return true; }
  int64_t available_memory() const override { return device_->available_memory(); }
  int64_t padded_rows(int64_t rows) const override { return rows; }
  int64_t context_bytes(const ContextLimits& limits) const override {
    return cuda::context_bytes(*device_, limits);
  }
  int64_t graph_bytes(const ContextLimits& limits, int32_t layers) const override {
    return cuda::graph_bytes(*device_, limits, layers);
  }

  std::unique_ptr<Memory> allocate(int64_t bytes, const char* what) override {
    device_->use();
    return std::make_unique<DeviceMemory>(bytes, what);
  }
  std::unique_ptr<Weight> make_vector(const WeightSource& source) override {
    device_->use();
    return loader_.load(source, ElementType::kF32);
  }
  std::unique_ptr<Weight> make_table(const WeightSource& source) override { return make_matrix(source); }
  std::unique_ptr<Weight> make_matrix(const WeightSource& source) override {
    device_->use();
    return loader_.load(source, device_->type());
  }
  std::unique_ptr<KvPool> make_pool(const KvLayout& layout, int64_t blocks, int64_t swap_blocks) override {
    return std::make_unique<CudaKvPool>(device_, layout, blocks, swap_blocks);
  }
  std::unique_ptr<Context> make_context(const ContextLimits& limits) override {
    return cuda::make_context(device_, limits);
  }

  void copy_to_device(void* to, const void* from, int64_t bytes) override {
    device_->use();
    check(cudaMemcpy(to, from, bytes, cudaMemcpyHostToDevice), "copying to the device");
  }
  void copy_to_host(void* to, const void* from, int64_t bytes) override {
    device_->use();
    check(cudaMemcpy(to, from, bytes, cudaMemcpyDeviceToHost), "copying to the host");
  }

 private:
  std::shared_ptr<const Device> device_;
  WeightLoader loader_;
};

}  // namespace

void probe_cuda(int32_t ordinal) { check_device(ordinal); }

std::unique_ptr<Backend> open_cuda(const weir_device_options& options) {
  return std::make_unique<CudaBackend>(options);
}

}  // namespace weir::cuda
