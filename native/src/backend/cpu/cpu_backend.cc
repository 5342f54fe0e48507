#include "backend/cpu/cpu_backend.h"

#include <sched.h>
#include <sys/mman.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <latch>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#if defined(_OPENMP)
#include <omp.h>
#endif

#include "backend/cpu/onednn.h"
#include "backend/cpu/operators.h"
#include "core/error.h"
#include "core/philox.h"

namespace weir::cpu {
namespace {

constexpr int64_t kHugePage = int64_t{2} << 20;

// The number after the word `key` in a file, or -1.
int64_t read_value(const std::string& path, const std::string& key) {
  std::ifstream file(path);
  std::string word;
  while (file >> word) {
    if (word == key) {
      int64_t value = -1;
      file >> value;
      return value;
    }
  }
  return -1;
}

int64_t read_number(const std::string& path) {
  std::ifstream file(path);
  int64_t number = -1;
  return file >> number ? number : -1;
}

int64_t total_memory() { return read_value("/proc/meminfo", "MemTotal:") * 1024; }

// The control group of the process and its ancestors, as folders of the version 2 hierarchy; inside a
// container that is usually the root alone.
std::vector<std::string> control_groups() {
  std::vector<std::string> groups{"/sys/fs/cgroup"};
  std::ifstream file("/proc/self/cgroup");
  std::string line;
  while (std::getline(file, line)) {
    if (!line.starts_with("0::/")) continue;
    for (std::string path = line.substr(3); path.size() > 1; path.resize(path.rfind('/'))) {
      groups.push_back("/sys/fs/cgroup" + path);
    }
  }
  return groups;
}

// What the machine has available, or what the control groups of the process leave, whichever is less. Pages
// of files in the cache are counted as free: the system drops them when memory is wanted.
int64_t free_memory() {
  int64_t available = read_value("/proc/meminfo", "MemAvailable:") * 1024;
  for (const std::string& group : control_groups()) {
    const int64_t limit = read_number(group + "/memory.max");
    const int64_t current = read_number(group + "/memory.current");
    if (limit < 0 || current < 0) continue;
    const std::string statistics = group + "/memory.stat";
    const int64_t cache = std::max<int64_t>(read_value(statistics, "inactive_file"), 0) +
                          std::max<int64_t>(read_value(statistics, "active_file"), 0);
    available = std::min(available, limit - current + cache);
  }
  return std::max<int64_t>(available, 0);
}

std::string processor_name() {
  std::ifstream file("/proc/cpuinfo");
  std::string line;
  while (std::getline(file, line)) {
    if (line.starts_with("model name")) {
      const size_t colon = line.find(':');
      if (colon != std::string::npos && colon + 2 < line.size()) return line.substr(colon + 2);
    }
  }
  return "CPU";
}

// The processors that the process may run on, or those that its control groups pay for, whichever is less.
int32_t usable_processors() {
  cpu_set_t set;
  int32_t processors = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
  for (const std::string& group : control_groups()) {
    std::ifstream file(group + "/cpu.max");
    double quota = 0;
    double period = 0;
    // "max 100000" where there is no quota, which is not a number.
    if (file >> quota >> period && period > 0) {
      processors = std::min(processors, static_cast<int32_t>(std::ceil(quota / period)));
    }
  }
  return std::max(1, processors);
}

// OpenMP ends the process when it cannot start a thread, so that is tried beforehand.
void require_threads(int32_t threads) {
  std::vector<std::thread> started;
  std::latch all(1);
  std::string failure;
  try {
    for (int32_t i = 1; i < threads; i++) started.emplace_back([&] { all.wait(); });
  } catch (const std::system_error& e) {
    failure = e.what();
  }
  all.count_down();
  for (std::thread& thread : started) thread.join();
  if (!failure.empty()) {
    const int64_t possible = static_cast<int64_t>(started.size()) + 1;
    throw Error(WEIR_OUT_OF_MEMORY,
                "the system starts " + std::to_string(possible) + " of " + std::to_string(threads) +
                    " threads (" + failure + "); lower weir_device_options.threads",
                threads, possible);
  }
}

// Whether memory must be zero, or will be written before it is read.
enum class Contents { kZero, kUnwritten };

class HostMemory final : public Memory {
 public:
  HostMemory(int64_t bytes, const char* what, Contents contents = Contents::kZero)
      : Memory(allocate(bytes, what), static_cast<size_t>(bytes)) {
    // Zeroing also makes the system hand out the pages now, so that what is accounted is taken.
    if (contents == Contents::kZero) std::memset(data(), 0, this->bytes());
  }
  ~HostMemory() override { std::free(data()); }

