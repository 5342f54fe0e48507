#include "results.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <utility>

namespace weir::benchmark {
namespace {

double quantile(const std::vector<double>& sorted, double share) {
  const double place = share * static_cast<double>(sorted.size() - 1);
  const size_t below = static_cast<size_t>(place);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (sorted[above] - sorted[below]) * (place - static_cast<double>(below));
}

template <typename... Arguments>
std::string text(const char* format, Arguments... arguments) {
  char line[256];
  std::snprintf(line, sizeof line, format, arguments...);
  return line;
}

void print(const std::string& line) {
  std::puts(line.c_str());
  std::fflush(stdout);
}

nlohmann::ordered_json json_of(const Spread& spread) {
  return {{"count", spread.count},
          {"median", spread.median},
          {"lowest", spread.lowest},
          {"lower_quartile", spread.lower_quartile},
          {"upper_quartile", spread.upper_quartile},
          {"highest", spread.highest}};
}

std::string number_or_blank(int64_t value) { return value > 0 ? std::to_string(value) : ""; }

std::string rate_or_blank(double amount, double seconds, double scale) {
  return amount > 0 && seconds > 0 ? text("%.1f", amount / seconds / scale) : "";
}

// Half of the distance between the quartiles, in percent of the median.
double percent_of_median(const Spread& spread) {
  return spread.median > 0 ? 50 * (spread.upper_quartile - spread.lower_quartile) / spread.median : 0;
}

// What the issue asks of a point, as a share of its floor; 0 if nothing.
double goal_of(const Result& result) {
  if (result.variant.find("llama-2-7b") == std::string::npos) return 0;
  if (result.name == "decode attention") return result.batch >= 32 && result.context >= 512 ? 0.90 : 0;
  if (result.name == "decode step") return result.batch <= 64 ? 0.85 : 0.80;
  if (result.name == "prefill step" || result.name == "mixed step") return 0.70;
  if (result.name.rfind("swap", 0) == 0) return 0.80;
  return 0;
}

}  // namespace

Spread spread_of(std::vector<double> samples) {
  Spread spread;
  if (samples.empty()) return spread;
  std::sort(samples.begin(), samples.end());
  spread.count = static_cast<int>(samples.size());
  spread.median = quantile(samples, 0.5);
  spread.lowest = samples.front();
  spread.highest = samples.back();
  spread.lower_quartile = quantile(samples, 0.25);
  spread.upper_quartile = quantile(samples, 0.75);
  return spread;
}

std::string format_duration(double seconds) {
  return seconds < 1e-3 ? text("%.2f us", seconds * 1e6) : text("%.3f ms", seconds * 1e3);
}

void Report::section(const std::string& title) {
  print("\n== " + title);
  columns_.clear();
}

void Report::add(const Ceiling& ceiling) {
  ceilings_.push_back(ceiling);
  print(text("%-40s %10.2f %-8s +-%.1f%%  %s", ceiling.name.c_str(), ceiling.value, ceiling.unit.c_str(),
             percent_of_median(ceiling.seconds), ceiling.details.c_str()));
}

void Report::add(const Result& result) {
  results_.push_back(result);
  if (columns_ != result.group) {
    columns_ = result.group;
    print(text("%-25s %-22s %6s %7s %12s %7s %9s %9s %10s %6s %s", "name", "variant", "batch", "context",
               "median", "+-", "GB/s", "TFLOP/s", "tokens/s", "share", "of"));
  }
  const double seconds = result.seconds.median;
  print(text("%-25s %-22s %6s %7s %12s %6.1f%% %9s %9s %10s %6s %s%s%s", result.name.c_str(),
             result.variant.c_str(), number_or_blank(result.batch).c_str(),
             number_or_blank(result.context).c_str(), format_duration(seconds).c_str(),
             percent_of_median(result.seconds), rate_or_blank(result.work.bytes, seconds, 1e9).c_str(),
             rate_or_blank(result.work.operations, seconds, 1e12).c_str(),
             rate_or_blank(static_cast<double>(result.tokens), seconds, 1).c_str(),
             result.floor_seconds > 0 ? text("%.1f%%", 100 * result.share()).c_str() : "",
             result.bound.c_str(), result.bound.empty() || result.note.empty() ? "" : "; ",
             result.note.c_str()));
}

void Report::add(const MemoryLine& line) {
  memory_.push_back(line);
  if (columns_ != "memory") {
    columns_ = "memory";
    print(text("%-40s %14s %14s", "device memory", "planned MiB", "taken MiB"));
  }
  print(text("%-40s %14.1f %14.1f", line.what.c_str(), line.planned / 0x1p20, line.taken / 0x1p20));
}

void Report::skip(const std::string& what, const std::string& why) {
  skipped_.emplace_back(what, why);
  print("left out: " + what + ": " + why);
}

nlohmann::ordered_json Report::json() const {
  nlohmann::ordered_json json = header_;
  json["ceilings"] = nlohmann::ordered_json::array();
  for (const Ceiling& ceiling : ceilings_) {
    json["ceilings"].push_back({{"name", ceiling.name},
                                {"unit", ceiling.unit},
                                {"value", ceiling.value},
                                {"amount", ceiling.amount},
                                {"details", ceiling.details},
                                {"seconds", json_of(ceiling.seconds)}});
  }
  json["results"] = nlohmann::ordered_json::array();
  for (const Result& result : results_) {
    nlohmann::ordered_json one = {
        {"group", result.group}, {"name", result.name}, {"variant", result.variant}};
    if (result.batch > 0) one["batch"] = result.batch;
    if (result.context > 0) one["context"] = result.context;
    if (result.tokens > 0) one["tokens"] = result.tokens;
    one["seconds"] = json_of(result.seconds);
    one["bytes"] = result.work.bytes;
    one["operations"] = result.work.operations;
    one["floor_seconds"] = result.floor_seconds;
    if (result.floor_by_part_seconds > 0) one["floor_by_part_seconds"] = result.floor_by_part_seconds;
    one["share"] = result.share();
    one["bound"] = result.bound;
    if (const double goal = goal_of(result); goal > 0) one["goal"] = goal;
    if (!result.note.empty()) one["note"] = result.note;
    json["results"].push_back(std::move(one));
  }
  json["memory"] = nlohmann::ordered_json::array();
  for (const MemoryLine& line : memory_) {
    json["memory"].push_back(
        {{"what", line.what}, {"planned_bytes", line.planned}, {"taken_bytes", line.taken}});
  }
  json["left_out"] = nlohmann::ordered_json::array();
  for (const auto& [what, why] : skipped_) json["left_out"].push_back({{"what", what}, {"why", why}});
  return json;
}

std::vector<std::string> Report::summary() const {
  std::vector<std::string> lines;
  for (const Result& result : results_) {
    const double goal = goal_of(result);
    if (goal == 0) continue;
    lines.push_back(text("%-4s %-22s %-24s batch %4lld context %5lld %12s %5.1f%% of the floor, goal %.0f%%",
                         result.share() >= goal ? "met" : "MISS", result.name.c_str(), result.variant.c_str(),
                         static_cast<long long>(result.batch), static_cast<long long>(result.context),
                         format_duration(result.seconds.median).c_str(), 100 * result.share(), 100 * goal));
  }
  return lines;
}

void Report::write(const std::string& path) const {
  if (path.empty()) return;
  // A program that is stopped while it writes leaves the file of before.
  const std::string next = path + ".next";
  {
    std::ofstream file(next);
    file << json().dump(1) << '\n';
    if (!file.flush()) throw std::runtime_error("cannot write " + next);
  }
  std::filesystem::rename(next, path);
}

}  // namespace weir::benchmark
