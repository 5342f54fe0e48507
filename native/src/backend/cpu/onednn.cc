#include "backend/cpu/onednn.h"

#include "core/error.h"

#if defined(WEIR_WITH_ONEDNN)

#include <dlfcn.h>

#include <array>
#include <cstdlib>
#include <string_view>
#include <unordered_map>
#include <utility>

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
  X(dnnl_primitive_desc_query)               \
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
  // OpenMP's, if the library uses that; otherwise null.
  int (*get_max_threads)();
  void (*set_num_threads)(int);
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

Description row_major(const OneDnnApi& api, dnnl_data_type_t type, int64_t rows, int64_t columns,
                      int64_t stride) {
  const dnnl_dims_t dims = {rows, columns};
  const dnnl_dims_t strides = {stride, 1};
  dnnl_memory_desc_t description = nullptr;
  check(api.dnnl_memory_desc_create_with_strides(&description, 2, dims, type, strides), "memory description");
  return {description, api.dnnl_memory_desc_destroy};
}

// Weights of `in` inputs and `out` outputs.
Description with_tag(const OneDnnApi& api, dnnl_data_type_t type, int64_t in, int64_t out,
                     dnnl_format_tag_t tag) {
  const dnnl_dims_t dims = {in, out};
  dnnl_memory_desc_t description = nullptr;
  check(api.dnnl_memory_desc_create_with_tag(&description, 2, dims, type, tag), "memory description");
  return {description, api.dnnl_memory_desc_destroy};
}

Owned<dnnl_memory_t> memory(const OneDnnApi& api, const_dnnl_memory_desc_t description, void* data) {
  dnnl_memory_t result = nullptr;
  check(api.dnnl_memory_create(&result, description, api.engine, data), "memory object");
  return {result, api.dnnl_memory_destroy};
}

// The library takes its number of threads from the calling thread's OpenMP setting, which is the caller's to
// keep.
class OneThread {
 public:
  explicit OneThread(const OneDnnApi& api) : api_(api) {
    if (api.set_num_threads == nullptr || api.get_max_threads == nullptr) return;
    before_ = api.get_max_threads();
    if (before_ != 1) api.set_num_threads(1);
  }
  ~OneThread() {
    if (before_ != 1) api_.set_num_threads(before_);
  }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  const OneDnnApi& api_;
  int before_ = 1;
};

struct FreeDeleter {
  void operator()(void* data) const { std::free(data); }
};
using Bytes = std::unique_ptr<void, FreeDeleter>;