  float* floats() const { return static_cast<float*>(data()); }

 private:
  static void* allocate(int64_t bytes, const char* what) {
    const int64_t available = free_memory();
    if (bytes < 0 || bytes > available) {
      throw Error(WEIR_OUT_OF_MEMORY,
                  std::string(what) + " needs " + std::to_string(bytes) + " bytes of memory, and " +
                      std::to_string(available) + " are available",
                  bytes, available);
    }
    const int64_t alignment = bytes >= kHugePage ? kHugePage : 64;
    void* data = nullptr;
    if (posix_memalign(&data, alignment, std::max<int64_t>(bytes, 64)) != 0) {
      throw Error(WEIR_OUT_OF_MEMORY,
                  std::string(what) + ": no " + std::to_string(bytes) + " bytes of memory", bytes, available);
    }
    if (bytes >= kHugePage) madvise(data, bytes, MADV_HUGEPAGE);
    return data;
  }
};

// Plain row-major floats; matrices may also have a packed copy, and then no plain one.
class CpuWeight final : public Weight {
 public:
  CpuWeight(const WeightSource& source, [[maybe_unused]] int threads)
      : Weight(source.rows, source.columns),
        memory_(
            std::make_unique<HostMemory>(source.rows * source.columns * static_cast<int64_t>(sizeof(float)),
                                         "a weight of the model", Contents::kUnwritten)) {
    float* out = memory_->floats();
    if (source.parts.empty()) {
      fill_random(source, out, threads);
    } else {
      for (const TensorView& part : source.parts) {
        convert_to_f32(part, out);
        int64_t elements = 1;
        for (const int64_t size : part.shape) elements *= size;
        out += elements;
      }
    }
  }

  void pack(const OneDnnApi& api, int threads) {
    packed_ = std::make_unique<OneDnnMatrix>(api, floats(), rows(), columns(), threads);
    memory_.reset();
  }

  const float* floats() const { return memory_->floats(); }
  const OneDnnMatrix* packed() const { return packed_.get(); }

 private:
  static void fill_random(const WeightSource& source, float* out, [[maybe_unused]] int threads) {
    const int64_t count = source.rows * source.columns;
    const float width = source.deviation * std::sqrt(12.0f);
#pragma omp parallel for num_threads(threads)
    for (int64_t i = 0; i < count; i += 4) {
      const PhiloxBlock block = philox(source.seed, static_cast<uint64_t>(i), source.stream);
      for (int64_t j = 0; j < std::min<int64_t>(4, count - i); j++) {
        out[i + j] = source.mean + width * (static_cast<float>(block.word[j] >> 8) * 0x1.0p-24f - 0.5f);
      }
    }
  }

  std::unique_ptr<HostMemory> memory_;
  std::unique_ptr<OneDnnMatrix> packed_;
};

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
    const int64_t elements = layout().block_elements();
    std::memcpy(target.floats() + to * elements, source.floats() + from * elements, layout().block_bytes());
  }

  HostMemory pool_;
  HostMemory swap_;
};

const float* floats(const Weight& weight) { return static_cast<const CpuWeight&>(weight).floats(); }
float* floats(const Activations& x) { return static_cast<float*>(x.data); }
float* floats(const KvPool& pool) { return static_cast<float*>(pool.data()); }

// Scratch for `threads` threads that sample at the same time.
class SamplerScratch {
 public:
  SamplerScratch(int32_t vocabulary_size, int threads)
      : size_(vocabulary_size),
        words_((vocabulary_size + 63) / 64),
        logits_(int64_t{threads} * size_),
        weights_(int64_t{threads} * size_),
        candidates_(int64_t{threads} * size_),
        seen_(int64_t{threads} * words_) {}

