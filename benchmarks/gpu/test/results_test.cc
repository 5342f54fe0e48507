#include "results.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

using namespace weir::benchmark;

namespace {

Result step(int64_t batch, double seconds, double floor) {
  Result result;
  result.group = "step";
  result.name = "decode step";
  result.variant = "llama-2-7b kv fp16";
  result.batch = batch;
  result.context = 512;
  result.tokens = batch;
  result.seconds = spread_of({seconds, seconds, seconds});
  result.work = {1e10, 1e12};
  result.floor_seconds = floor;
  result.bound = "memory";
  return result;
}

}  // namespace

TEST_CASE("spread: median and quartiles of any number of samples, in any order") {
  CHECK(spread_of({}).median == 0);
  const Spread one = spread_of({3});
  CHECK(one.median == 3);
  CHECK(one.lower_quartile == 3);
  const Spread even = spread_of({4, 1, 3, 2});
  CHECK(even.count == 4);
  CHECK(even.median == 2.5);
  CHECK(even.lowest == 1);
  CHECK(even.highest == 4);
  CHECK(even.lower_quartile == 1.75);
  CHECK(even.upper_quartile == 3.25);
  CHECK(spread_of({5, 1, 100}).median == 5);
}

TEST_CASE("the JSON holds everything that was reported") {
  Report report;
  report.header()["commit"] = "abc";
  report.add(Ceiling{"read-only bandwidth", "GB/s", 4300, spread_of({1.0, 2.0, 3.0}), 8.6e12, "loads"});
  report.add(step(64, 8e-3, 7.2e-3));
  report.add(MemoryLine{"weights", 10, 11});
  report.skip("decode step 256 x 1024", "no room");
  const nlohmann::ordered_json json = nlohmann::ordered_json::parse(report.json().dump());
  CHECK(json["commit"] == "abc");
  CHECK(json["ceilings"][0]["value"] == 4300);
  CHECK(json["ceilings"][0]["seconds"]["median"] == 2);
  CHECK(json["results"][0]["batch"] == 64);
  CHECK(json["results"][0]["seconds"]["count"] == 3);
  CHECK(json["results"][0]["share"].get<double>() == doctest::Approx(0.9));
  CHECK(json["memory"][0]["taken_bytes"] == 11);
  CHECK(json["left_out"][0]["why"] == "no room");
}

TEST_CASE("the goals of decode steps: 85 % up to batch 64, 80 % above") {
  Report report;
  report.add(step(64, 8e-3, 0.84 * 8e-3));
  report.add(step(128, 8e-3, 0.84 * 8e-3));
  Result other = step(1, 1, 0.5);
  other.name = "decode step, no graphs";
  report.add(other);
  const std::vector<std::string> lines = report.summary();
  REQUIRE(lines.size() == 2);
  CHECK(report.json()["results"][0]["goal"] == 0.85);
  CHECK(report.json()["results"][1]["goal"] == 0.80);
  CHECK_FALSE(report.json()["results"][2].contains("goal"));
  CHECK(lines[0].starts_with("MISS decode step"));
  CHECK(lines[1].starts_with("met  decode step"));
}

TEST_CASE("durations are shown in the unit that suits them") {
  CHECK(format_duration(12.3456e-6) == "12.35 us");
  CHECK(format_duration(7.13e-3) == "7.130 ms");
}

TEST_CASE("writing replaces the file") {
  const std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("weir-results-test-" + std::to_string(getpid()) + ".json");
  Report report;
  report.write("");
  report.write(path.string());
  report.add(step(1, 1, 1));
  report.write(path.string());
  std::ifstream file(path);
  CHECK(nlohmann::json::parse(file)["results"].size() == 1);
  std::filesystem::remove(path);
  CHECK_THROWS_AS(report.write("/nowhere/at/all.json"), std::runtime_error);
}