Bytes allocate_bytes(size_t bytes, const char* use) {
  void* data = nullptr;
  if (posix_memalign(&data, 64, bytes < 64 ? 64 : bytes) != 0) {
    throw Error(WEIR_OUT_OF_MEMORY, "no memory for the " + std::to_string(bytes) + " bytes of " + use,
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
  api->get_max_threads = reinterpret_cast<int (*)()>(dlsym(library, "omp_get_max_threads"));
  api->set_num_threads = reinterpret_cast<void (*)(int)>(dlsym(library, "omp_set_num_threads"));
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

namespace {

// A multiplication as the library compiles it.
struct Shape {
  dnnl_data_type_t x_type;
  dnnl_data_type_t out_type;
  int64_t rows, in, out, x_stride, out_stride;

  bool operator==(const Shape&) const = default;
};

struct ShapeHash {
  size_t operator()(const Shape& s) const {
    size_t hash = static_cast<size_t>(s.x_type);
    for (const int64_t n : {s.rows, s.in, s.out, s.x_stride, s.out_stride}) {
      hash = hash * 1000003 + static_cast<size_t>(n);
    }
    return hash;
  }
};

Owned<dnnl_primitive_desc_t> describe(const OneDnnApi& api, const Shape& shape,
                                      const_dnnl_memory_desc_t weights) {
  const Description x = row_major(api, shape.x_type, shape.rows, shape.in, shape.x_stride);
  const Description result = row_major(api, shape.out_type, shape.rows, shape.out, shape.out_stride);
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

// The layout of a matrix of floats that the library likes for a batch of this many rows; it serves the others
// as well.
Description preferred_layout(const OneDnnApi& api, int64_t in, int64_t out) {
  constexpr int64_t kRows = 32;
  const Description any = with_tag(api, dnnl_f32, in, out, dnnl_format_tag_any);
  const auto description = describe(api, {dnnl_f32, dnnl_f32, kRows, in, out, in, out}, any.get());
  dnnl_memory_desc_t layout = nullptr;
  check(api.dnnl_memory_desc_clone(
            &layout, api.dnnl_primitive_desc_query_md(description.get(), dnnl_query_weights_md, 0)),
        "weights description");
  return {layout, api.dnnl_memory_desc_destroy};
}

}  // namespace

bool onednn_multiplies_packed(const OneDnnApi& api) {
  constexpr int64_t kSize = 128;
  const OneThread setting(api);
  // Whether it has more than its reference loops for this.
  const auto has_kernel = [&](dnnl_data_type_t x, dnnl_data_type_t weights, dnnl_data_type_t out,
                              dnnl_format_tag_t tag) {
    const auto description = describe(api, {x, out, kSize, kSize, kSize, kSize, 2 * kSize},
                                      with_tag(api, weights, kSize, kSize, tag).get());
    const char* name = "ref";
    check(api.dnnl_primitive_desc_query(description.get(), dnnl_query_impl_info_str, 0,
                                        static_cast<void*>(&name)),
          "name of a matmul");
    return std::string_view(name).substr(0, 3) != "ref";
  };
  try {
    return has_kernel(dnnl_bf16, dnnl_bf16, dnnl_f32, dnnl_BA16a64b2a) &&
           has_kernel(dnnl_u8, dnnl_s8, dnnl_s32, dnnl_BA16a64b4a);
  } catch (const Error&) {
    return false;
  }
}

struct OneDnnMatrix::Impl {
  int64_t out;
  int64_t in;
  Description layout;
  Bytes packed;
};

OneDnnMatrix::OneDnnMatrix(const OneDnnApi& api, const float* weight, int64_t out, int64_t in)
    : impl_(std::make_unique<Impl>(Impl{out, in, {}, {}})) {
  const OneThread setting(api);
  impl_->layout = preferred_layout(api, in, out);
  const dnnl_memory_desc_t layout = impl_->layout.get();
  impl_->packed = allocate_bytes(api.dnnl_memory_desc_get_size(layout), "a packed matrix");

  const dnnl_dims_t dims = {in, out};
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
  // One shape, compiled, with its argument objects; only their addresses change from call to call.
  struct Call {
    Owned<dnnl_primitive_t> primitive;
    Description x_layout, weights_layout, out_layout, scratch_layout;
    Owned<dnnl_memory_t> x, weights, out, scratch;
  };

  const OneDnnApi& api;
  Owned<dnnl_stream_t> stream;
  std::unordered_map<Shape, Call, ShapeHash> calls;
  Bytes scratch;
  size_t scratch_bytes = 0;

  explicit Impl(const OneDnnApi& a) : api(a) {}

  // `layout` makes the layout of the weights.
  template <typename Layout>
  void multiply(const Shape& shape, const Layout& layout, const void* packed, const void* x, void* out) {
    const OneThread setting(api);
    auto found = calls.find(shape);
    if (found == calls.end()) found = calls.emplace(shape, compile(shape, layout())).first;
    const Call& call = found->second;
    check(api.dnnl_memory_set_data_handle(call.x.get(), const_cast<void*>(x)), "argument");
    check(api.dnnl_memory_set_data_handle(call.weights.get(), const_cast<void*>(packed)), "argument");
    check(api.dnnl_memory_set_data_handle(call.out.get(), out), "argument");
    check(api.dnnl_memory_set_data_handle(call.scratch.get(), scratch.get()), "argument");
    const std::array<dnnl_exec_arg_t, 4> arguments = {{{DNNL_ARG_SRC, call.x.get()},
                                                       {DNNL_ARG_WEIGHTS, call.weights.get()},
                                                       {DNNL_ARG_DST, call.out.get()},
                                                       {DNNL_ARG_SCRATCHPAD, call.scratch.get()}}};
    check(api.dnnl_primitive_execute(call.primitive.get(), stream.get(), static_cast<int>(arguments.size()),
                                     arguments.data()),
          "matmul");
    check(api.dnnl_stream_wait(stream.get()), "matmul");
  }

  Call compile(const Shape& shape, Description weights) {
    const auto description = describe(api, shape, weights.get());
    Call call;
    call.x_layout = row_major(api, shape.x_type, shape.rows, shape.in, shape.x_stride);
    call.weights_layout = std::move(weights);
    call.out_layout = row_major(api, shape.out_type, shape.rows, shape.out, shape.out_stride);
    dnnl_memory_desc_t layout = nullptr;
    check(api.dnnl_memory_desc_clone(
              &layout, api.dnnl_primitive_desc_query_md(description.get(), dnnl_query_scratchpad_md, 0)),
          "scratchpad description");
    call.scratch_layout = Description(layout, api.dnnl_memory_desc_destroy);
    const size_t bytes = api.dnnl_memory_desc_get_size(layout);
    if (bytes > scratch_bytes) {
      scratch = allocate_bytes(bytes, "scratch memory of oneDNN");
      scratch_bytes = bytes;
    }
    dnnl_primitive_t primitive = nullptr;
    check(api.dnnl_primitive_create(&primitive, description.get()), "matmul");
    call.primitive = Owned<dnnl_primitive_t>(primitive, api.dnnl_primitive_destroy);
    call.x = memory(api, call.x_layout.get(), DNNL_MEMORY_NONE);
    call.weights = memory(api, call.weights_layout.get(), DNNL_MEMORY_NONE);
    call.out = memory(api, call.out_layout.get(), DNNL_MEMORY_NONE);
    call.scratch = memory(api, call.scratch_layout.get(), DNNL_MEMORY_NONE);
    return call;
  }
};

OneDnnStream::OneDnnStream(const OneDnnApi& api) : impl_(std::make_unique<Impl>(api)) {
  dnnl_stream_t stream = nullptr;
  check(api.dnnl_stream_create(&stream, api.engine, dnnl_stream_default_flags), "stream");
  impl_->stream = Owned<dnnl_stream_t>(stream, api.dnnl_stream_destroy);
}

OneDnnStream::~OneDnnStream() = default;

void OneDnnStream::multiply(const OneDnnMatrix& matrix, const float* x, int64_t rows, float* out,
                            int64_t out_stride) {
  const OneDnnMatrix::Impl& m = *matrix.impl_;
  impl_->multiply(
      {dnnl_f32, dnnl_f32, onednn_rows(rows), m.in, m.out, m.in, out_stride},
      [&] { return preferred_layout(impl_->api, m.in, m.out); }, m.packed.get(), x, out);
}

void OneDnnStream::multiply(const Bfloat16* packed, int64_t width, int64_t in, const Bfloat16* x,
                            int64_t rows, float* out, int64_t out_stride) {
  impl_->multiply(
      {dnnl_bf16, dnnl_f32, rows, in, width, in, out_stride},
      [&] { return with_tag(impl_->api, dnnl_bf16, in, width, dnnl_BA16a64b2a); }, packed, x, out);
}

void OneDnnStream::multiply(const int8_t* packed, int64_t width, int64_t in, const uint8_t* x,
                            int64_t x_stride, int64_t rows, int32_t* out, int64_t out_stride) {
  impl_->multiply(
      {dnnl_u8, dnnl_s32, rows, in, width, x_stride, out_stride},
      [&] { return with_tag(impl_->api, dnnl_s8, in, width, dnnl_BA16a64b4a); }, packed, x, out);
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
bool onednn_multiplies_packed(const OneDnnApi&) { return false; }
int64_t onednn_rows(int64_t rows) { return rows; }
OneDnnMatrix::OneDnnMatrix(const OneDnnApi&, const float*, int64_t, int64_t) {}
OneDnnMatrix::~OneDnnMatrix() = default;
OneDnnStream::OneDnnStream(const OneDnnApi&) {}
OneDnnStream::~OneDnnStream() = default;
void OneDnnStream::multiply(const OneDnnMatrix&, const float*, int64_t, float*, int64_t) {
  throw Error(WEIR_INTERNAL, "oneDNN is not there");
}
void OneDnnStream::multiply(const Bfloat16*, int64_t, int64_t, const Bfloat16*, int64_t, float*, int64_t) {
  throw Error(WEIR_INTERNAL, "oneDNN is not there");
}
void OneDnnStream::multiply(const int8_t*, int64_t, int64_t, const uint8_t*, int64_t, int64_t, int32_t*,
                            int64_t) {
  throw Error(WEIR_INTERNAL, "oneDNN is not there");
}

}  // namespace weir::cpu

#endif
