#include "backend/cpu/onednn.h"

#include "backend/cpu/operators.h"
#include "core/error.h"

#if defined(WEIR_WITH_ONEDNN)

#include <dlfcn.h>

#include <array>
#include <cstdlib>
#include <utility>

#if defined(_OPENMP)
#include <omp.h>
#endif

#include "oneapi/dnnl/dnnl.h"

namespace weir::cpu {

#define WEIR_DNNL_FUNCTIONS(X)               \
  X(dnnl_version)                            \
  X(dnnl_engine_create)                      \
  X(dnnl_engine_destroy)                     \
  X(dnnl_stream_create)                      \
  X(dnnl_stream_destroy)                     \
  X(dnnl_stream_wait)                        \
  X(dnnl_memory_desc_create_with_strides)    \
  X(dnnl_memory_desc_create_with_tag)        \
  X(dnnl_memory_desc_clone)                  \
  X(dnnl_memory_desc_destroy)                \
  X(dnnl_memory_desc_get_size)               \
  X(dnnl_memory_create)                      \
  X(dnnl_memory_set_data_handle)             \
  X(dnnl_memory_destroy)                     \
  X(dnnl_primitive_attr_create)              \
  X(dnnl_primitive_attr_set_scratchpad_mode) \
  X(dnnl_primitive_attr_destroy)             \
  X(dnnl_matmul_primitive_desc_create)       \
  X(dnnl_reorder_primitive_desc_create)      \
  X(dnnl_primitive_desc_query_md)            \
  X(dnnl_primitive_desc_destroy)             \
  X(dnnl_primitive_create)                   \
  X(dnnl_primitive_execute)                  \
  X(dnnl_primitive_destroy)

struct OneDnnApi {
#define X(name) decltype(&::name) name;
  WEIR_DNNL_FUNCTIONS(X)
#undef X
  dnnl_engine_t engine;
};

namespace {

void check(dnnl_status_t status, const char* what) {
  if (status == dnnl_success) return;
  const bool memory = status == dnnl_out_of_memory;
  throw Error(memory ? WEIR_OUT_OF_MEMORY : WEIR_INTERNAL,
              std::string("oneDNN: ") + what + " failed with status " + std::to_string(status));
}

// Owns one object of the C interface.
template <typename T>
class Owned {
 public:
  Owned() = default;
  Owned(T object, dnnl_status_t (*destroy)(T)) : object_(object), destroy_(destroy) {}
  Owned(Owned&& other) noexcept : object_(std::exchange(other.object_, nullptr)), destroy_(other.destroy_) {}
  Owned& operator=(Owned&& other) noexcept {
    std::swap(object_, other.object_);
    std::swap(destroy_, other.destroy_);
    return *this;
  }
  ~Owned() {
    if (object_ != nullptr) destroy_(object_);
  }
  T get() const { return object_; }

 private:
  T object_ = nullptr;
  dnnl_status_t (*destroy_)(T) = nullptr;
};

using Description = Owned<dnnl_memory_desc_t>;

Description row_major(const OneDnnApi& api, int64_t rows, int64_t columns) {
  const dnnl_dims_t dims = {rows, columns};
  const dnnl_dims_t strides = {columns, 1};
  dnnl_memory_desc_t description = nullptr;
  check(api.dnnl_memory_desc_create_with_strides(&description, 2, dims, dnnl_f32, strides),
        "memory description");
  return {description, api.dnnl_memory_desc_destroy};
}

Owned<dnnl_memory_t> memory(const OneDnnApi& api, const_dnnl_memory_desc_t description, void* data) {
  dnnl_memory_t result = nullptr;
  check(api.dnnl_memory_create(&result, description, api.engine, data), "memory object");
  return {result, api.dnnl_memory_destroy};
}

// oneDNN takes its number of threads from the calling thread's OpenMP setting, which is the caller's to keep.
class ThreadSetting {
 public:
  explicit ThreadSetting([[maybe_unused]] int threads) {
#if defined(_OPENMP)
    before_ = omp_get_max_threads();
    if (before_ != threads) omp_set_num_threads(threads);
#endif
  }
  ~ThreadSetting() {
#if defined(_OPENMP)
    omp_set_num_threads(before_);
#endif
  }
  ThreadSetting(const ThreadSetting&) = delete;
  ThreadSetting& operator=(const ThreadSetting&) = delete;

