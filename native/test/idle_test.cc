// Threads that have nothing to do must not burn a core.
#include <doctest/doctest.h>
#include <sys/resource.h>

#include <chrono>
#include <filesystem>
#include <iterator>
#include <thread>
#include <vector>

#include "abi_support.h"

using namespace weir::test;

namespace {

// Processor time of the whole process, in seconds.
double processor_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         1e-6 * static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

}  // namespace

TEST_CASE("idle: devices that ask for no number of threads share theirs") {
  const auto threads = [] {
    const std::filesystem::directory_iterator tasks("/proc/self/task");
    return std::distance(begin(tasks), end(tasks));
  };
  const Device first(WEIR_DEVICE_CPU, 0);
  const auto with_one = threads();
  const Device second(WEIR_DEVICE_CPU, 0);
  const Device third(WEIR_DEVICE_CPU, 0, WEIR_PRECISION_FP32);
  CHECK(threads() == with_one);
  const Device own(WEIR_DEVICE_CPU, 3);
  CHECK(threads() == with_one + 2);
}

TEST_CASE("idle: after a step the operator threads sleep") {
  Device device(WEIR_DEVICE_CPU, 2);
  Model model(device, model_directory());
  Cache cache(model, 16, 100);
  Step step(cache, 1, 512);
  const std::vector<int32_t> tokens(400, 3);
  const weir_sequence sequence = cache.create();
  step.clear();
  step.add(sequence, tokens.data(), 400);  // long enough to be shared by the threads
  REQUIRE(step.run() == WEIR_OK);
  const double before = processor_seconds();
  const auto idle = std::chrono::milliseconds(500);
  std::this_thread::sleep_for(idle);
  CHECK(processor_seconds() - before < 0.1);
}
