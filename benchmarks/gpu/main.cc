// The CUDA backend against the ceilings of the device: benchmarks/gpu/run builds and runs it.
#include <cuda_runtime_api.h>

#include <chrono>
#include <cstdio>
#include <ctime>
#include <exception>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "backend/cuda/error.h"
#include "ceilings.h"
#include "gpu.h"
#include "operators.h"
#include "options.h"
#include "results.h"
#include "steps.h"

namespace {

using namespace weir;
using namespace weir::benchmark;

std::string now() {
  const std::time_t time = std::time(nullptr);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", std::gmtime(&time));
  return text;
}

std::string joined(int argc, char** argv) {
  std::string line;
  for (int i = 0; i < argc; i++) line += (i > 0 ? " " : "") + std::string(argv[i]);
  return line;
}

// 0 if everything that was asked for was measured or left out for a reason that was printed.
int run(const Options& options, const std::string& command) {
  const auto started = std::chrono::steady_clock::now();
  const std::function<bool()> expired = [&] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count() >
           options.budget_seconds;
  };
  Report report;
  report.header()["started"] = now();
  report.header()["command"] = command;
  report.header()["commit"] = options.commit;
#ifdef WEIR_EMULATED
  report.header()["emulated"] = true;
  std::puts("on the emulator of the CUDA runtime: the figures mean nothing and are not to be recorded");
#endif
  if (options.smoke) report.header()["smoke"] = true;
  report.header()["precision"] = options.precision;

  weir_device_options device{};
  device.struct_size = sizeof device;
  device.kind = WEIR_DEVICE_CUDA;
  device.precision = options.precision == "bf16" ? WEIR_PRECISION_BF16 : WEIR_PRECISION_FP16;
  std::unique_ptr<Backend> backend = open_backend(device);
  report.header()["device"] = describe_device();
  weir_device_info info{};
  backend->describe(info);
  report.header()["matmul"] = info.matmul;
  std::printf("%s\n%s\n", report.header()["device"].dump().c_str(), info.matmul);

  int status = 0;
  const auto stage = [&](const char* name, const std::function<void()>& measure) {
    try {
      measure();
    } catch (const std::exception& error) {
      report.skip(name, error.what());
      status = 1;
    }
    report.header()["ended"] = now();
    report.write(options.json);
  };
  Ceilings ceilings;
  stage("ceilings", [&] { ceilings = measure_ceilings(options, report); });
  if (options.measures("operators")) {
    stage("operators", [&] { measure_operators(*backend, ceilings, options, expired, report); });
  }
  backend.reset();
  if (options.measures("steps")) {
    stage("steps", [&] { measure_steps(ceilings, options, expired, report); });
  }
  std::puts("\n== goals");
  for (const std::string& line : report.summary()) std::puts(line.c_str());
  return status;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const Options options = parse_options(std::vector<std::string>(argv + 1, argv + argc));
    if (options.help) {
      std::fputs(kHelp, stdout);
      return 0;
    }
    return run(options, joined(argc, argv));
  } catch (const std::invalid_argument& error) {
    std::fprintf(stderr, "%s\n%s", error.what(), kHelp);
    return 2;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
