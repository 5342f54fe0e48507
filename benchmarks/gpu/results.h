// What was measured, as a table on the terminal and as JSON.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "work.h"

namespace weir::benchmark {

// How samples of one time lie. Quartiles rather than extremes say how far to trust a difference.
struct Spread {
  int count = 0;
  double median = 0;
  double lowest = 0;
  double highest = 0;
  double lower_quartile = 0;
  double upper_quartile = 0;
};
// All zeros for no samples. Quantiles between two samples are interpolated.
Spread spread_of(std::vector<double> samples);

// The rates that everything is compared with, measured in the same run. 0: not measured.
struct Ceilings {
  double read_bytes = 0;         // bytes a second that a kernel reads
  double matrix_operations = 0;  // operations a second of a large product in the model's type
  double host_to_device = 0;     // bytes a second
  double device_to_host = 0;
};

// One of the rates, or a cost.
struct Ceiling {
  std::string name;
  std::string unit;     // of `value`: "GB/s", "TFLOP/s" or "us"
  double value = 0;     // from the median
  Spread seconds;       // of what was timed
  double amount = 0;    // bytes, operations or launches in it
  std::string details;  // how
};

// One measured point.
struct Result {
  std::string group;    // "operator" or "step"
  std::string name;     // such as "decode attention"
  std::string variant;  // such as "llama-2-7b fp16"
  int64_t batch = 0;    // sequences, or rows; 0: does not apply, as with the next two
  int64_t context = 0;
  int64_t tokens = 0;  // of the step, for tokens a second
  Spread seconds;
  Work work;
  double floor_seconds = 0;
  double floor_by_part_seconds = 0;
  std::string bound;
  std::string note;

  double share() const { return seconds.median > 0 ? floor_seconds / seconds.median : 0; }
};

// A size that was planned and what was taken.
struct MemoryLine {
  std::string what;
  double planned = 0;  // bytes
  double taken = 0;
};

// Prints each line as it comes, so that a run that is stopped has shown what it measured, and keeps
// everything for the JSON.
class Report {
 public:
  // Describes the run: device, date, command, and whatever else holds for all of it.
  nlohmann::ordered_json& header() { return header_; }

  void add(const Ceiling& ceiling);
  void add(const Result& result);
  void add(const MemoryLine& line);
  // Something that was not measured, and why.
  void skip(const std::string& what, const std::string& why);
  // Prints the heading of what follows.
  void section(const std::string& title);

  const std::vector<Result>& results() const { return results_; }
  nlohmann::ordered_json json() const;
  // The points with a goal, against it, as lines of text.
  std::vector<std::string> summary() const;
  // Replaces `path` by the JSON so far. Nothing if `path` is empty.
  void write(const std::string& path) const;

 private:
  nlohmann::ordered_json header_;
  std::vector<Ceiling> ceilings_;
  std::vector<Result> results_;
  std::vector<MemoryLine> memory_;
  std::vector<std::pair<std::string, std::string>> skipped_;
  std::string columns_;  // of the table that is being printed
};

// As the table shows them.
std::string format_duration(double seconds);

}  // namespace weir::benchmark