  SampleScratch of(int thread) {
    return {logits_.data() + int64_t{thread} * size_, weights_.data() + int64_t{thread} * size_,
            candidates_.data() + int64_t{thread} * size_, seen_.data() + int64_t{thread} * words_};
  }

 private:
  int64_t size_;
  int64_t words_;
  std::vector<float> logits_;
  std::vector<float> weights_;
  std::vector<int32_t> candidates_;
  std::vector<uint64_t> seen_;
};

// The operators that only copy are the same for both backends.
class CpuContext : public Context {
 public:
  void embed(const StepBatch& batch, const Weight& table, Activations out) override {
    cpu::embed(batch, floats(table), out.columns, floats(out));
  }
  void gather_rows(Activations x, const int32_t* rows, Activations out) override {
    cpu::gather_rows(floats(x), rows, out.rows, out.columns, floats(out));
  }
  void read_row(Activations x, int64_t row, float* out) override {
    std::copy_n(floats(x) + row * x.columns, x.columns, out);
  }
};

class ReferenceContext final : public CpuContext {
 public:
  explicit ReferenceContext(int32_t vocabulary_size) : sampler_(vocabulary_size, 1) {}

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
    cpu::rope_append(batch, layer, heads, floats(rotations), floats(qkv), pool.layout(), floats(pool), 1);
  }
  void attention(const StepBatch& batch, int32_t layer, int32_t heads, Activations qkv, const KvPool& pool,
                 Activations out) override {
    reference::attention(batch, layer, heads, floats(qkv), pool.layout(), floats(pool), floats(out));
  }
  void silu_multiply(Activations gate_up, Activations out) override {
    reference::silu_multiply(floats(gate_up), out.rows, out.columns, floats(out));
  }

  int64_t sample(Activations logits, std::span<const SampleRequest> requests,
                 std::span<const SampleResult> results) override {
    for (size_t i = 0; i < requests.size(); i++) {
      if (!sample_row(floats(logits) + i * logits.columns, static_cast<int32_t>(logits.columns), requests[i],
                      results[i], sampler_.of(0))) {
        return static_cast<int64_t>(i);
      }
    }
    return -1;
  }

 private:
  SamplerScratch sampler_;
};

class ThreadedContext final : public CpuContext {
 public:
  ThreadedContext(const OneDnnApi* onednn, int threads, int32_t vocabulary_size)
      : threads_(threads), sampler_(vocabulary_size, threads) {
    if (onednn != nullptr) stream_ = std::make_unique<OneDnnStream>(*onednn, threads);
  }

  void rms_norm(Activations x, const Weight& gain, float epsilon, Activations out) override {
    cpu::rms_norm(floats(x), floats(gain), epsilon, x.rows, x.columns, floats(out), threads_);
  }
  void add_rms_norm(Activations residual, Activations delta, const Weight& gain, float epsilon,
                    Activations out) override {
    cpu::add_rms_norm(floats(residual), floats(delta), floats(gain), epsilon, residual.rows, residual.columns,
                      floats(out), threads_);
  }
  void matmul(const Weight& weight, Activations x, Activations out) override {
    if (stream_ != nullptr) {
      stream_->multiply(*static_cast<const CpuWeight&>(weight).packed(), floats(x), x.rows, floats(out));
    } else {
      cpu::matmul(floats(weight), floats(x), x.rows, x.columns, out.columns, floats(out), threads_);
    }
  }
  void rope_append(const StepBatch& batch, int32_t layer, int32_t heads, const Weight& rotations,
                   Activations qkv, KvPool& pool) override {
    cpu::rope_append(batch, layer, heads, floats(rotations), floats(qkv), pool.layout(), floats(pool),
                     threads_);
  }
  void attention(const StepBatch& batch, int32_t layer, int32_t heads, Activations qkv, const KvPool& pool,
                 Activations out) override {
    attention_scratch_.resize(
        std::max<size_t>(attention_scratch_.size(), attention_scratch(pool.layout(), heads) * threads_));
    cpu::attention(batch, layer, heads, floats(qkv), pool.layout(), floats(pool), floats(out),
                   attention_scratch_.data(), threads_);
  }
  void silu_multiply(Activations gate_up, Activations out) override {
    cpu::silu_multiply(floats(gate_up), out.rows, out.columns, floats(out), threads_);
  }

