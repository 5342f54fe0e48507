#include "backend/cuda/matmul.h"

#include <array>
#include <functional>
#include <utility>
#include <vector>

#include "backend/cuda/error.h"
#include "backend/cuda/operators.h"
#include "core/error.h"

namespace weir::cuda {
namespace {

constexpr const char* kMultiplying = "multiplying by a weight";

// Proposals of cuBLASLt that are timed.
constexpr int kProposals = 8;
// More rows than this are not timed: the first proposal is good then, and a serving engine sees every size.
constexpr int64_t kTimedRows = 256;
constexpr int kRepetitions = 3;

lt::DataType data_type_of(ElementType type) {
  switch (type) {
    case ElementType::kF16:
      return lt::kR16F;
    case ElementType::kBf16:
      return lt::kR16BF;
    default:
      return lt::kR32F;
  }
}

// cuBLASLt's matrices are column-major: the transposes of ours.
class Layout {
 public:
  Layout(const CublasLt& library, ElementType type, int64_t rows, int64_t columns) : library_(library) {
    check_cublaslt(library_.MatrixLayoutCreate(&layout_, data_type_of(type), static_cast<uint64_t>(columns),
                                               static_cast<uint64_t>(rows), columns),
                   kMultiplying);
  }
  ~Layout() { library_.MatrixLayoutDestroy(layout_); }
  Layout(const Layout&) = delete;
  Layout& operator=(const Layout&) = delete;
  lt::MatrixLayout get() const { return layout_; }

 private:
  const CublasLt& library_;
  lt::MatrixLayout layout_ = nullptr;
};

// For timing.
class TimedEvent {
 public:
  TimedEvent() { check(cudaEventCreateWithFlags(&event_, cudaEventDefault), kMultiplying); }
  ~TimedEvent() { cudaEventDestroy(event_); }
  TimedEvent(const TimedEvent&) = delete;
  TimedEvent& operator=(const TimedEvent&) = delete;
  cudaEvent_t get() const { return event_; }

