// The paged cache against a simple model of it: every sequence as a list of the values that it was given.
#include "core/kv_cache.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <vector>

#include "core/error.h"

using namespace weir;

namespace {

constexpr KvLayout kLayout{4, 1, 1, 1, {}};

weir_device_options reference_device() {
  weir_device_options options{};
  options.kind = WEIR_DEVICE_CPU_REFERENCE;
  return options;
}

// A cache whose pool holds one float a token, so that the test sees whether a block was shared, copied or
// moved wrongly.
class Harness {
 public:
  Harness(int64_t blocks, int64_t swap_blocks, int32_t context_length)
      : backend_(open_backend(reference_device())),
        cache_(*backend_, kLayout, {blocks, swap_blocks, 200, context_length}) {}

  KvCache& cache() { return cache_; }

  // Appends `count` tokens with fresh values, as rope_append would write them.
  void append(int64_t id, int32_t count) {
    const std::vector<int32_t> tokens = fresh(count);
    const Append append{id, tokens};
    cache_.append({&append, 1});
    cache_.commit_append({&append, 1});
    write(id, count);
  }

  // Appends to several sequences as a step does, writes, and takes it all back, as a step that fails does.
  void append_and_fail(const std::vector<int64_t>& sequences, int32_t count) {
    const std::vector<int32_t> tokens = fresh(count);
    std::vector<Append> appends;
    for (const int64_t id : sequences) appends.push_back({id, tokens});
    cache_.append(appends);
    for (const int64_t id : sequences) write(id, count);
    cache_.undo_append(appends);
  }

  std::vector<int32_t> fresh(int32_t count) {
    std::vector<int32_t> tokens(count);
    for (int32_t& token : tokens) token = next_++;
    return tokens;
  }

  void write(int64_t id, int32_t count) {
    const Sequence& sequence = cache_.find(id);
    for (int32_t p = sequence.length() - count; p < sequence.length(); p++) {
      slot(sequence, p) = static_cast<float>(sequence.tokens[p]);
    }
  }

  std::vector<int32_t> content(int64_t id) {
    const Sequence& sequence = cache_.find(id);
    std::vector<int32_t> values;
    for (int32_t p = 0; p < sequence.length(); p++) values.push_back(static_cast<int32_t>(slot(sequence, p)));
    return values;
  }

  weir_cache_statistics statistics() const {
    weir_cache_statistics statistics{};
    cache_.statistics(statistics);
    return statistics;
  }

 private:
  float& slot(const Sequence& sequence, int32_t position) {
    const int64_t tile = kLayout.key_tile(sequence.blocks[position / kLayout.block_size], 0, 0);
    return static_cast<float*>(cache_.pool().data())[tile + position % kLayout.block_size];
  }

  std::unique_ptr<Backend> backend_;
  KvCache cache_;
  int32_t next_ = 1;
};

weir_status status_of(const std::function<void()>& work) {
  try {
    work();
    return WEIR_OK;
  } catch (const Error& e) {
    return e.status();
  }
}

struct ModelSequence {
  std::vector<int32_t> values;
  bool swapped = false;
};

int64_t blocks_of(size_t tokens) {
  return (static_cast<int64_t>(tokens) + kLayout.block_size - 1) / kLayout.block_size;
}

}  // namespace

