#include "ceilings.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "backend/cuda/error.h"
#include "context_timer.h"
#include "core/error.h"
#include "gpu.h"

namespace weir::benchmark {
namespace {

using cuda::check;

class CeilingMeter {
 public:
  CeilingMeter(Backend& backend, const Options& options, Report& report)
      : backend_(backend), options_(options), report_(report) {}

  Ceilings run() {
    attempt("read-only bandwidth", [&] { read(); });
    attempt("copy bandwidth", [&] { copy(); });
    attempt("matrix rate", [&] { multiply(); });
    attempt("launches", [&] { launches(); });
    attempt("PCIe", [&] { pcie(); });
    return ceilings_;
  }

 private:
  int64_t large() const { return options_.smoke ? int64_t{1} << 20 : int64_t{4} << 30; }

  void attempt(const std::string& name, const std::function<void()>& measure) {
    try {
      measure();
    } catch (const Error& error) {
      // After this the others would fail as well.
      if (error.status() == WEIR_DEVICE_FAILED) throw;
      report_.skip(name, error.what());
    }
  }

  double add(const std::string& name, const std::string& unit, double amount, std::vector<double> seconds,
             const std::string& details) {
    Ceiling ceiling{name, unit, 0, spread_of(std::move(seconds)), amount, details};
    const double rate = amount / ceiling.seconds.median;
    if (unit == "us") {
      ceiling.value = 1e6 / rate;
    } else {
      ceiling.value = rate / (unit == "GB/s" ? 1e9 : 1e12);
    }
    report_.add(ceiling);
    return rate;
  }

  void read() {
    const DeviceBuffer memory(large());
    const DeviceBuffer out(16);
    fill(stream_.get(), Filling::kF16, memory.as(), memory.bytes(), 1);
    const int32_t multiprocessors = multiprocessors_of_device();
    // The highest of several ways to spread the same loads.
    std::vector<double> best;
    int32_t best_blocks = 0;
    for (const int32_t for_each : {1, 2, 3, 4, 8}) {
      const int32_t blocks = for_each * multiprocessors;
      std::vector<double> taken = stream_.sample(options_.samples, [&](cudaStream_t stream) {
        read_memory(stream, blocks, memory.as(), memory.bytes(), out.as());
      });
      if (best.empty() || spread_of(taken).median < spread_of(best).median) {
        best = std::move(taken);
        best_blocks = for_each;
      }
    }
    ceilings_.read_bytes = add("read-only bandwidth", "GB/s", static_cast<double>(memory.bytes()), best,
                               std::to_string(best_blocks) +
                                   " blocks of 512 threads a multiprocessor, 8 loads of 16 bytes under way");
  }

  void copy() {
    const DeviceBuffer from(large());
    const DeviceBuffer to(large());
    fill(stream_.get(), Filling::kF16, from.as(), from.bytes(), 1);
    add("copy bandwidth", "GB/s", 2.0 * static_cast<double>(from.bytes()),
        stream_.sample(options_.samples,
                       [&](cudaStream_t stream) {
                         check(cudaMemcpyAsync(to.as(), from.as(), from.bytes(), cudaMemcpyDeviceToDevice,
                                               stream),
                               "copying memory");
                       }),
        "cudaMemcpyAsync, bytes read and bytes written");
  }

  // Through the backend, which takes the fastest of what cuBLASLt proposes and of its own kernels.
  void multiply() {
    const int64_t size = options_.smoke ? 64 : 8192;
    WeightSource source;
    source.rows = source.columns = size;
    source.deviation = 1.0f / 64;
    const std::unique_ptr<Weight> weight = backend_.make_matrix(source);
    ContextLimits limits;
    limits.max_entries = limits.max_samples = 1;
    limits.max_tokens = static_cast<int32_t>(size);
    limits.vocabulary_size = 32;
    limits.context_length = static_cast<int32_t>(size);
    limits.heads = limits.kv_heads = 1;
    limits.head_size = 128;
    limits.block_size = 16;
    const std::unique_ptr<Context> context = backend_.make_context(limits);
    const BenchmarkRows x(backend_, size, size, 2,
                          options_.precision == "bf16" ? Filling::kBf16 : Filling::kF16);
    const BenchmarkRows out(backend_, size, size, 2, Filling::kZero);
    const BenchmarkBatch batch({size}, size, 16, false);
    ContextTiming timing;
    timing.samples = options_.samples;
    std::vector<double> taken = sample_calls(
        *context, batch.view(), nullptr, timing,
        [&](const StepBatch&, int64_t) { context->matmul(*weight, x.first(size), out.first(size)); });
    const double dimension = static_cast<double>(size);
    ceilings_.matrix_operations = add(
        options_.precision + " matrix rate", "TFLOP/s", 2 * dimension * dimension * dimension,
        std::move(taken), std::to_string(size) + " cubed, random data, the fastest that the backend finds");
  }

