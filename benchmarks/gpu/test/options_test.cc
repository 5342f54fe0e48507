#include "options.h"

#include <doctest/doctest.h>

#include <stdexcept>
#include <string>
#include <vector>

using namespace weir::benchmark;

namespace {

std::string refusal(const std::vector<std::string>& arguments) {
  try {
    parse_options(arguments);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("options: what is not given has a default") {
  const Options options = parse_options({});
  CHECK(options.batches == std::vector<int64_t>{1, 8, 32, 64, 128, 256});
  CHECK(options.measures("operators"));
  CHECK(options.measures("steps"));
  CHECK(options.wants("matmul head"));
  CHECK_FALSE(options.smoke);
}

TEST_CASE("options: what is given counts, also before --smoke") {
  const Options options =
      parse_options({"--batches", "2,4", "--smoke", "--measure", "steps", "--operators", "decode,rms", "--kv",
                     "fp8", "--precision", "bf16", "--samples", "7", "--budget", "60", "--json", "out.json"});
  CHECK(options.batches == std::vector<int64_t>{2, 4});
  CHECK(options.smoke);
  CHECK(options.contexts.size() == 2);
  CHECK_FALSE(options.measures("operators"));
  CHECK(options.wants("decode attention"));
  CHECK_FALSE(options.wants("prefill attention"));
  CHECK(options.kv == std::vector<std::string>{"fp8"});
  CHECK(options.precision == "bf16");
  CHECK(options.samples == 7);
  CHECK(options.budget_seconds == 60);
  CHECK(options.json == "out.json");
}

TEST_CASE("options: a refusal names the option and what it takes") {
  CHECK(refusal({"--batches", "1,x"}) == "--batches: 'x' is not a number from 1 to 1048576");
  CHECK(refusal({"--batches", "0"}) == "--batches: '0' is not a number from 1 to 1048576");
  CHECK(refusal({"--batches", ""}) == "--batches: a list is empty");
  CHECK(refusal({"--samples", "2"}) == "--samples: '2' is not a number from 3 to 10000");
  CHECK(refusal({"--kv", "fp32"}) == "--kv: 'fp32' is not known here");
  CHECK(refusal({"--json"}) == "--json needs a value");
  CHECK(refusal({"--jsn", "x"}) == "'--jsn' is not an option");
}
