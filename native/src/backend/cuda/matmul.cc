#include "backend/cuda/matmul.h"

#include <algorithm>
#include <array>
#include <functional>
#include <utility>

#include "backend/cuda/error.h"
#include "backend/cuda/graphs.h"
#include "backend/cuda/operators.h"
#include "core/error.h"

namespace weir::cuda {
namespace {

constexpr const char* kMultiplying = "multiplying by a weight";

// Proposals of cuBLASLt that are timed.
constexpr int kProposals = 8;
// More rows than this are not timed: with so much to compute the first proposal is good.
constexpr int64_t kTimedRows = kLargestDecodeBucket;
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
  Choice choice;
  // For cuBLASLt.
  struct Layouts {
    Layout weight, x, out;
  };
  std::unique_ptr<Layouts> layouts;
};

struct Matmul::Session {
  explicit Session(std::shared_ptr<const CublasLt> cublaslt) : library(std::move(cublaslt)) {}
  ~Session() {
    if (preference != nullptr) library->MatmulPreferenceDestroy(preference);
    if (description != nullptr) library->MatmulDescDestroy(description);
    if (handle != nullptr) library->Destroy(handle);
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  std::shared_ptr<const CublasLt> library;
  lt::Handle handle = nullptr;
  lt::MatmulDesc description = nullptr;
  lt::MatmulPreference preference = nullptr;
};

size_t Matmul::ShapeHash::operator()(const Shape& shape) const {
  size_t hash = shape.gated ? 1 : 0;
  for (const int64_t value :
       {shape.out, shape.in, shape.rows, int64_t{static_cast<int32_t>(shape.out_type)}}) {
    hash = hash * 0x9E3779B97F4A7C15u + std::hash<int64_t>{}(value);
  }
  return hash;
}

Matmul::Matmul(std::shared_ptr<const Device> device, void* workspace)
    : device_(std::move(device)),
      workspace_(workspace),
      session_(std::make_unique<Session>(device_->cublaslt())) {
  constexpr const char* kOpening = "opening cuBLASLt";
  const CublasLt& library = *session_->library;
  check_cublaslt(library.Create(&session_->handle), kOpening);
  check_cublaslt(library.MatmulDescCreate(&session_->description, lt::kCompute32F, lt::kR32F), kOpening);
  const int transposed = lt::kT;
  check_cublaslt(
      library.MatmulDescSetAttribute(session_->description, lt::kTransA, &transposed, sizeof transposed),
      kOpening);
  check_cublaslt(library.MatmulPreferenceCreate(&session_->preference), kOpening);
  const uint64_t bytes = static_cast<uint64_t>(workspace_bytes(*device_));
  check_cublaslt(library.MatmulPreferenceSetAttribute(session_->preference, lt::kMaxWorkspaceBytes, &bytes,
                                                      sizeof bytes),
                 kOpening);
  // Partial sums are not rounded to 16 bits.
  const uint32_t reduction = lt::kReduceInComputeType;
  check_cublaslt(library.MatmulPreferenceSetAttribute(session_->preference, lt::kReductionSchemeMask,
                                                      &reduction, sizeof reduction),
                 kOpening);
}

Matmul::~Matmul() = default;

// As NVIDIA recommends for the architecture.
int64_t Matmul::workspace_bytes(const Device& device) {
  return int64_t{device.compute_capability() >= 90 ? 32 : 4} << 20;
}

std::unique_ptr<Matmul::Plan> Matmul::plan_for(const Shape& shape, const Choice& choice) const {
  auto plan = std::make_unique<Plan>();
  plan->choice = choice;
  if (choice.kind == Kind::kCublasLt) {
    const CublasLt& library = *session_->library;
    plan->layouts.reset(new Plan::Layouts{{library, device_->type(), shape.out, shape.in},
                                          {library, device_->type(), shape.rows, shape.in},
                                          {library, shape.out_type, shape.rows, shape.out}});
  }
  return plan;
}

std::unique_ptr<Matmul::Plan> Matmul::adapted_plan(const Shape& shape, const Choice& choice) const {
  if (choice.kind == Kind::kStreaming && shape.rows > kStreamedRows) return nullptr;
  if (choice.kind == Kind::kSkinny && shape.rows > kSkinnyRows) return nullptr;
  std::unique_ptr<Plan> plan = plan_for(shape, choice);
  if (choice.kind == Kind::kCublasLt) {
    const Plan::Layouts& layouts = *plan->layouts;
    lt::HeuristicResult result{};
    const lt::Status status = session_->library->MatmulAlgoCheck(
        session_->handle, session_->description, layouts.weight.get(), layouts.x.get(), layouts.out.get(),
        layouts.out.get(), &choice.algo, &result);
    if (status != 0 || result.workspace_bytes > static_cast<size_t>(workspace_bytes(*device_))) {
      return nullptr;
    }
  }
  return plan;
}

std::vector<Matmul::Choice> Matmul::proposals(const Shape& shape) const {
  std::array<lt::HeuristicResult, kProposals> results{};
  int found = 0;
  const std::unique_ptr<Plan> plan = plan_for(shape, {Kind::kCublasLt, {}});
  const Plan::Layouts& layouts = *plan->layouts;
  const lt::Status status = session_->library->MatmulAlgoGetHeuristic(
      session_->handle, session_->description, layouts.weight.get(), layouts.x.get(), layouts.out.get(),
      layouts.out.get(), session_->preference, kProposals, results.data(), &found);
  std::vector<Choice> choices;
  // It may have none for a shape; then there are the own kernels.
  if (status == lt::kNotSupported) return choices;
  check_cublaslt(status, kMultiplying);
  for (int i = 0; i < found; i++) {
    if (results[i].state == 0) choices.push_back({Kind::kCublasLt, results[i].algo});
  }
  return choices;
}

void Matmul::run(cudaStream_t stream, const Plan& plan, const Shape& shape, const Operands& operands) {
  const ElementType type = device_->type();
  const auto& [weight, x, scratch, out] = operands;
  // Own kernels for few rows do all of a gated multiplication at once.
  if (shape.gated && plan.choice.kind == Kind::kStreaming) {
    return streaming_gated_matmul(stream, type, weight, shape.out / 2, shape.in, x, shape.rows, out);
  }
  if (shape.gated && plan.choice.kind == Kind::kSkinny) {
    return skinny_gated_matmul(stream, type, weight, shape.out / 2, shape.in, x, shape.rows, out);
  }
  void* const product = shape.gated ? scratch : out;
  switch (plan.choice.kind) {
    case Kind::kStreaming:
      streaming_matmul(stream, type, weight, shape.out, shape.in, x, shape.rows, product, shape.out_type);
      break;
    case Kind::kSkinny:
      skinny_matmul(stream, type, weight, shape.out, shape.in, x, shape.rows, product, shape.out_type);
      break;
    case Kind::kTiled:
      tiled_matmul(stream, type, weight, shape.out, shape.in, x, shape.rows, product, shape.out_type);
      break;
    case Kind::kCublasLt: {
      const float one = 1;
      const float zero = 0;
      const Plan::Layouts& layouts = *plan.layouts;
      check_cublaslt(
          session_->library->Matmul(session_->handle, session_->description, &one, weight,
                                    layouts.weight.get(), x, layouts.x.get(), &zero, product,
                                    layouts.out.get(), product, layouts.out.get(), &plan.choice.algo,
                                    workspace_, static_cast<size_t>(workspace_bytes(*device_)), stream),
          kMultiplying);
      break;
    }
  }
  if (shape.gated) silu_multiply(stream, type, scratch, out, shape.rows, shape.out / 2);
}

float Matmul::milliseconds(cudaStream_t stream, const Plan& plan, const Shape& shape,
                           const Operands& operands) {
  const TimedEvent begin;
  const TimedEvent end;
  float shortest = 0;
  // The first is not counted: it loads the kernel.
  for (int i = 0; i <= kRepetitions; i++) {
    // In a step the weights come from device memory, as those of all other layers were read since the last
    // time: push out of the L2 cache what can be.
    check(cudaMemsetAsync(workspace_, 0, workspace_bytes(*device_), stream), kMultiplying);
    check(cudaEventRecord(begin.get(), stream), kMultiplying);
    run(stream, plan, shape, operands);
    check(cudaEventRecord(end.get(), stream), kMultiplying);
    check(cudaEventSynchronize(end.get()), kMultiplying);
    float elapsed = 0;
    check(cudaEventElapsedTime(&elapsed, begin.get(), end.get()), kMultiplying);
    if (i == 1 || (i > 1 && elapsed < shortest)) shortest = elapsed;
  }
  return shortest;
}

std::unique_ptr<Matmul::Plan> Matmul::fastest_plan(cudaStream_t stream, const Shape& shape,
                                                   const Operands& operands) {
  std::vector<Choice> choices;
  if (shape.rows <= kStreamedRows) choices.push_back({Kind::kStreaming, {}});
  if (shape.rows <= kSkinnyRows && shape.in % kSkinnyMultiple == 0) choices.push_back({Kind::kSkinny, {}});
  for (const Choice& choice : proposals(shape)) choices.push_back(choice);
  if (choices.empty()) choices.push_back({Kind::kTiled, {}});
  std::unique_ptr<Plan> best;
  float shortest = 0;
  for (const Choice& choice : choices) {
    std::unique_ptr<Plan> plan = plan_for(shape, choice);
    if (choices.size() == 1) return plan;
    float elapsed = 0;
    try {
      elapsed = milliseconds(stream, *plan, shape, operands);
    } catch (const Error&) {
      // A proposal of cuBLASLt that does not work here is none, unless the device has failed.
      check(cudaStreamSynchronize(stream), kMultiplying);
      if (choice.kind == Kind::kCublasLt) continue;
      throw;
    }
    if (best != nullptr && elapsed >= shortest) continue;
    best = std::move(plan);
    shortest = elapsed;
  }
  return best != nullptr ? std::move(best) : plan_for(shape, {Kind::kTiled, {}});
}

std::unique_ptr<Matmul::Plan> Matmul::make_plan(cudaStream_t stream, const Shape& shape,
                                                const Operands& operands) {
  if (device_->deterministic()) {
    // The same bits from both.
    const bool skinny = shape.rows <= kSkinnyRows && shape.in % kSkinnyMultiple == 0;
    return plan_for(shape, {skinny ? Kind::kSkinny : Kind::kTiled, {}});
  }
  if (shape.rows <= kTimedRows) {
    Shape bucket = shape;
    bucket.rows = decode_bucket(static_cast<int32_t>(shape.rows), kLargestDecodeBucket);
    const auto timed = timed_.find(bucket);
    if (timed == timed_.end()) {
      std::unique_ptr<Plan> plan = fastest_plan(stream, shape, operands);
      timed_.emplace(bucket, plan->choice);
      return plan;
    }
    if (std::unique_ptr<Plan> plan = adapted_plan(shape, timed->second)) return plan;
  }
  const std::vector<Choice> choices = proposals(shape);
  return plan_for(shape, choices.empty() ? Choice{} : choices.front());
}

const Matmul::Plan& Matmul::plan_of(cudaStream_t stream, const Shape& shape, const Operands& operands) {
  const auto found = plans_.find(shape);
  if (found != plans_.end()) return *found->second;
  cudaStreamCaptureStatus capture = cudaStreamCaptureStatusNone;
  check(cudaStreamIsCapturing(stream, &capture), kMultiplying);
  if (capture != cudaStreamCaptureStatusNone) {
    throw Error(WEIR_INTERNAL, "a multiplication that was never tried is being recorded");
  }
  return *plans_.emplace(shape, make_plan(stream, shape, operands)).first->second;
}

void Matmul::multiply(cudaStream_t stream, const CudaWeight& weight, const void* x, int64_t rows, void* out,
                      ElementType out_type) {
  const Shape shape{weight.rows(), weight.columns(), rows, out_type, false};
  const Operands operands{weight.data(), x, nullptr, out};
  run(stream, plan_of(stream, shape, operands), shape, operands);
}

void Matmul::gated(cudaStream_t stream, const CudaWeight& gate_up, const void* x, int64_t rows, void* scratch,
                   void* out) {
  const Shape shape{gate_up.rows(), gate_up.columns(), rows, device_->type(), true};
  const Operands operands{gate_up.data(), x, scratch, out};
  run(stream, plan_of(stream, shape, operands), shape, operands);
}

}  // namespace weir::cuda