  int64_t sample(Activations logits, std::span<const SampleRequest> requests,
                 std::span<const SampleResult> results) override {
    const int64_t count = static_cast<int64_t>(requests.size());
    int64_t not_finite = count;
#pragma omp parallel for num_threads(threads_)                                         \
    schedule(dynamic) if (count * logits.columns > parallel_work.logits) reduction(min \
                                                                                   : not_finite)
    for (int64_t i = 0; i < count; i++) {
#if defined(_OPENMP)
      const int thread = omp_get_thread_num();
#else
      const int thread = 0;
#endif
      if (!sample_row(floats(logits) + i * logits.columns, static_cast<int32_t>(logits.columns), requests[i],
                      results[i], sampler_.of(thread))) {
        not_finite = std::min(not_finite, i);
      }
    }
    return not_finite < count ? not_finite : -1;
  }

 private:
  int threads_;
  std::unique_ptr<OneDnnStream> stream_;
  std::vector<float> attention_scratch_;
  SamplerScratch sampler_;
};

class CpuBackend final : public Backend {
 public:
  explicit CpuBackend(const weir_device_options& options)
      : kind_(options.kind),
        threads_(kind_ == WEIR_DEVICE_CPU_REFERENCE
                     ? 1
                     : (options.threads == 0 ? usable_processors() : options.threads)) {
    if (kind_ == WEIR_DEVICE_CPU) onednn_ = load_onednn(why_no_onednn_);
#if !defined(_OPENMP)
    threads_ = 1;
#endif
    require_threads(threads_);
  }

  void describe(weir_device_info& info) const override {
    info.kind = kind_;
    info.ordinal = 0;
    info.threads = threads_;
    info.memory_total = total_memory();
    info.memory_available = free_memory();
    std::snprintf(info.name, sizeof info.name, "%s", processor_name().c_str());
    std::string matmul = "plain loops (reference)";
    if (onednn_ != nullptr) {
      matmul = "oneDNN " + onednn_version(*onednn_);
    } else if (kind_ == WEIR_DEVICE_CPU) {
      matmul = "built-in, slow; oneDNN was not found: " + why_no_onednn_;
    }
    std::snprintf(info.matmul, sizeof info.matmul, "%s", matmul.c_str());
  }
  int32_t element_bytes() const override { return sizeof(float); }
  int64_t available_memory() const override { return free_memory(); }
  int64_t padded_rows(int64_t rows) const override { return onednn_ != nullptr ? onednn_rows(rows) : rows; }

  std::unique_ptr<Memory> allocate(int64_t bytes, const char* what) override {
    return std::make_unique<HostMemory>(bytes, what);
  }
  std::unique_ptr<Weight> make_vector(const WeightSource& source) override {
    return std::make_unique<CpuWeight>(source, threads_);
  }
  std::unique_ptr<Weight> make_table(const WeightSource& source) override {
    return std::make_unique<CpuWeight>(source, threads_);
  }
  std::unique_ptr<Weight> make_matrix(const WeightSource& source) override {
    auto weight = std::make_unique<CpuWeight>(source, threads_);
    if (onednn_ != nullptr) weight->pack(*onednn_, threads_);
    return weight;
  }
  std::unique_ptr<KvPool> make_pool(const KvLayout& layout, int64_t blocks, int64_t swap_blocks) override {
    return std::make_unique<CpuKvPool>(layout, blocks, swap_blocks);
  }
  std::unique_ptr<Context> make_context(int32_t vocabulary_size) override {
    if (kind_ == WEIR_DEVICE_CPU_REFERENCE) return std::make_unique<ReferenceContext>(vocabulary_size);
    return std::make_unique<ThreadedContext>(onednn_, threads_, vocabulary_size);
  }

 private:
  weir_device_kind kind_;
  int32_t threads_;
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
  return std::make_unique<CpuBackend>(options);
}

}  // namespace weir::cpu