 private:
  cudaEvent_t event_ = nullptr;
};

}  // namespace

struct Matmul::Plan {
  Kind kind = Kind::kTiled;
  // For cuBLASLt.
  struct Layouts {
    Layout weight, x, out;
  };
  std::unique_ptr<Layouts> layouts;
  lt::Algo algo{};
};

size_t Matmul::ShapeHash::operator()(const Shape& shape) const {
  size_t hash = 0;
  for (const int64_t value :
       {shape.out, shape.in, shape.rows, int64_t{static_cast<int32_t>(shape.out_type)}}) {
    hash = hash * 0x9E3779B97F4A7C15u + std::hash<int64_t>{}(value);
  }
  return hash;
}

Matmul::Matmul(std::shared_ptr<const Device> device, void* workspace)
    : device_(std::move(device)), workspace_(workspace) {
  const CublasLt& library = *device_->cublaslt();
  check_cublaslt(library.Create(&handle_), "opening cuBLASLt");
  check_cublaslt(library.MatmulDescCreate(&description_, lt::kCompute32F, lt::kR32F), "opening cuBLASLt");
  const int transposed = lt::kT;
  check_cublaslt(library.MatmulDescSetAttribute(description_, lt::kTransA, &transposed, sizeof transposed),
                 "opening cuBLASLt");
  check_cublaslt(library.MatmulPreferenceCreate(&preference_), "opening cuBLASLt");
  const size_t bytes = static_cast<size_t>(workspace_bytes(*device_));
  check_cublaslt(
      library.MatmulPreferenceSetAttribute(preference_, lt::kMaxWorkspaceBytes, &bytes, sizeof bytes),
      "opening cuBLASLt");
}

Matmul::~Matmul() {
  plans_.clear();
  const CublasLt& library = *device_->cublaslt();
  if (preference_ != nullptr) library.MatmulPreferenceDestroy(preference_);
  if (description_ != nullptr) library.MatmulDescDestroy(description_);
  if (handle_ != nullptr) library.Destroy(handle_);
}

// As NVIDIA recommends for the architecture.
int64_t Matmul::workspace_bytes(const Device& device) {
  return int64_t{device.compute_capability() >= 90 ? 32 : 4} << 20;
}

std::unique_ptr<Matmul::Plan> Matmul::cublaslt_plan(const Shape& shape, const lt::HeuristicResult& result) {
  const CublasLt& library = *device_->cublaslt();
  auto plan = std::make_unique<Plan>();
  plan->kind = Kind::kCublasLt;
  plan->layouts.reset(new Plan::Layouts{{library, device_->type(), shape.out, shape.in},
                                        {library, device_->type(), shape.rows, shape.in},
                                        {library, shape.out_type, shape.rows, shape.out}});
  plan->algo = result.algo;
  return plan;
}

void Matmul::run(cudaStream_t stream, const Plan& plan, const Shape& shape, const void* weight, const void* x,
                 void* out) {
  switch (plan.kind) {
    case Kind::kStreaming:
      return streaming_matmul(stream, device_->type(), weight, shape.out, shape.in, x, shape.rows, out,
                              shape.out_type);
    case Kind::kTiled:
      return tiled_matmul(stream, device_->type(), weight, shape.out, shape.in, x, shape.rows, out,
                          shape.out_type);
    case Kind::kCublasLt: {
      const float one = 1;
      const float zero = 0;
      const Plan::Layouts& layouts = *plan.layouts;
      return check_cublaslt(device_->cublaslt()->Matmul(
                                handle_, description_, &one, weight, layouts.weight.get(), x, layouts.x.get(),
                                &zero, out, layouts.out.get(), out, layouts.out.get(), &plan.algo, workspace_,
                                static_cast<size_t>(workspace_bytes(*device_)), stream),
                            kMultiplying);
    }
  }
}

float Matmul::milliseconds(cudaStream_t stream, const Plan& plan, const Shape& shape, const void* weight,
                           const void* x, void* out) {
  const TimedEvent begin;
  const TimedEvent end;
  run(stream, plan, shape, weight, x, out);
  check(cudaEventRecord(begin.get(), stream), kMultiplying);
  for (int i = 0; i < kRepetitions; i++) run(stream, plan, shape, weight, x, out);
  check(cudaEventRecord(end.get(), stream), kMultiplying);
  check(cudaEventSynchronize(end.get()), kMultiplying);
  float elapsed = 0;
  check(cudaEventElapsedTime(&elapsed, begin.get(), end.get()), kMultiplying);
  return elapsed / kRepetitions;
}

std::unique_ptr<Matmul::Plan> Matmul::make_plan(cudaStream_t stream, const Shape& shape, const void* weight,
                                                const void* x, void* out) {
  std::vector<std::unique_ptr<Plan>> plans;
  const auto add = [&](Kind kind) {
    plans.push_back(std::make_unique<Plan>());
    plans.back()->kind = kind;
  };
  if (device_->deterministic()) {
    add(Kind::kTiled);
    return std::move(plans.front());
  }
  // One row is memory-bound whatever multiplies, and the own kernel reads nothing twice.
  if (shape.rows <= kStreamedRows) add(Kind::kStreaming);
  if (shape.rows == 1) return std::move(plans.front());

  std::array<lt::HeuristicResult, kProposals> proposals{};
  int found = 0;
  {
    const auto layouts = cublaslt_plan(shape, proposals[0]);
    const Plan::Layouts& l = *layouts->layouts;
    const lt::Status status = device_->cublaslt()->MatmulAlgoGetHeuristic(
        handle_, description_, l.weight.get(), l.x.get(), l.out.get(), l.out.get(), preference_, kProposals,
        proposals.data(), &found);
    // It may have none for a shape; then there is the own kernel.
    constexpr lt::Status kNotSupported = 15;
    if (status == kNotSupported) found = 0;
    if (status != kNotSupported) check_cublaslt(status, kMultiplying);
  }
  for (int i = 0; i < found; i++) {
    if (proposals[i].state == 0) plans.push_back(cublaslt_plan(shape, proposals[i]));
  }
  if (shape.rows > kTimedRows && !plans.empty()) return std::move(plans.front());
  add(Kind::kTiled);
  if (plans.size() == 1) return std::move(plans.front());

  std::unique_ptr<Plan> best;
  float shortest = 0;
  for (std::unique_ptr<Plan>& plan : plans) {
    const float elapsed = milliseconds(stream, *plan, shape, weight, x, out);
    if (best != nullptr && elapsed >= shortest) continue;
    best = std::move(plan);
    shortest = elapsed;
  }
  return best;
}

const Matmul::Plan& Matmul::plan_of(cudaStream_t stream, const Shape& shape, const void* weight,
                                    const void* x, void* out) {
  const auto found = plans_.find(shape);
  if (found != plans_.end()) return *found->second;
  cudaStreamCaptureStatus capture = cudaStreamCaptureStatusNone;
  check(cudaStreamIsCapturing(stream, &capture), kMultiplying);
  if (capture != cudaStreamCaptureStatusNone) {
    throw Error(WEIR_INTERNAL, "a multiplication that was never tried is being recorded");
  }
  return *plans_.emplace(shape, make_plan(stream, shape, weight, x, out)).first->second;
}

void Matmul::multiply(cudaStream_t stream, const CudaWeight& weight, const void* x, int64_t rows, void* out,
                      ElementType out_type) {
  const Shape shape{weight.rows(), weight.columns(), rows, out_type};
  run(stream, plan_of(stream, shape, weight.data(), x, out), shape, weight.data(), x, out);
}

void Matmul::gated(cudaStream_t stream, const CudaWeight& gate_up, const void* x, int64_t rows, void* scratch,
                   void* out) {
  const Shape shape{gate_up.rows(), gate_up.columns(), rows, device_->type()};
  const Plan& plan = plan_of(stream, shape, gate_up.data(), x, scratch);
  if (plan.kind == Kind::kStreaming) {
    streaming_gated_matmul(stream, device_->type(), gate_up.data(), gate_up.rows() / 2, gate_up.columns(), x,
                           rows, out);
    return;
  }
  run(stream, plan, shape, gate_up.data(), x, scratch);
  silu_multiply(stream, device_->type(), scratch, out, rows, gate_up.rows() / 2);
}

}  // namespace weir::cuda