  void launches() {
    const int count = options_.smoke ? 10 : 1000;
    add("kernel launch, host", "us", count, host_seconds([&](cudaStream_t stream) {
          for (int i = 0; i < count; i++) launch_nothing(stream);
        }),
        "the calling thread's time for each of " + std::to_string(count) + " empty kernels");
    add("kernel launch, device", "us", count,
        stream_.sample(options_.samples,
                       [&](cudaStream_t stream) {
                         for (int i = 0; i < count; i++) launch_nothing(stream);
                       }),
        "between events, for each of " + std::to_string(count) + " empty kernels");
    add("kernel in a graph", "us", 1,
        stream_.sample_recorded(options_.samples, count,
                                [](cudaStream_t stream, int) { launch_nothing(stream); }),
        "for each of " + std::to_string(count) + " empty kernels of one graph");
    add("graph of one kernel", "us", 1,
        stream_.sample_recorded(options_.samples, 1,
                                [](cudaStream_t stream, int) { launch_nothing(stream); }),
        "between events");
    add("launch and wait", "us", 1, host_seconds([&](cudaStream_t stream) {
          launch_nothing(stream);
          stream_.synchronize();
        }),
        "one empty kernel and cudaStreamSynchronize, host clock");
  }

  std::vector<double> host_seconds(const std::function<void(cudaStream_t)>& work) {
    std::vector<double> taken;
    for (int i = 0; i <= options_.samples; i++) {
      stream_.synchronize();
      const auto begin = std::chrono::steady_clock::now();
      work(stream_.get());
      const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
      if (i > 0) taken.push_back(seconds.count());
    }
    stream_.synchronize();
    return taken;
  }

  void pcie() {
    const int64_t bytes = options_.smoke ? 1 << 20 : int64_t{512} << 20;
    const DeviceBuffer device(bytes), device2(bytes);
    const PinnedBuffer host(bytes), host2(bytes);
    const auto copy = [&](cudaStream_t stream, void* to, const void* from, cudaMemcpyKind kind) {
      check(cudaMemcpyAsync(to, from, static_cast<size_t>(bytes), kind, stream), "copying over PCIe");
    };
    const auto amount = static_cast<double>(bytes);
    ceilings_.host_to_device =
        add("host to device", "GB/s", amount,
            stream_.sample(
                options_.samples,
                [&](cudaStream_t stream) { copy(stream, device.as(), host.data(), cudaMemcpyHostToDevice); }),
            "pinned, one copy");
    ceilings_.device_to_host =
        add("device to host", "GB/s", amount,
            stream_.sample(
                options_.samples,
                [&](cudaStream_t stream) { copy(stream, host.data(), device.as(), cudaMemcpyDeviceToHost); }),
            "pinned, one copy");
    const TimedStream other;
    std::vector<double> both = host_seconds([&](cudaStream_t stream) {
      copy(stream, device.as(), host.data(), cudaMemcpyHostToDevice);
      copy(other.get(), host2.data(), device2.as(), cudaMemcpyDeviceToHost);
      stream_.synchronize();
      other.synchronize();
    });
    add("both ways at once", "GB/s", 2 * amount, std::move(both), "pinned, the two together, host clock");
  }

  int32_t multiprocessors_of_device() const {
    weir_device_info info{};
    backend_.describe(info);
    return info.multiprocessors;
  }

  Backend& backend_;
  const Options& options_;
  Report& report_;
  TimedStream stream_;
  Ceilings ceilings_;
};

}  // namespace

Ceilings measure_ceilings(Backend& backend, const Options& options, Report& report) {
  report.section("ceilings");
  return CeilingMeter(backend, options, report).run();
}

}  // namespace weir::benchmark
