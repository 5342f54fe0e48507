// Kernel launches.
#include <cstring>
#include <memory>
#include <new>

#include "executor.h"
#include "runtime.h"
#include "symbol.h"

namespace emulator {
namespace {

constexpr std::align_val_t kArgumentAlignment{64};
constexpr int kDefaultDynamicSharedBytes = 48 << 10;

struct FreeArguments {
  void operator()(std::byte* arguments) const { ::operator delete[](arguments, kArgumentAlignment); }
};

bool overlaps_previous(const cudaLaunchConfig_t& config) {
  for (unsigned int i = 0; i < config.numAttrs; i++) {
    const cudaLaunchAttribute& attribute = config.attrs[i];
    if (attribute.id == cudaLaunchAttributeProgrammaticStreamSerialization) {
      return attribute.val.programmaticStreamSerializationAllowed != 0;
    }
  }
  return false;
}

class KernelWork final : public Work {
 public:
  KernelWork(const cudaLaunchConfig_t& config, const void* kernel, Invoke invoke, const void* arguments,
             size_t argument_bytes, int architecture, uint64_t number)
      : call_{kernel, invoke, nullptr, config.gridDim, config.blockDim, config.dynamicSmemBytes, 0},
        arguments_(static_cast<std::byte*>(::operator new[](argument_bytes, kArgumentAlignment))),
        number_(number),
        overlaps_previous_(architecture >= 900 && overlaps_previous(config)) {
    std::memcpy(arguments_.get(), arguments, argument_bytes);
    call_.arguments = arguments_.get();
  }

  std::optional<Failure> run(Runtime& runtime) const override { return run_grid(runtime, nullptr); }

  std::optional<Failure> run_rest(Runtime& runtime, EarlyBlock& early) const override {
    return run_grid(runtime, &early);
  }

  EarlyBlockPointer begin_early(Runtime& runtime) const override {
    const KernelCall call = seeded_call(runtime);
    // Below compute capability 9.0 griddepcontrol_wait() does nothing, and such launches do not overlap.
    if (!overlaps_previous_ || runtime.settings.architecture < 90 || !Random(call.seed).coin())
      return nullptr;
    return Executor::instance().begin_early(call);
  }

  int64_t kernels() const override { return 1; }

 private:
  // A graph runs the launch again in another order.
  KernelCall seeded_call(const Runtime& runtime) const {
    KernelCall call = call_;
    call.seed = mix(runtime.settings.seed) ^ mix(number_ << 20 | (runtime.counters.kernels & 0xFFFFF));
    return call;
  }

  std::optional<Failure> run_grid(Runtime& runtime, EarlyBlock* early) const {
    if (const cudaError_t error = runtime.count_kernel(); error != cudaSuccess) {
      return Failure{error, "kernel " + symbol_name(call_.kernel) + " was told to fail"};
    }
    return Executor::instance().run_grid(seeded_call(runtime), runtime.settings.threads, early);
  }

  KernelCall call_;
  std::unique_ptr<std::byte[], FreeArguments> arguments_;
  uint64_t number_;
  bool overlaps_previous_;
};

// The limits of compute capability 8.0 and 9.0: CUDA C++ Programming Guide, "Technical Specifications".
bool valid(const dim3& grid, const dim3& block) {
  const uint64_t threads = uint64_t{block.x} * block.y * block.z;
  return grid.x > 0 && grid.y > 0 && grid.z > 0 && grid.x <= 0x7FFFFFFF && grid.y <= 65535 &&
         grid.z <= 65535 && threads > 0 && threads <= 1024 && block.x <= 1024 && block.y <= 1024 &&
         block.z <= 64;
}

bool supported(const cudaLaunchConfig_t& config) {
  for (unsigned int i = 0; i < config.numAttrs; i++) {
    const cudaLaunchAttribute& attribute = config.attrs[i];
    if (attribute.id == cudaLaunchAttributeCooperative && attribute.val.cooperative != 0) return false;
    const auto& cluster = attribute.val.clusterDim;
    if (attribute.id == cudaLaunchAttributeClusterDimension &&
        (cluster.x > 1 || cluster.y > 1 || cluster.z > 1)) {
      return false;
    }
  }
  return true;
}

}  // namespace

cudaError_t launch(const cudaLaunchConfig_t& config, const void* kernel, Invoke invoke, const void* arguments,
                   size_t argument_bytes, int architecture) {
  return call("cudaLaunchKernelExC", [&](Runtime& runtime, Lock&) {
    const std::shared_ptr<Stream> stream = runtime.streams.find(config.stream);
    if (stream == nullptr) return cudaErrorInvalidResourceHandle;
    if (!valid(config.gridDim, config.blockDim)) return cudaErrorInvalidConfiguration;
    if (architecture > runtime.settings.architecture * 10) return cudaErrorNoKernelImageForDevice;
    if (!supported(config)) return cudaErrorNotSupported;
    const auto limit = runtime.dynamic_shared_limits.find(kernel);
    const int allowed =
        limit == runtime.dynamic_shared_limits.end() ? kDefaultDynamicSharedBytes : limit->second;
    if (config.dynamicSmemBytes > static_cast<size_t>(allowed)) return cudaErrorInvalidValue;
    runtime.counters.launches++;
    return runtime.submit(
        *stream, std::make_shared<KernelWork>(config, kernel, invoke, arguments, argument_bytes, architecture,
                                              ++runtime.launch_number));
  });
}

}  // namespace emulator

using namespace emulator;

cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute attribute, int value) {
  return call("cudaFuncSetAttribute", [&](Runtime& runtime, Lock&) {
    if (kernel == nullptr) return cudaErrorInvalidDeviceFunction;
    if (attribute == cudaFuncAttributePreferredSharedMemoryCarveout) {
      return value >= -1 && value <= 100 ? cudaSuccess : cudaErrorInvalidValue;
    }
    if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize) return cudaErrorInvalidValue;
    if (value < 0 || value > runtime.max_dynamic_shared_bytes()) return cudaErrorInvalidValue;
    runtime.dynamic_shared_limits[kernel] = value;
    return cudaSuccess;
  });
}

// By threads and shared memory; registers are not known.
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, const void* kernel, int block_size,
                                                          size_t dynamic_shared_bytes) {
  return call("cudaOccupancyMaxActiveBlocksPerMultiprocessor", [&](Runtime& runtime, Lock&) {
    if (blocks == nullptr || block_size <= 0 || block_size > 1024) return cudaErrorInvalidValue;
    if (kernel == nullptr) return cudaErrorInvalidDeviceFunction;
    const size_t reserved = 1024;
    const size_t shared = static_cast<size_t>(runtime.max_dynamic_shared_bytes()) + reserved;
    const int by_threads = 2048 / ((block_size + 31) / 32 * 32);
    const int by_shared = static_cast<int>(shared / (dynamic_shared_bytes + reserved));
    *blocks = std::min({by_threads, by_shared, 32});
    return cudaSuccess;
  });
}
