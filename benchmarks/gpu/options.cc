#include "options.h"

#include <algorithm>
#include <functional>
#include <map>
#include <sstream>
#include <stdexcept>

namespace weir::benchmark {

const char* const kHelp =
    "Usage: weir_gpu_benchmark [options]; lists are separated by commas\n"
    "  --measure NAMES      operators, steps (both); the ceilings of the device are measured first in any "
    "case\n"
    "  --operators NAMES    beginnings of operators' names, such as decode or matmul (all)\n"
    "  --batches NUMBERS    sequences of decode steps (1,8,32,64,128,256)\n"
    "  --contexts NUMBERS   tokens of each of them (128,512,1024,4096)\n"
    "  --rows NUMBERS       rows of multiplications (1,2,4,8,16,32,64,128,256,512,2048)\n"
    "  --prompts NUMBERS    tokens of prefills (512,2048,4096)\n"
    "  --kv NAMES           how keys and values are kept: fp16, bf16, int8, fp8 (fp16,int8,fp8)\n"
    "  --precision NAME     of weights and activations: fp16 or bf16 (fp16)\n"
    "  --samples NUMBER     timings of each point, at least 3 (15)\n"
    "  --budget SECONDS     begin no further point after so long\n"
    "  --model FOLDER       where Llama-2-7B's config.json is, for steps\n"
    "  --json FILE          write everything that was measured there, too\n"
    "  --commit TEXT        what was built, for the JSON\n"
    "  --smoke              tiny shapes, to see that everything runs; the figures mean nothing\n"
    "  --help\n";

namespace {

std::vector<std::string> names(const std::string& list) {
  std::vector<std::string> parts;
  std::istringstream in(list);
  for (std::string part; std::getline(in, part, ',');) parts.push_back(part);
  if (parts.empty()) throw std::invalid_argument("a list is empty");
  return parts;
}

std::vector<std::string> names_of(const std::string& list, const std::vector<std::string>& known) {
  std::vector<std::string> parts = names(list);
  for (const std::string& part : parts) {
    if (std::find(known.begin(), known.end(), part) == known.end()) {
      throw std::invalid_argument("'" + part + "' is not known here");
    }
  }
  return parts;
}

int64_t number(const std::string& text, int64_t least, int64_t most) {
  size_t end = 0;
  int64_t value = 0;
  try {
    value = std::stoll(text, &end);
  } catch (const std::exception&) {
    end = 0;
  }
  if (end == 0 || end != text.size() || value < least || value > most) {
    throw std::invalid_argument("'" + text + "' is not a number from " + std::to_string(least) + " to " +
                                std::to_string(most));
  }
  return value;
}

std::vector<int64_t> numbers(const std::string& list) {
  std::vector<int64_t> values;
  for (const std::string& part : names(list)) values.push_back(number(part, 1, 1 << 20));
  return values;
}

}  // namespace

bool Options::measures(const std::string& part) const {
  return measure.empty() || std::find(measure.begin(), measure.end(), part) != measure.end();
}

bool Options::wants(const std::string& name) const {
  return operators.empty() || std::any_of(operators.begin(), operators.end(), [&](const std::string& wanted) {
           return name.rfind(wanted, 0) == 0;
         });
}

Options parse_options(const std::vector<std::string>& arguments) {
  Options options;
  // Before what is given takes their place.
  const bool smoke = std::find(arguments.begin(), arguments.end(), "--smoke") != arguments.end();
  if (smoke) {
    options.batches = {1, 3};
    options.contexts = {20, 130};
    options.rows = {1, 3, 16};
    options.prompts = {70};
    options.samples = 3;
  }
  const std::map<std::string, std::function<void(const std::string&)>> with_value = {
      {"--measure",
       [&](const std::string& value) {
         options.measure = names_of(value, {"operators", "steps"});
       }},
      {"--operators", [&](const std::string& value) { options.operators = names(value); }},
      {"--batches", [&](const std::string& value) { options.batches = numbers(value); }},
      {"--contexts", [&](const std::string& value) { options.contexts = numbers(value); }},
      {"--rows", [&](const std::string& value) { options.rows = numbers(value); }},
      {"--prompts", [&](const std::string& value) { options.prompts = numbers(value); }},
      {"--kv",
       [&](const std::string& value) {
         options.kv = names_of(value, {"fp16", "bf16", "int8", "fp8"});
       }},
      {"--precision",
       [&](const std::string& value) {
         options.precision = names_of(value, {"fp16", "bf16"}).front();
       }},
      {"--samples",
       [&](const std::string& value) { options.samples = static_cast<int>(number(value, 3, 10000)); }},
      {"--budget",
       [&](const std::string& value) {
         options.budget_seconds = static_cast<double>(number(value, 1, 86400));
       }},
      {"--model", [&](const std::string& value) { options.model = value; }},
      {"--json", [&](const std::string& value) { options.json = value; }},
      {"--commit", [&](const std::string& value) { options.commit = value; }},
  };
  for (size_t i = 0; i < arguments.size(); i++) {
    const std::string& argument = arguments[i];
    if (argument == "--smoke") {
      options.smoke = true;
    } else if (argument == "--help") {
      options.help = true;
    } else if (const auto found = with_value.find(argument); found != with_value.end()) {
      if (i + 1 == arguments.size()) throw std::invalid_argument(argument + " needs a value");
      try {
        found->second(arguments[++i]);
      } catch (const std::invalid_argument& error) {
        throw std::invalid_argument(argument + ": " + error.what());
      }
    } else {
      throw std::invalid_argument("'" + argument + "' is not an option");
    }
  }
  return options;
}

}  // namespace weir::benchmark