 private:
  [[maybe_unused]] int before_ = 1;
};

struct FreeDeleter {
  void operator()(void* data) const { std::free(data); }
};
using Bytes = std::unique_ptr<void, FreeDeleter>;

Bytes allocate_bytes(size_t bytes) {
  void* data = nullptr;
  if (posix_memalign(&data, 64, bytes < 64 ? 64 : bytes) != 0) {
    throw Error(WEIR_OUT_OF_MEMORY, "no memory for " + std::to_string(bytes) + " bytes of packed weights",
                static_cast<int64_t>(bytes), 0);
  }
  return Bytes(data);
}

const OneDnnApi* try_load(std::string& reason) {
  const char* path = std::getenv("WEIR_DNNL_LIBRARY");
  // Local, so that a second copy of the library in the process keeps its own symbols.
  void* library = dlopen(path != nullptr && *path != 0 ? path : "libdnnl.so.3", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    reason = dlerror();
    return nullptr;
  }
  auto api = std::make_unique<OneDnnApi>();
#define X(name)                                                                   \
  api->name = reinterpret_cast<decltype(&::name)>(dlsym(library, #name));         \
  if (api->name == nullptr) {                                                     \
    reason = "the oneDNN library has no function " #name ", it is not version 3"; \
    return nullptr;                                                               \
  }
  WEIR_DNNL_FUNCTIONS(X)
#undef X
  if (api->dnnl_version()->major != DNNL_VERSION_MAJOR) {
    reason = "the oneDNN library is version " + onednn_version(*api) + ", not 3";
    return nullptr;
  }
  if (api->dnnl_engine_create(&api->engine, dnnl_cpu, 0) != dnnl_success) {
    reason = "oneDNN cannot create a CPU engine";
    return nullptr;
  }
  // Lives as long as the process, like the library it points into.
  return api.release();
}

}  // namespace

const OneDnnApi* load_onednn(std::string& reason) {
  static std::string why_not;
  static const OneDnnApi* const api = try_load(why_not);
  if (api == nullptr) reason = why_not;
  return api;
}

std::string onednn_version(const OneDnnApi& api) {
  const dnnl_version_t* version = api.dnnl_version();
  return std::to_string(version->major) + "." + std::to_string(version->minor) + "." +
         std::to_string(version->patch);
}

int64_t onednn_rows(int64_t rows) {
  const auto round_up = [&](int64_t step) { return (rows + step - 1) / step * step; };
  // The library has a kernel of its own for one row, which adds up in another order; with two rows a sequence
  // gets the same numbers alone and in company.
  if (rows <= 2) return 2;
  if (rows <= 16) return rows;
  if (rows <= 64) return round_up(8);
  if (rows <= 256) return round_up(32);
  return round_up(128);
}

struct OneDnnMatrix::Impl {
  struct Kernel {
    Description x;
    Description out;
    Description scratch;
    size_t scratch_bytes = 0;
    Owned<dnnl_primitive_t> primitive;
  };

  const OneDnnApi& api;
  int64_t out;
  int64_t in;
  Description layout;
  Bytes packed;
  // Compiled on first use, for each number of rows, and shared by all streams.
  std::mutex mutex;
  std::unordered_map<int64_t, std::unique_ptr<Kernel>> kernels;

  Impl(const OneDnnApi& a, int64_t o, int64_t i) : api(a), out(o), in(i) {}

  Owned<dnnl_primitive_desc_t> describe(int64_t rows, const_dnnl_memory_desc_t weights) {
    const Description x = row_major(api, rows, in);
    const Description result = row_major(api, rows, out);
    dnnl_primitive_attr_t attributes = nullptr;
    check(api.dnnl_primitive_attr_create(&attributes), "attributes");
    const Owned<dnnl_primitive_attr_t> owner(attributes, api.dnnl_primitive_attr_destroy);
    check(api.dnnl_primitive_attr_set_scratchpad_mode(attributes, dnnl_scratchpad_mode_user),
          "scratchpad mode");
    dnnl_primitive_desc_t description = nullptr;
    check(api.dnnl_matmul_primitive_desc_create(&description, api.engine, x.get(), weights, nullptr,
                                                result.get(), attributes),
          "matmul description");
    return {description, api.dnnl_primitive_desc_destroy};
  }

  const Kernel& kernel(int64_t rows) {
    const std::lock_guard lock(mutex);
    std::unique_ptr<Kernel>& kernel = kernels[rows];
    if (kernel == nullptr) {
      auto built = std::make_unique<Kernel>();
      const Owned<dnnl_primitive_desc_t> description = describe(rows, layout.get());
      built->x = row_major(api, rows, in);
      built->out = row_major(api, rows, out);
      dnnl_memory_desc_t scratch = nullptr;
      check(api.dnnl_memory_desc_clone(
                &scratch, api.dnnl_primitive_desc_query_md(description.get(), dnnl_query_scratchpad_md, 0)),
            "scratchpad description");
      built->scratch = Description(scratch, api.dnnl_memory_desc_destroy);
      built->scratch_bytes = api.dnnl_memory_desc_get_size(scratch);
      dnnl_primitive_t primitive = nullptr;
      check(api.dnnl_primitive_create(&primitive, description.get()), "matmul");
      built->primitive = Owned<dnnl_primitive_t>(primitive, api.dnnl_primitive_destroy);
      kernel = std::move(built);
    }
    return *kernel;
  }
};

OneDnnMatrix::OneDnnMatrix(const OneDnnApi& api, const float* weight, int64_t out, int64_t in, int threads)
    : impl_(std::make_unique<Impl>(api, out, in)) {
  const ThreadSetting setting(threads);
  // The layout that the library likes for a batch of this many rows; it serves the others as well.
  constexpr int64_t kPackedForRows = 32;
  const dnnl_dims_t dims = {in, out};
  dnnl_memory_desc_t any = nullptr;
  check(api.dnnl_memory_desc_create_with_tag(&any, 2, dims, dnnl_f32, dnnl_format_tag_any),
        "memory description");
  const Description any_owner(any, api.dnnl_memory_desc_destroy);
  const auto preferred = impl_->describe(kPackedForRows, any);
  dnnl_memory_desc_t layout = nullptr;
  check(api.dnnl_memory_desc_clone(
            &layout, api.dnnl_primitive_desc_query_md(preferred.get(), dnnl_query_weights_md, 0)),
        "weights description");
  impl_->layout = Description(layout, api.dnnl_memory_desc_destroy);
  impl_->packed = allocate_bytes(api.dnnl_memory_desc_get_size(layout));

  const dnnl_dims_t strides = {1, in};
  dnnl_memory_desc_t plain = nullptr;
  check(api.dnnl_memory_desc_create_with_strides(&plain, 2, dims, dnnl_f32, strides), "memory description");
  const Description plain_owner(plain, api.dnnl_memory_desc_destroy);
  dnnl_primitive_desc_t description = nullptr;
  check(api.dnnl_reorder_primitive_desc_create(&description, plain, api.engine, layout, api.engine, nullptr),
        "reorder description");
  const Owned<dnnl_primitive_desc_t> description_owner(description, api.dnnl_primitive_desc_destroy);
  dnnl_primitive_t reorder = nullptr;
  check(api.dnnl_primitive_create(&reorder, description), "reorder");
  const Owned<dnnl_primitive_t> reorder_owner(reorder, api.dnnl_primitive_destroy);
  const auto from = memory(api, plain, const_cast<float*>(weight));
  const auto to = memory(api, layout, impl_->packed.get());
  dnnl_stream_t stream = nullptr;
  check(api.dnnl_stream_create(&stream, api.engine, dnnl_stream_default_flags), "stream");
  const Owned<dnnl_stream_t> stream_owner(stream, api.dnnl_stream_destroy);
  const dnnl_exec_arg_t arguments[] = {{DNNL_ARG_FROM, from.get()}, {DNNL_ARG_TO, to.get()}};
  check(api.dnnl_primitive_execute(reorder, stream, 2, arguments), "reorder");
  check(api.dnnl_stream_wait(stream), "reorder");
}

OneDnnMatrix::~OneDnnMatrix() = default;

struct OneDnnStream::Impl {
  // The argument objects of one kernel; only their addresses change from call to call.
  struct Call {
    const OneDnnMatrix::Impl::Kernel* kernel;
    Owned<dnnl_memory_t> x, weights, out, scratch;
  };
  struct KeyHash {
    size_t operator()(const std::pair<const OneDnnMatrix*, int64_t>& key) const {
      return std::hash<const void*>()(key.first) * 31 + static_cast<size_t>(key.second);
    }
  };

  const OneDnnApi& api;
  int threads;
  Owned<dnnl_stream_t> stream;
  std::unordered_map<std::pair<const OneDnnMatrix*, int64_t>, Call, KeyHash> calls;
  Bytes scratch;
  size_t scratch_bytes = 0;

  Impl(const OneDnnApi& a, int t) : api(a), threads(t) {}
};

OneDnnStream::OneDnnStream(const OneDnnApi& api, int threads) : impl_(std::make_unique<Impl>(api, threads)) {
  dnnl_stream_t stream = nullptr;
  check(api.dnnl_stream_create(&stream, api.engine, dnnl_stream_default_flags), "stream");
  impl_->stream = Owned<dnnl_stream_t>(stream, api.dnnl_stream_destroy);
}

OneDnnStream::~OneDnnStream() = default;

void OneDnnStream::multiply(const OneDnnMatrix& matrix, const float* x, int64_t rows, float* out) {
  const OneDnnApi& api = impl_->api;
  const int64_t padded = onednn_rows(rows);
  const bool parallel = padded * matrix.impl_->in * matrix.impl_->out > parallel_work.multiply_adds;
  const ThreadSetting setting(parallel ? impl_->threads : 1);
  auto found = impl_->calls.find({&matrix, padded});
  if (found == impl_->calls.end()) {
    Impl::Call call;
    call.kernel = &matrix.impl_->kernel(padded);
    call.x = memory(api, call.kernel->x.get(), DNNL_MEMORY_NONE);
    call.weights = memory(api, matrix.impl_->layout.get(), matrix.impl_->packed.get());
    call.out = memory(api, call.kernel->out.get(), DNNL_MEMORY_NONE);
    call.scratch = memory(api, call.kernel->scratch.get(), DNNL_MEMORY_NONE);
    if (call.kernel->scratch_bytes > impl_->scratch_bytes) {
      impl_->scratch = allocate_bytes(call.kernel->scratch_bytes);
      impl_->scratch_bytes = call.kernel->scratch_bytes;
    }
    found = impl_->calls.emplace(std::pair(&matrix, padded), std::move(call)).first;
  }
  const Impl::Call& call = found->second;
  check(api.dnnl_memory_set_data_handle(call.x.get(), const_cast<float*>(x)), "argument");
  check(api.dnnl_memory_set_data_handle(call.out.get(), out), "argument");
  check(api.dnnl_memory_set_data_handle(call.scratch.get(), impl_->scratch.get()), "argument");
  const std::array<dnnl_exec_arg_t, 4> arguments = {{{DNNL_ARG_SRC, call.x.get()},
                                                     {DNNL_ARG_WEIGHTS, call.weights.get()},
                                                     {DNNL_ARG_DST, call.out.get()},
                                                     {DNNL_ARG_SCRATCHPAD, call.scratch.get()}}};
  check(api.dnnl_primitive_execute(call.kernel->primitive.get(), impl_->stream.get(),
                                   static_cast<int>(arguments.size()), arguments.data()),
        "matmul");
  check(api.dnnl_stream_wait(impl_->stream.get()), "matmul");
}

}  // namespace weir::cpu

#else

namespace weir::cpu {

struct OneDnnApi {};
struct OneDnnMatrix::Impl {};
struct OneDnnStream::Impl {};

const OneDnnApi* load_onednn(std::string& reason) {
  reason = "libweir was built without the oneDNN headers (CMake option WEIR_DNNL_ROOT)";
  return nullptr;
}
std::string onednn_version(const OneDnnApi&) { return {}; }
int64_t onednn_rows(int64_t rows) { return rows; }
OneDnnMatrix::OneDnnMatrix(const OneDnnApi&, const float*, int64_t, int64_t, int) {}
OneDnnMatrix::~OneDnnMatrix() = default;
OneDnnStream::OneDnnStream(const OneDnnApi&, int) {}
OneDnnStream::~OneDnnStream() = default;
void OneDnnStream::multiply(const OneDnnMatrix&, const float*, int64_t, float*) {
  throw Error(WEIR_INTERNAL, "oneDNN is not there");
}

}  // namespace weir::cpu

#endif
