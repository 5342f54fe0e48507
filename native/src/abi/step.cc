#include <string>

#include "abi/guard.h"
#include "abi/objects.h"
#include "abi/options.h"

using namespace weir;
using namespace weir::abi;

namespace {

// Marks a step as running for as long as it lives.
class Running {
 public:
  explicit Running(StepObject& object) : object_(object) {
    if (object_.running.exchange(true)) throw invalid_argument("the step is being run by another thread");
  }
  ~Running() { object_.running = false; }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

 private:
  StepObject& object_;
};

}  // namespace

weir_status weir_step_create(weir_cache* cache, const weir_step_options* options, weir_step** step,
                             weir_error* error) {
  return guard(error, [&] {
    weir_step*& out = required(step, "step");
    const weir_step_options checked = checked_step_options(options);
    out = steps().insert(std::make_shared<StepObject>(caches().find(cache), checked));
  });
}

weir_status weir_step_buffers_get(weir_step* step, weir_step_buffers* buffers, weir_error* error) {
  return guard(error, [&] {
    weir_step_buffers& out = sized(buffers, "buffers");
    steps().find(step)->step.buffers(out);
  });
}

weir_status weir_step_run(weir_step* step, int32_t entries, weir_step_report* report, weir_error* error) {
  return guard(error, [&] {
    if (report != nullptr) sized(report, "report");
    const std::shared_ptr<StepObject> object = steps().find(step);
    const Running running(*object);
    object->step.run(entries, report);
  });
}

weir_status weir_step_logits(weir_step* step, int32_t entry, float* logits, int64_t capacity,
                             weir_error* error) {
  return guard(error, [&] {
    float* out = &required(logits, "logits");
    steps().find(step)->step.logits(entry, out, capacity);
  });
}

weir_status weir_step_close(weir_step* step, weir_error* error) {
  return guard(error, [&] { steps().remove(step); });
}
