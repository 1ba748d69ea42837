// Paged attention against its definition, and prefill, chunks and decode against each other, bit
// for bit (INV-5).
#include <cmath>
#include <limits>

#include "tests/cuda_kernels/kernel_fixture.h"

namespace touchstone::backend::cuda {
namespace {

struct Shape {
  int32_t num_heads;
  int32_t num_kv_heads;
  int32_t head_dim;
  int32_t block_size = 16;
  int32_t window = 0;
};

/// Sequences with random keys and values in pages that lie in no order, and garbage in all others.
class World {
 public:
  World(Element element, const Shape& shape, const std::vector<int32_t>& lengths);

  /// Rows [lengths[s] - counts[s], lengths[s]) of each sequence, one call.
  std::vector<float> prefill(const std::vector<int32_t>& lengths,
                             const std::vector<int32_t>& counts);
  /// The row at lengths[s] - 1 of each sequence.
  std::vector<float> decode(const std::vector<int32_t>& lengths);
  /// The output row at a position by definition, in double.
  std::vector<float> exact(size_t sequence, int32_t position) const;
  size_t row_size() const { return static_cast<size_t>(shape_.num_heads * shape_.head_dim); }

 private:
  std::vector<float> run(const std::vector<int32_t>& lengths, const std::vector<int32_t>& counts,
                         bool decodes);
  const float* key(size_t sequence, int32_t position, int32_t head) const {
    return &keys_[sequence]
                 [static_cast<size_t>((position * shape_.num_kv_heads + head) * shape_.head_dim)];
  }