TEST_CASE("pool: a million random operations against a simple model") {
  constexpr int64_t kBlocks = 60;
  constexpr int64_t kSwapBlocks = 25;
  constexpr int32_t kContext = 90;
  constexpr int kOperations = 1'000'000;
  Harness harness(kBlocks, kSwapBlocks, kContext);
  KvCache& cache = harness.cache();
  std::map<int64_t, ModelSequence> model;
  std::vector<int64_t> ids;
  std::mt19937 random(20261120);
  const auto below = [&](size_t n) { return random() % n; };
  std::map<weir_status, int> refused;
  std::map<weir_status, int> failed_steps;
  std::vector<int> users(kBlocks);
  int64_t swapped_blocks = 0;

  for (int operation = 0; operation < kOperations; operation++) {
    const weir_cache_statistics before = harness.statistics();
    const size_t kind = below(100);
    if (ids.empty() || (kind < 6 && ids.size() < 40)) {
      ids.push_back(cache.create());
      model[ids.back()] = {};
    } else {
      const size_t index = below(ids.size());
      const int64_t id = ids[index];
      ModelSequence& expected = model[id];
      if (kind < 50) {
        const int32_t count = static_cast<int32_t>(1 + below(7));
        const weir_status status = status_of([&] { harness.append(id, count); });
        if (status == WEIR_OK) {
          const Sequence& sequence = cache.find(id);
          expected.values.insert(expected.values.end(), sequence.tokens.end() - count, sequence.tokens.end());
        } else if (status == WEIR_INVALID_ARGUMENT) {
          CHECK((expected.swapped || static_cast<int32_t>(expected.values.size()) + count > kContext));
        } else {
          REQUIRE(status == WEIR_OUT_OF_BLOCKS);
          // At most what it asked for and one copy on write.
          CHECK(before.free <= blocks_of(expected.values.size() + count) - blocks_of(expected.values.size()));
        }
        refused[status]++;
      } else if (kind < 54) {
        // A step over several sequences that fails must leave no trace, whether it fails for lack of room or
        // later.
        std::set<int64_t> chosen{id};
        for (size_t i = 0; i < below(4); i++) chosen.insert(ids[below(ids.size())]);
        const weir_status status = status_of([&] {
          harness.append_and_fail({chosen.begin(), chosen.end()}, 1 + below(5));
        });
        failed_steps[status]++;
        const weir_cache_statistics after = harness.statistics();
        REQUIRE(after.free == before.free);
        REQUIRE(after.shared == before.shared);
        REQUIRE(after.copied_on_write == before.copied_on_write);
        REQUIRE(after.resident_tokens == before.resident_tokens);
      } else if (kind < 62 && ids.size() < 40) {
        int64_t child = 0;
        const weir_status status = status_of([&] { child = cache.fork(id); });
        REQUIRE(status == (expected.swapped ? WEIR_INVALID_ARGUMENT : WEIR_OK));
        if (status == WEIR_OK) {
          const ModelSequence copy = expected;
          model[child] = copy;
          ids.push_back(child);
          CHECK(harness.statistics().free == before.free);
        }
      } else if (kind < 74) {
        const int32_t length = static_cast<int32_t>(below(expected.values.size() + 1));
        const weir_status status = status_of([&] { cache.truncate(id, length); });
        REQUIRE(status == (expected.swapped ? WEIR_INVALID_ARGUMENT : WEIR_OK));
        if (status == WEIR_OK) expected.values.resize(length);
      } else if (kind < 84) {
        const int64_t blocks = blocks_of(expected.values.size());
        const weir_status status = status_of([&] { cache.swap_out(id); });
        if (expected.swapped) {
          REQUIRE(status == WEIR_INVALID_ARGUMENT);
        } else {
          REQUIRE(status == (blocks + swapped_blocks > kSwapBlocks ? WEIR_OUT_OF_SWAP : WEIR_OK));
          if (status == WEIR_OK) {
            expected.swapped = true;
            swapped_blocks += blocks;
          }
        }
        refused[status]++;
      } else if (kind < 94) {
        const int64_t blocks = blocks_of(expected.values.size());
        const weir_status status = status_of([&] { cache.swap_in(id); });
        if (!expected.swapped) {
          REQUIRE(status == WEIR_INVALID_ARGUMENT);
        } else {
          REQUIRE(status == (blocks > before.free ? WEIR_OUT_OF_BLOCKS : WEIR_OK));
          if (status == WEIR_OK) {
            expected.swapped = false;
            swapped_blocks -= blocks;
          }
        }
      } else {
        if (expected.swapped) swapped_blocks -= blocks_of(expected.values.size());
        cache.free(id);
        model.erase(id);
        ids[index] = ids.back();
        ids.pop_back();
        CHECK(status_of([&] { cache.free(id); }) == WEIR_CLOSED);
      }
    }

    // // Conservation, at every step, counted from the block tables.
    const weir_cache_statistics after = harness.statistics();
    std::fill(users.begin(), users.end(), 0);
    int64_t resident_tokens = 0;
    for (const int64_t id : ids) {
      const Sequence& sequence = cache.find(id);
      if (sequence.swapped) continue;
      resident_tokens += sequence.length();
      for (const int32_t block : sequence.blocks) users[block]++;
    }
    REQUIRE(std::count_if(users.begin(), users.end(), [](int n) { return n > 0; }) == after.used);
    REQUIRE(std::count_if(users.begin(), users.end(), [](int n) { return n > 1; }) == after.shared);
    REQUIRE(after.free + after.used == kBlocks);
    REQUIRE(resident_tokens == after.resident_tokens);
    REQUIRE(after.swap_used == swapped_blocks);
    REQUIRE(after.sequences == static_cast<int64_t>(model.size()));
    // The content is compared now and then, because that takes long.
    if (operation % 200 != 0 && operation != kOperations - 1) continue;
    for (const auto& [id, expected] : model) {
      const Sequence& sequence = cache.find(id);
      REQUIRE(sequence.swapped == expected.swapped);
      REQUIRE(sequence.tokens == expected.values);
      REQUIRE(static_cast<int64_t>(sequence.blocks.size()) == blocks_of(expected.values.size()));
      if (!expected.swapped) REQUIRE(harness.content(id) == expected.values);
    }
  }
  // The run has been through every way to be refused.
  CHECK(refused[WEIR_OUT_OF_BLOCKS] > 100);
  CHECK(refused[WEIR_OUT_OF_SWAP] > 100);
  CHECK(failed_steps[WEIR_OK] > 100);
  CHECK(failed_steps[WEIR_OUT_OF_BLOCKS] > 100);
  CHECK(harness.statistics().copied_on_write > 1000);
  for (const int64_t id : ids) cache.free(id);
  CHECK(harness.statistics().free == kBlocks);
  CHECK(harness.statistics().swap_used == 0);
}

