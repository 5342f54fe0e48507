// The command line of the benchmark program.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace weir::benchmark {

struct Options {
  std::vector<std::string> measure;  // of "operators", "steps"; empty: both. The ceilings always come first
  std::vector<int64_t> batches = {1, 8, 32, 64, 128, 256};
  std::vector<int64_t> contexts = {128, 512, 1024, 4096};
  std::vector<int64_t> rows = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 2048};
  std::vector<int64_t> prompts = {512, 2048, 4096};
  std::vector<std::string> operators;  // beginnings of their names; empty: all
  std::vector<std::string> kv = {"fp16", "int8", "fp8"};
  std::string precision = "fp16";  // of weights and activations; fp16 or bf16
  int samples = 15;                // timings of each point
  double budget_seconds = 1e9;     // after which no further point is begun
  bool smoke = false;              // tiny shapes, to see that everything runs
  bool help = false;
  std::string json;
  std::string commit;  // what was built, for the JSON
  std::string model;   // folder of Llama-2-7B's config.json

  bool measures(const std::string& part) const;
  // Whether an operator of this name was asked for.
  bool wants(const std::string& name) const;
};

extern const char* const kHelp;

// Throws std::invalid_argument with what is wrong. `arguments` without the name of the program.
Options parse_options(const std::vector<std::string>& arguments);

}  // namespace weir::benchmark
