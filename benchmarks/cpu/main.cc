// The operators of the CPU backend against the peaks of the machine.
#include <getopt.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <fstream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "backend/cpu/processor.h"
#include "core/error.h"
#include "machine.h"
#include "measure.h"
#include "operators.h"

namespace {

using namespace weir;
using namespace weir::benchmark;

constexpr const char* kHelp =
    "Usage: run [options]; lists are separated by commas\n"
    "  --models NAMES      r1b, 7b (both)\n"
    "  --precisions NAMES  fp32, bf16, int8 (those that the backend has)\n"
    "  --rows NUMBERS      tokens of a batch (1,4,8,16,32,64,128,512)\n"
    "  --contexts NUMBERS  tokens of each sequence, for attention (128,512,2048)\n"
    "  --operators NAMES   beginnings of operator names, such as matmul (all)\n"
    "  --threads NUMBER    operator threads (all processors)\n"
    "  --rounds NUMBER     timings of each operator, at least 3 (9)\n"
    "  --json FILE         write everything that was measured there, too\n";

struct Precision {
  const char* name;
  weir_precision value;
};
constexpr Precision kPrecisions[] = {
    {"fp32", WEIR_PRECISION_FP32}, {"bf16", WEIR_PRECISION_BF16}, {"int8", WEIR_PRECISION_INT8}};

struct Options {
  std::vector<std::string> models, precisions;
  Selection selection{{1, 4, 8, 16, 32, 64, 128, 512}, {128, 512, 2048}, {}, 9};
  int threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  std::string json;
};

[[noreturn]] void refuse(const std::string& message) {
  std::fprintf(stderr, "%s\n%s", message.c_str(), kHelp);
  std::exit(2);
}

std::vector<std::string> names(const std::string& list) {
  std::vector<std::string> parts;
  std::istringstream in(list);
  for (std::string part; std::getline(in, part, ',');) parts.push_back(part);
  return parts;
}

std::vector<int64_t> numbers(const std::string& list) {
  std::vector<int64_t> parts;
  for (const std::string& part : names(list)) {
    char* end = nullptr;
    const int64_t number = std::strtoll(part.c_str(), &end, 10);
    if (*end != '\0' || number < 1 || number > (1 << 20))
      refuse("'" + part + "' is not a number from 1 to 1048576");
    parts.push_back(number);
  }
  if (parts.empty()) refuse("a list of numbers is empty");
  return parts;
}

template <typename Known>
void require_known(const char* what, const std::vector<std::string>& given, const Known& known) {
  for (const std::string& name : given) {
    if (std::none_of(std::begin(known), std::end(known), [&](const auto& one) { return one.name == name; })) {
      refuse("there is no " + std::string(what) + " '" + name + "'");
    }
  }
}

// Whether `name` is in the list; an empty list stands for all.
bool chosen(const std::vector<std::string>& list, const std::string& name) {
  return list.empty() || std::find(list.begin(), list.end(), name) != list.end();
}

Options parse(int argc, char** argv) {
  enum { kModels = 1, kPrecision, kRows, kContexts, kOperators, kThreads, kRounds, kJson, kAskHelp };
  const option known[] = {{"models", 1, nullptr, kModels},       {"precisions", 1, nullptr, kPrecision},
                          {"rows", 1, nullptr, kRows},           {"contexts", 1, nullptr, kContexts},
                          {"operators", 1, nullptr, kOperators}, {"threads", 1, nullptr, kThreads},
                          {"rounds", 1, nullptr, kRounds},       {"json", 1, nullptr, kJson},
                          {"help", 0, nullptr, kAskHelp},        {nullptr, 0, nullptr, 0}};
  Options options;
  for (int found; (found = getopt_long(argc, argv, "", known, nullptr)) != -1;) {
    switch (found) {
      case kModels:
        options.models = names(optarg);
        break;
      case kPrecision:
        options.precisions = names(optarg);
        break;
      case kRows:
        options.selection.rows = numbers(optarg);
        break;
      case kContexts:
        options.selection.contexts = numbers(optarg);
        break;
      case kOperators:
        options.selection.operators = names(optarg);
        break;
      case kThreads:
        options.threads = static_cast<int>(numbers(optarg).front());
        break;
      case kRounds:
        options.selection.rounds = static_cast<int>(numbers(optarg).front());
        break;
      case kJson:
        options.json = optarg;
        break;
      case kAskHelp:
        std::fputs(kHelp, stdout);
        std::exit(0);
      default:
        refuse("");
    }
  }
  if (optind < argc) refuse(std::string("'") + argv[optind] + "' is not an option");
  require_known("model", options.models, models());
  require_known("precision", options.precisions, kPrecisions);
  return options;
}

std::string now() {
  const std::time_t time = std::time(nullptr);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", std::gmtime(&time));
  return text;
}

double load_average() {
  double load = 0;
  return getloadavg(&load, 1) == 1 ? load : 0;
}

std::string rate(double value, double scale) {
  if (value == 0) return "";
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", value / scale);
  return text;
}

nlohmann::ordered_json report(const std::vector<Machine::Peak>& measured) {
  std::printf("%-24s %8s %9s %9s %9s\n", "peak", "threads", "lowest", "median", "highest");
  nlohmann::ordered_json peaks = nlohmann::ordered_json::array();
  for (const Machine::Peak& peak : measured) {
    std::printf("%-24s %8d %9.1f %9.1f %9.1f %s\n", peak.name.c_str(), peak.threads, peak.lowest / 1e9,
                peak.median / 1e9, peak.highest / 1e9, peak.unit.c_str());
    peaks.push_back({{"name", peak.name},
                     {"unit", peak.unit},
                     {"threads", peak.threads},
                     {"lowest", peak.lowest / 1e9},
                     {"median", peak.median / 1e9},
                     {"highest", peak.highest / 1e9}});
  }
  std::printf("\n%-5s %-4s %-19s %5s %7s %11s %11s %7s %8s %-6s %6s\n", "model", "", "operator", "rows",
              "context", "median us", "best us", "GB/s", "Gop/s", "bound", "share");
  return peaks;
}

nlohmann::ordered_json report(const Result& result) {
  const double bytes = result.work.memory_bytes + result.work.cached_bytes;
  const std::string context = result.context > 0 ? std::to_string(result.context) : "";
  std::printf("%-5s %-4s %-19s %5lld %7s %11.1f %11.1f %7s %8s %-6s %5.0f%%\n", result.model.c_str(),
              result.precision.c_str(), result.op.c_str(), static_cast<long long>(result.rows),
              context.c_str(), result.median_seconds * 1e6, result.best_seconds * 1e6,
              rate(bytes / result.median_seconds, 1e9).c_str(),
              rate(result.work.operations / result.median_seconds, 1e9).c_str(), result.bound.c_str(),
              result.share * 100);
  std::fflush(stdout);
  nlohmann::ordered_json json = {{"model", result.model},
                                 {"precision", result.precision},
                                 {"operator", result.op},
                                 {"rows", result.rows},
                                 {"rounds", result.rounds},
                                 {"median_microseconds", result.median_seconds * 1e6},
                                 {"best_microseconds", result.best_seconds * 1e6},
                                 {"memory_bytes", result.work.memory_bytes},
                                 {"cached_bytes", result.work.cached_bytes},
                                 {"operations", result.work.operations},
                                 {"bound", result.bound},
                                 {"memory_gigabytes_per_second", result.memory_rate / 1e9},
                                 {"arithmetic_gigaoperations_per_second", result.arithmetic_rate / 1e9},
                                 {"share", result.share}};
  if (result.context > 0) json["context"] = result.context;
  return json;
}

void run(const Options& options) {
  const std::string started = now();
  const double load = load_average();
  Machine machine(options.threads);

  nlohmann::ordered_json json;
  json["started"] = started;
  json["processor"] = cpu::processor_name();
  json["threads"] = options.threads;
  json["load_average"] = load;  // of the minute before
  std::printf("%s, %s, %d threads, last-level cache %lld MiB, load average before %.1f\n\n", started.c_str(),
              cpu::processor_name().c_str(), options.threads,
              static_cast<long long>(machine.last_level_bytes() >> 20), load);
  json["peaks"] = report(machine.measure_peaks());
  nlohmann::ordered_json results = nlohmann::ordered_json::array();
  for (const Precision& precision : kPrecisions) {
    if (!chosen(options.precisions, precision.name)) continue;
    weir_device_options device{};
    device.struct_size = sizeof device;
    device.kind = WEIR_DEVICE_CPU;
    device.threads = options.threads;
    device.precision = precision.value;
    std::unique_ptr<Backend> backend;
    try {
      backend = open_backend(device);
    } catch (const Error& error) {
      std::fprintf(stderr, "%s is left out: %s\n", precision.name, error.what());
      continue;
    }
    weir_device_info info{};
    backend->describe(info);
    json["matmul"][precision.name] = info.matmul;
    for (const Model& model : models()) {
      if (!chosen(options.models, model.name)) continue;
      measure_operators(
          machine, *backend, precision.name, model, options.selection,
          [&](const Result& result) { results.push_back(report(result)); },
          [](const std::string& what) { std::fprintf(stderr, "left out: %s\n", what.c_str()); });
    }
  }
  json["results"] = std::move(results);
  json["ended"] = now();
  if (options.json.empty()) return;
  std::ofstream file(options.json);
  file << json.dump(1) << '\n';
  if (!file.flush()) throw std::runtime_error("cannot write " + options.json);
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = parse(argc, argv);
  try {
    run(options);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