  Element element_;
  Shape shape_;
  std::vector<std::vector<float>> queries_, keys_, values_;  // by sequence: (position, head, dim)
  std::vector<int32_t> block_tables_;
  int64_t table_stride_ = 0;
  int64_t block_stride_ = 0;
  std::unique_ptr<Elements> key_pages_, value_pages_;
};

World::World(Element element, const Shape& shape, const std::vector<int32_t>& lengths)
    : element_(element), shape_(shape) {
  const int32_t longest = *std::max_element(lengths.begin(), lengths.end());
  const int32_t width = cached_head_dim(shape.head_dim);
  table_stride_ = (longest + shape.block_size - 1) / shape.block_size;
  block_stride_ = int64_t{shape.num_kv_heads} * shape.block_size * width;
  const int64_t blocks = table_stride_ * static_cast<int64_t>(lengths.size()) + 1;
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::vector<float> key_pages(static_cast<size_t>(blocks * block_stride_), nan);
  std::vector<float> value_pages = key_pages;
  block_tables_.assign(lengths.size() * static_cast<size_t>(table_stride_), 0);
  for (size_t s = 0; s < lengths.size(); ++s) {
    const size_t positions = static_cast<size_t>(lengths[s]);
    const size_t kv = static_cast<size_t>(shape.num_kv_heads * shape.head_dim);
    queries_.push_back(random_values(element, positions * row_size(), 3 * s + 1, 2));
    keys_.push_back(random_values(element, positions * kv, 3 * s + 2, 2));
    values_.push_back(random_values(element, positions * kv, 3 * s + 3));
    for (int32_t p = 0; p < lengths[s]; ++p) {
      const int64_t index = p / shape.block_size;
      // Block 0 stays garbage; the others are handed out from the end, sequences interleaved.
      const int64_t block =
          blocks - 1 - index * static_cast<int64_t>(lengths.size()) - static_cast<int64_t>(s);
      block_tables_[s * static_cast<size_t>(table_stride_) + static_cast<size_t>(index)] =
          static_cast<int32_t>(block);
      for (int32_t h = 0; h < shape.num_kv_heads; ++h) {
        const int64_t at =
            block * block_stride_ + (h * shape.block_size + p % shape.block_size) * int64_t{width};
        for (int32_t d = 0; d < width; ++d) {
          const size_t from =
              static_cast<size_t>((p * shape.num_kv_heads + h) * shape.head_dim + d);
          key_pages[static_cast<size_t>(at + d)] = d < shape.head_dim ? keys_[s][from] : 0;
          value_pages[static_cast<size_t>(at + d)] = d < shape.head_dim ? values_[s][from] : 0;
        }
      }
    }
  }
  key_pages_ = std::make_unique<Elements>(element, key_pages, "keys");
  value_pages_ = std::make_unique<Elements>(element, value_pages, "values");
}

std::vector<float> World::run(const std::vector<int32_t>& lengths,
                              const std::vector<int32_t>& counts, bool decodes) {
  std::vector<float> rows;
  std::vector<int32_t> starts = {0};
  Attend args;
  for (size_t s = 0; s < lengths.size(); ++s) {
    const auto end =
        queries_[s].begin() + static_cast<ptrdiff_t>(static_cast<size_t>(lengths[s]) * row_size());
    rows.insert(rows.end(),
                end - static_cast<ptrdiff_t>(static_cast<size_t>(counts[s]) * row_size()), end);
    starts.push_back(starts.back() + counts[s]);
    args.max_rows = std::max(args.max_rows, counts[s]);
    args.max_length = std::max(args.max_length, lengths[s]);
  }
  Elements queries(element_, rows, "queries");
  Elements out(element_, std::vector<float>(rows.size(), -1), "out");
  Array<int32_t> row_starts(starts, "row_starts");
  Array<int32_t> length(lengths, "lengths");
  Array<int32_t> tables(block_tables_, "block_tables");
  args.element = element_;
  args.num_sequences = static_cast<int32_t>(lengths.size());
  args.num_heads = shape_.num_heads;
  args.num_kv_heads = shape_.num_kv_heads;
  args.head_dim = shape_.head_dim;
  args.queries = queries.bytes();
  args.query_stride = args.out_stride = static_cast<int64_t>(row_size());
  args.out = out.bytes();
  args.row_starts = row_starts.data();
  args.lengths = length.data();
  args.block_tables = tables.data();
  args.table_stride = table_stride_;
  args.window = shape_.window;
  args.scale = 1 / std::sqrt(static_cast<float>(shape_.head_dim));
  args.pages = {key_pages_->bytes(), value_pages_->bytes(), block_stride_, shape_.block_size};
  if (!decodes) {
    expect_one_result({&out}, [&] { attend_prefill(args, nullptr); });
    return out.values();
  }
  DeviceMemory workspace(static_cast<size_t>(attend_workspace_bytes(
                             args.num_sequences, args.num_heads, args.head_dim, args.max_length)),
                         "workspace");
  expect_one_result({&out}, [&] { attend_decode(args, workspace.bytes(), nullptr); });
  return out.values();
}

std::vector<float> World::prefill(const std::vector<int32_t>& lengths,
                                  const std::vector<int32_t>& counts) {
  return run(lengths, counts, false);
}

std::vector<float> World::decode(const std::vector<int32_t>& lengths) {
  return run(lengths, std::vector<int32_t>(lengths.size(), 1), true);
}

std::vector<float> World::exact(size_t sequence, int32_t position) const {
  std::vector<float> out;
  const size_t dim = static_cast<size_t>(shape_.head_dim);
  const int32_t group = shape_.num_heads / shape_.num_kv_heads;
  const int32_t first = shape_.window > 0 ? std::max(0, position - shape_.window + 1) : 0;
  for (int32_t h = 0; h < shape_.num_heads; ++h) {
    const float* query = &queries_[sequence][static_cast<size_t>(position) * row_size() +
                                             static_cast<size_t>(h) * dim];
    std::vector<double> weights;
    double sum = 0;
    for (int32_t p = first; p <= position; ++p) {
      double score = 0;
      for (size_t d = 0; d < dim; ++d) score += double{query[d]} * key(sequence, p, h / group)[d];
      weights.push_back(std::exp(score / std::sqrt(static_cast<double>(dim))));
      sum += weights.back();
    }
    for (size_t d = 0; d < dim; ++d) {
      double value = 0;
      for (int32_t p = first; p <= position; ++p) {
        const size_t at = static_cast<size_t>((p * shape_.num_kv_heads + h / group)) * dim + d;
        value += weights[static_cast<size_t>(p - first)] / sum * values_[sequence][at];
      }
      out.push_back(static_cast<float>(value));
    }
  }
  return out;
}

std::vector<float> slice(const std::vector<float>& all, size_t row, size_t size) {
  const auto first = all.begin() + static_cast<ptrdiff_t>(row * size);
  return {first, first + static_cast<ptrdiff_t>(size)};
}

/// Whole prompts at once against the definition; then cut in two, and token by token, bit for bit.
void check_attention(Element element, const Shape& shape, const std::vector<int32_t>& lengths) {
  World world(element, shape, lengths);
  const std::string what =
      "head_dim " + std::to_string(shape.head_dim) + " window " + std::to_string(shape.window);
  const std::vector<float> whole = world.prefill(lengths, lengths);
  // Weights are rounded to the element before values are weighed.
  const float allowed = 2 * tolerance(element);
  size_t row = 0;
  std::vector<size_t> last_rows;
  for (size_t s = 0; s < lengths.size(); ++s) {
    for (int32_t p = 0; p < lengths[s]; ++p, ++row) {
      expect_near(slice(whole, row, world.row_size()), world.exact(s, p), allowed,
                  what + " position " + std::to_string(p));
    }
    last_rows.push_back(row - 1);
  }
  const std::vector<float> decoded = world.decode(lengths);
  std::vector<int32_t> tails;
  for (const int32_t length : lengths) tails.push_back(std::min(length, 37));
  const std::vector<float> chunk = world.prefill(lengths, tails);
  size_t chunk_row = 0;
  for (size_t s = 0; s < lengths.size(); ++s) {
    const auto want = slice(whole, last_rows[s], world.row_size());
    EXPECT_EQ(slice(decoded, s, world.row_size()), want) << what << " decode of sequence " << s;
    for (int32_t i = tails[s] - 1; i >= 0; --i, ++chunk_row) {
      EXPECT_EQ(slice(chunk, chunk_row, world.row_size()),
                slice(whole, last_rows[s] - static_cast<size_t>(i), world.row_size()))
          << what << " chunk of sequence " << s;
    }
  }
}

class Attention : public KernelTest {};
TOUCHSTONE_FOR_ALL_ELEMENTS(Attention);

TEST_P(Attention, OneTokenSeesItself) {
  World world(GetParam(), {2, 1, 16}, {1});
  EXPECT_EQ(world.prefill({1}, {1}), world.decode({1}));
  expect_near(world.decode({1}), world.exact(0, 0), 0, "its value");
}

TEST_P(Attention, GroupedQueries) { check_attention(GetParam(), {6, 2, 10}, {1, 31, 33}); }

TEST_P(Attention, HeadsOfEachKernel) {
  for (const int32_t dim : {16, 20, 64, 80, 128}) check_attention(GetParam(), {2, 1, dim}, {35, 2});
}

TEST_P(Attention, SeveralSplits) { check_attention(GetParam(), {2, 2, 20, 32}, {129, 128, 270}); }

TEST_P(Attention, MoreHeadsThanAWarpHasRows) { check_attention(GetParam(), {20, 1, 16}, {5}); }

TEST_P(Attention, SlidingWindows) {
  check_attention(GetParam(), {4, 2, 10, 16, 40}, {17, 41, 200});
  check_attention(GetParam(), {2, 2, 16, 48, 1}, {33});
  check_attention(GetParam(), {2, 1, 16, 16, 129}, {260});
}

TEST_P(Attention, EveryPositionDecodes) {
  World world(GetParam(), {4, 2, 20, 16, 24}, {50});
  const auto whole = world.prefill({50}, {50});
  for (int32_t length = 1; length <= 50; ++length) {
    EXPECT_EQ(world.decode({length}),
              slice(whole, static_cast<size_t>(length - 1), world.row_size()));
  }
}

}  // namespace
}  // namespace touchstone::backend::cuda