TEST_CASE("pool: forks that write in the same step copy the shared block all but once") {
  Harness harness(4, 0, 90);
  KvCache& cache = harness.cache();
  const int64_t parent = cache.create();
  harness.append(parent, 6);  // two blocks, the second half full
  const int64_t first = cache.fork(parent);
  const int64_t second = cache.fork(parent);
  const std::vector<int32_t> tokens = harness.fresh(1);
  const std::vector<Append> all = {{parent, tokens}, {first, tokens}, {second, tokens}};
  CHECK(harness.statistics().free == 2);
  // Two copies: the last writer has the block to itself.
  cache.append(all);
  CHECK(cache.commit_append(all) == 2);
  CHECK(harness.statistics().free == 0);
  CHECK(cache.find(parent).blocks[0] == cache.find(second).blocks[0]);
  CHECK(std::set<int32_t>{cache.find(parent).blocks[1], cache.find(first).blocks[1],
                          cache.find(second).blocks[1]}
            .size() == 3);
}

TEST_CASE("pool: a step that does not fit changes nothing") {
  Harness harness(3, 0, 90);
  KvCache& cache = harness.cache();
  const int64_t a = cache.create();
  const int64_t b = cache.create();
  harness.append(a, 3);
  const std::vector<int32_t> tokens = harness.fresh(8);
  const std::vector<Append> both = {{a, std::span(tokens).first(4)}, {b, tokens}};
  try {
    cache.append(both);
    FAIL("accepted");
  } catch (const Error& e) {
    CHECK(e.status() == WEIR_OUT_OF_BLOCKS);
    CHECK(e.needed() == 3);
    CHECK(e.available() == 2);
  }
  CHECK(cache.find(a).length() == 3);
  CHECK(cache.find(b).length() == 0);
  CHECK(harness.statistics().free == 2);
  const std::vector<Append> twice = {{a, std::span(tokens).first(1)}, {a, std::span(tokens).first(1)}};
  CHECK(status_of([&] { cache.append(twice); }) == WEIR_INVALID_ARGUMENT);
  const std::vector<Append> one = {{a, std::span(tokens).first(5)}};
  cache.append(one);
  CHECK(cache.commit_append(one) == 0);
  CHECK(cache.find(a).length() == 8);
}

TEST_CASE("pool: no more sequences than allowed") {
  Harness harness(3, 0, 90);
  for (int i = 0; i < 200; i++) harness.cache().create();
  CHECK(status_of([&] { harness.cache().create(); }) == WEIR_OUT_OF_MEMORY);
  CHECK(harness.statistics().sequences == 200);
}
