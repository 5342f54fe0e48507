#include "ceilings.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "backend/cuda/cublaslt.h"
#include "backend/cuda/error.h"
#include "core/error.h"
#include "gpu.h"

namespace weir::benchmark {
namespace {

using cuda::check;

// Products in one sample: one alone would be over before the clocks have settled.
constexpr int kProducts = 5;

// out = a * b^T for square matrices of 16-bit elements, with sums in 32-bit floats.
class CublasLtProduct {
 public:
  CublasLtProduct(int64_t size, cuda::lt::DataType type, int64_t workspace_bytes) {
    constexpr int kProposals = 16;
    const auto size_in_elements = static_cast<uint64_t>(size);
    call(library_->Create(&handle_));
    call(library_->MatmulDescCreate(&description_, cuda::lt::kCompute32F, cuda::lt::kR32F));
    const int transposed = cuda::lt::kT;
    call(library_->MatmulDescSetAttribute(description_, cuda::lt::kTransA, &transposed, sizeof transposed));
    call(library_->MatrixLayoutCreate(&layout_, type, size_in_elements, size_in_elements, size));
    call(library_->MatmulPreferenceCreate(&preference_));
    const auto bytes = static_cast<size_t>(workspace_bytes);
    call(library_->MatmulPreferenceSetAttribute(preference_, cuda::lt::kMaxWorkspaceBytes, &bytes,
                                                sizeof bytes));
    proposals_.resize(kProposals);
    int found = 0;
    call(library_->MatmulAlgoGetHeuristic(handle_, description_, layout_, layout_, layout_, layout_,
                                          preference_, kProposals, proposals_.data(), &found));
    proposals_.resize(static_cast<size_t>(found));
    std::erase_if(proposals_, [](const cuda::lt::HeuristicResult& proposal) { return proposal.state != 0; });
    if (proposals_.empty())
      throw Error(WEIR_UNSUPPORTED, "cuBLASLt proposes nothing for a product of squares");
  }
  ~CublasLtProduct() {
    if (preference_ != nullptr) library_->MatmulPreferenceDestroy(preference_);
    if (layout_ != nullptr) library_->MatrixLayoutDestroy(layout_);
    if (description_ != nullptr) library_->MatmulDescDestroy(description_);
    if (handle_ != nullptr) library_->Destroy(handle_);
  }
  CublasLtProduct(const CublasLtProduct&) = delete;
  CublasLtProduct& operator=(const CublasLtProduct&) = delete;

  const std::vector<cuda::lt::HeuristicResult>& proposals() const { return proposals_; }

  void run(cudaStream_t stream, const cuda::lt::HeuristicResult& proposal, const void* a, const void* b,
           void* out, const DeviceBuffer& workspace) const {
    const float one = 1, zero = 0;
    call(library_->Matmul(handle_, description_, &one, a, layout_, b, layout_, &zero, out, layout_, out,
                          layout_, &proposal.algo, workspace.as(), static_cast<size_t>(workspace.bytes()),
                          stream));
  }

 private:
  static void call(cuda::lt::Status status) { cuda::check_cublaslt(status, "measuring the matrix rate"); }

  std::shared_ptr<const cuda::CublasLt> library_ = cuda::CublasLt::load();
  cuda::lt::Handle handle_ = nullptr;
  cuda::lt::MatmulDesc description_ = nullptr;
  cuda::lt::MatrixLayout layout_ = nullptr;
  cuda::lt::MatmulPreference preference_ = nullptr;
  std::vector<cuda::lt::HeuristicResult> proposals_;
};

class CeilingMeter {
 public:
  CeilingMeter(const Options& options, Report& report) : options_(options), report_(report) {}

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
    const int32_t available = multiprocessors();
    // The highest of several ways to spread the same loads.
    std::vector<double> best;
    int32_t best_blocks = 0;
    for (const int32_t for_each : {1, 2, 3, 4, 8}) {
      const int32_t blocks = for_each * available;
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

  // By cuBLASLt itself, the fastest of what it proposes, so that the ceiling does not depend on the backend's
  // choice.
  void multiply() {
    const int64_t size = options_.smoke ? 64 : 8192;
    const cuda::lt::DataType type = options_.precision == "bf16" ? cuda::lt::kR16BF : cuda::lt::kR16F;
    const int64_t bytes = size * size * 2;
    const DeviceBuffer a(bytes), b(bytes), out(bytes), workspace(int64_t{64} << 20);
    const Filling filling = options_.precision == "bf16" ? Filling::kBf16 : Filling::kF16;
    fill(stream_.get(), filling, a.as(), bytes, 1);
    fill(stream_.get(), filling, b.as(), bytes, 2);
    const CublasLtProduct product(size, type, workspace.bytes());
    std::vector<double> best;
    for (const cuda::lt::HeuristicResult& proposal : product.proposals()) {
      std::vector<double> taken = stream_.sample(options_.samples, [&](cudaStream_t stream) {
        for (int i = 0; i < kProducts; i++)
          product.run(stream, proposal, a.as(), b.as(), out.as(), workspace);
      });
      if (best.empty() || spread_of(taken).median < spread_of(best).median) best = std::move(taken);
    }
    const auto dimension = static_cast<double>(size);
    ceilings_.matrix_operations =
        add(options_.precision + " matrix rate", "TFLOP/s", kProducts * 2 * dimension * dimension * dimension,
            std::move(best),
            std::to_string(kProducts) + " products of " + std::to_string(size) +
                " cubed, random data, the fastest of " + std::to_string(product.proposals().size()) +
                " proposals of cuBLASLt");
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

  const Options& options_;
  Report& report_;
  TimedStream stream_;
  Ceilings ceilings_;
};

}  // namespace

Ceilings measure_ceilings(const Options& options, Report& report) {
  report.section("ceilings");
  return CeilingMeter(options, report).run();
}

}  // namespace weir::benchmark
