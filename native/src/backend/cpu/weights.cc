#include "backend/cpu/weights.h"

#include <algorithm>
#include <string>

#include "backend/cpu/avx512/target.h"
#include "core/error.h"
#include "core/random_weight.h"

namespace weir::cpu {
namespace {

constexpr const char* kUse = "a weight of the model";

// Elements [first, first + count) of a random source.
void draw(const WeightSource& source, int64_t first, int64_t count, float* out) {
  const float width = random_weight_width(source.deviation);
  for (int64_t i = first / 4 * 4; i < first + count; i += 4) {
    const PhiloxBlock block = random_weight_block(source.seed, source.stream, i / 4);
    for (int64_t j = std::max(i, first); j < std::min(i + 4, first + count); j++) {
      out[j - first] = random_weight(block.word[j - i], source.mean, width);
    }
  }
}

// Rows [first, first + count) of a source as floats.
void read_rows(const WeightSource& source, int64_t first, int64_t count, float* out) {
  if (source.parts.empty()) {
    draw(source, first * source.columns, count * source.columns, out);
    return;
  }
  int64_t part_first = 0;
  for (const TensorView& part : source.parts) {
    const int64_t row_bytes = source.columns * static_cast<int64_t>(bytes_of(part.type));
    const int64_t part_rows = static_cast<int64_t>(part.bytes) / row_bytes;
    const int64_t from = std::max(first, part_first);
    const int64_t to = std::min(first + count, part_first + part_rows);
    if (from < to) {
      convert_to_f32({part.type,
                      {},
                      part.data + (from - part_first) * row_bytes,
                      static_cast<size_t>((to - from) * row_bytes)},
                     out + (from - first) * source.columns);
    }
    part_first += part_rows;
  }
}

// Calls task(i, thread) for i in [0, count), some at a time, so that steps of other models on the same
// threads have their turns while this one is loaded.
template <typename Task>
void run_in_turns(ThreadPool& threads, int64_t count, const Task& task) {
  const int64_t turn = int64_t{8} * threads.threads();
  for (int64_t first = 0; first < count; first += turn) {
    threads.run(std::min(turn, count - first), [&](int64_t i, int thread) { task(first + i, thread); });
  }
}

// Calls use(first, count, rows) for all rows of a source, in groups of `group`, on all threads.
template <typename Use>
void for_rows(const WeightSource& source, int64_t group, ThreadPool& threads, const Use& use) {
  std::vector<std::vector<float>> buffers(threads.threads());
  run_in_turns(threads, (source.rows + group - 1) / group, [&](int64_t i, int thread) {
    const int64_t first = i * group;
    const int64_t count = std::min(group, source.rows - first);
    std::vector<float>& rows = buffers[thread];
    rows.resize(count * source.columns);
    read_rows(source, first, count, rows.data());
    use(first, count, rows.data());
  });
}

// Rows of a plain weight that are converted at a time.
int64_t plain_group(const WeightSource& source) {
  constexpr int64_t kElements = 1 << 18;
  return std::max<int64_t>(1, kElements / std::max<int64_t>(1, source.columns));
}

// Outputs of a slice: some slices a thread, so that a thread that is held up does not hold up all, and whole
// vectors.
int64_t slice_width(int64_t out, int threads) {
  constexpr int64_t kWidest = 1024;
  const int64_t least = (out + kWidest - 1) / kWidest;
  const int64_t slices = (std::max<int64_t>(least, threads) + threads - 1) / threads * threads;
  return (out + slices * 64 - 1) / (slices * 64) * 64;
}

}  // namespace

void CpuWeight::read_row(int64_t, float*) const {
  throw Error(WEIR_INTERNAL, "a packed matrix was taken for an embedding table");
}

FloatWeight::FloatWeight(const WeightSource& source, ThreadPool& threads)
    : CpuWeight(source.rows, source.columns),
      memory_(source.rows * source.columns * static_cast<int64_t>(sizeof(float)), kUse,
              Contents::kUnwritten) {
  const int64_t group = plain_group(source);
  run_in_turns(threads, (rows() + group - 1) / group, [&](int64_t i, int) {
    const int64_t first = i * group;
    read_rows(source, first, std::min(group, rows() - first), memory_.as<float>() + first * columns());
  });
}

void FloatWeight::read_row(int64_t row, float* out) const {
  std::copy_n(data() + row * columns(), columns(), out);
}

Bfloat16Table::Bfloat16Table(const WeightSource& source, ThreadPool& threads)
    : CpuWeight(source.rows, source.columns),
      memory_(source.rows * source.columns * static_cast<int64_t>(sizeof(Bfloat16)), kUse,
              Contents::kUnwritten) {
  for_rows(source, plain_group(source), threads, [&](int64_t first, int64_t count, const float* from) {
    Bfloat16* to = memory_.as<Bfloat16>() + first * columns();
    for (int64_t i = 0; i < count * columns(); i++) to[i] = to_bfloat16(from[i]);
  });
}

void Bfloat16Table::read_row(int64_t row, float* out) const {
  const Bfloat16* from = memory_.as<Bfloat16>() + row * columns();
  for (int64_t i = 0; i < columns(); i++) out[i] = to_float(from[i]);
}

OneDnnWeight::OneDnnWeight(const OneDnnApi& api, const WeightSource& source, ThreadPool& threads)
    : CpuWeight(source.rows, source.columns) {
  const int64_t width = slice_width(rows(), threads.threads());
  slices_.resize((rows() + width - 1) / width);
  for_rows(source, width, threads, [&](int64_t first, int64_t count, const float* from) {
    slices_[first / width] = {first, std::make_unique<OneDnnMatrix>(api, from, count, columns())};
  });
}

#if defined(WEIR_HAS_AVX512)

PackedBfloat16::PackedBfloat16(const WeightSource& source, ThreadPool& threads)
    : CpuWeight(source.rows, source.columns),
      shape_{source.rows, source.columns, sizeof(Bfloat16)},
      memory_(shape_.bytes(), kUse, Contents::kUnwritten) {
  for_rows(source, avx512::kPackedColumns, threads, [&](int64_t first, int64_t count, const float* from) {
    const int64_t block = first / avx512::kPackedColumns;
    avx512::pack_block(shape_, from, count, memory_.as<Bfloat16>() + block * shape_.block_bytes() / 2);
  });
}

void PackedBfloat16::read_row(int64_t row, float* out) const { avx512::unpack_row(shape_, data(), row, out); }

PackedInt8::PackedInt8(const WeightSource& source, ThreadPool& threads)
    : CpuWeight(source.rows, source.columns),
      shape_{source.rows, source.columns, sizeof(int8_t)},
      memory_(shape_.bytes(), kUse, Contents::kUnwritten),
      scales_(shape_.blocks() * avx512::kPackedColumns * 4, kUse, Contents::kUnwritten),
      offsets_(shape_.blocks() * avx512::kPackedColumns * 4, kUse, Contents::kUnwritten) {
  for_rows(source, avx512::kPackedColumns, threads, [&](int64_t first, int64_t count, const float* from) {
    const int64_t block = first / avx512::kPackedColumns;
    avx512::pack_block(shape_, from, count, memory_.as<int8_t>() + block * shape_.block_bytes(),
                       scales_.as<float>() + first, offsets_.as<int32_t>() + first);
  });
}

#endif

}  // namespace weir::cpu
