#include "emulator/control.h"

#include <algorithm>
#include <cstdio>

#include "runtime.h"

using namespace emulator;

namespace {

template <class Change>
void change(Change body) {
  Runtime& runtime = Runtime::instance();
  const std::lock_guard lock(runtime.mutex);
  body(runtime);
}

}  // namespace

void weir_emulator_reset() {
  change([](Runtime& runtime) { runtime.reset(); });
}

void weir_emulator_set_device_count(int32_t count) {
  change([=](Runtime& runtime) { runtime.settings.device_count = count; });
}

void weir_emulator_set_driver_missing(int32_t missing) {
  change([=](Runtime& runtime) { runtime.settings.driver_missing = missing != 0; });
}

void weir_emulator_set_device_memory(uint64_t bytes) {
  change([=](Runtime& runtime) { runtime.settings.memory_bytes = bytes; });
}

void weir_emulator_set_architecture(int32_t architecture) {
  change([=](Runtime& runtime) { runtime.settings.architecture = architecture; });
}

void weir_emulator_set_multiprocessors(int32_t multiprocessors) {
  change([=](Runtime& runtime) { runtime.settings.multiprocessors = multiprocessors; });
}

void weir_emulator_set_threads(int32_t threads) {
  change([=](Runtime& runtime) { runtime.settings.threads = std::clamp(threads, 1, 256); });
}

void weir_emulator_set_seed(uint64_t seed) {
  change([=](Runtime& runtime) { runtime.set_seed(seed); });
}

void weir_emulator_fail_call(const char* function, int64_t n, int32_t error, int32_t sticky) {
  change([=](Runtime& runtime) {
    if (n <= 0) {
      runtime.faults.calls.erase(function);
    } else {
      runtime.faults.calls[function] = {n, static_cast<cudaError_t>(error), sticky != 0};
    }
  });
}

void weir_emulator_fail_launch(int64_t n, int32_t error) {
  change([=](Runtime& runtime) {
    runtime.faults.launch_countdown = n;
    runtime.faults.launch_error = static_cast<cudaError_t>(error);
  });
}

void weir_emulator_hang_launch(int64_t n, int64_t milliseconds) {
  change([=](Runtime& runtime) {
    runtime.faults.hang_countdown = n;
    runtime.faults.hang = std::chrono::milliseconds(milliseconds);
  });
}

void weir_emulator_get_counters(weir_emulator_counters* counters) {
  change([=](Runtime& runtime) {
    *counters = runtime.counters;
    counters->live_allocations = runtime.device_memory.count();
    counters->live_bytes = runtime.device_memory.bytes();
    counters->live_pinned = runtime.pinned_memory.count();
    counters->live_streams = runtime.streams.all().size();
    counters->live_events = runtime.events.all().size();
    counters->live_graphs = runtime.graphs.all().size() + runtime.executables.all().size();
  });
}

void weir_emulator_last_message(char* text, uint64_t size) {
  change([=](Runtime& runtime) { std::snprintf(text, size, "%s", runtime.message.c_str()); });
}
