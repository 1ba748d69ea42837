#include "reference_engine/backend/cuda/step_arrays.h"

#include <algorithm>

#include "base/check.h"

namespace touchstone::backend::cuda {
namespace {

// Batch sizes that have a graph: powers of two while small, then steps that waste at most a third.
constexpr int32_t kSmallBatch = 32;
constexpr int32_t kBatchStep = 16;
/// The shortest length that has a graph; others are twice as long as the one before.
constexpr int32_t kShortest = 256;

int32_t rounded_rows(int32_t rows) {
  int32_t rounded = 1;
  while (rounded < rows && rounded < kSmallBatch) rounded *= 2;
  return rows <= rounded ? rounded : (rows + kBatchStep - 1) / kBatchStep * kBatchStep;
}

int32_t length_of(const Entry& entry) {
  return entry.first_position + static_cast<int32_t>(entry.tokens.size());
}

/// Rows of one entry, without their place in the attention.
void add_rows(const Entry& entry, int32_t request_slot, int32_t block_size, StepArrays& arrays) {
  for (size_t i = 0; i < entry.tokens.size(); ++i) {
    const int32_t position = entry.first_position + static_cast<int32_t>(i);
    const int32_t token = entry.tokens[i];
    BASE_CHECK(token >= 0 || token == kTokenInFlight, "token=", token);
    arrays.tokens.push_back(token == kTokenInFlight ? -1 - request_slot : token);
    arrays.positions.push_back(position);
    const int64_t block = entry.block_table[static_cast<size_t>(position / block_size)];
    arrays.slots.push_back(block * block_size + position % block_size);
  }
}

void add_sequence(const Entry& entry, int32_t block_size, AttendArrays& group) {
  const int32_t length = length_of(entry);
  const size_t blocks = static_cast<size_t>((length + block_size - 1) / block_size);
  BASE_CHECK(entry.block_table.size() >= blocks, entry.block_table.size(), " blocks for ", length);
  group.lengths.push_back(length);
  group.row_starts.push_back(group.row_starts.back() + static_cast<int32_t>(entry.tokens.size()));
  const size_t first = static_cast<size_t>(group.sequences * group.table_stride);
  group.block_tables.resize(first + static_cast<size_t>(group.table_stride), 0);
  std::copy_n(entry.block_table.begin(), blocks,
              group.block_tables.begin() + static_cast<ptrdiff_t>(first));
  group.sequences += 1;
}

void add_wanted(size_t index, const Entry& entry, int32_t first_row, StepArrays& arrays) {
  for (size_t i = 0; i < entry.tokens.size(); ++i) {
    const bool last = i + 1 == entry.tokens.size();
    if (i < static_cast<size_t>(entry.num_prompt_rows) || (last && entry.sample)) {
      arrays.wanted.push_back({index, i, first_row + static_cast<int32_t>(i)});
    }
  }
}

/// Empty, with room for sequences as long as those of `plan` that `belongs` picks.
template <typename Belongs>
void start_group(const Plan& plan, int32_t block_size, const Belongs& belongs, int32_t first_row,
                 AttendArrays& group) {
  group.sequences = 0;
  group.max_rows = 0;
  group.max_length = 0;
  for (const Entry& entry : plan.entries) {
    if (!belongs(entry)) continue;
    group.max_rows = std::max(group.max_rows, static_cast<int32_t>(entry.tokens.size()));
    group.max_length = std::max(group.max_length, length_of(entry));
  }
  group.table_stride = (group.max_length + block_size - 1) / block_size;
  group.row_starts.assign(1, first_row);
  group.lengths.clear();
  group.block_tables.clear();
}

void fill_up(const DecodeShape& shape, StepArrays& arrays) {
  AttendArrays& group = arrays.single;
  BASE_CHECK(group.sequences <= shape.rows && arrays.several.sequences == 0, group.sequences);
  const size_t rows = static_cast<size_t>(shape.rows);
  arrays.tokens.resize(rows, 0);
  arrays.positions.resize(rows, 0);
  arrays.slots.resize(rows, -1);
  group.lengths.resize(rows, 0);
  while (group.row_starts.size() <= rows) group.row_starts.push_back(group.row_starts.back() + 1);
  group.block_tables.resize(rows * static_cast<size_t>(group.table_stride), 0);
  group.sequences = shape.rows;
  arrays.rows = shape.rows;
}

}  // namespace

std::optional<DecodeShape> decode_shape(const Plan& plan, int32_t max_rows, int32_t max_length) {
  if (plan.entries.size() > static_cast<size_t>(max_rows)) return std::nullopt;
  int32_t longest = 0;
  for (const Entry& entry : plan.entries) {
    if (entry.tokens.size() != 1 || !entry.sample) return std::nullopt;
    longest = std::max(longest, length_of(entry));
  }
  DecodeShape shape{.rows = rounded_rows(static_cast<int32_t>(plan.entries.size())),
                    .max_length = kShortest};
  while (shape.max_length < longest) shape.max_length *= 2;
  shape.rows = std::min(shape.rows, max_rows);
  shape.max_length = std::min(shape.max_length, max_length);
  return shape;
}

void lay_out_step(const Plan& plan, std::span<const int32_t> request_slots, int32_t block_size,
                  const std::optional<DecodeShape>& shape, StepArrays& arrays) {
  arrays.tokens.clear();
  arrays.positions.clear();
  arrays.slots.clear();
  arrays.wanted.clear();
  const auto is_single = [](const Entry& entry) { return entry.tokens.size() == 1; };
  const auto is_several = [](const Entry& entry) { return entry.tokens.size() > 1; };
  start_group(plan, block_size, is_single, 0, arrays.single);
  if (shape) {
    arrays.single.max_length = shape->max_length;
    arrays.single.table_stride = (shape->max_length + block_size - 1) / block_size;
  }
  const auto add_all = [&](const auto& belongs, AttendArrays& group) {
    for (size_t i = 0; i < plan.entries.size(); ++i) {
      const Entry& entry = plan.entries[i];
      if (!belongs(entry)) continue;
      add_wanted(i, entry, static_cast<int32_t>(arrays.tokens.size()), arrays);
      add_rows(entry, request_slots[i], block_size, arrays);
      add_sequence(entry, block_size, group);
    }
  };
  add_all(is_single, arrays.single);
  start_group(plan, block_size, is_several, static_cast<int32_t>(arrays.tokens.size()),
              arrays.several);
  add_all(is_several, arrays.several);
  arrays.rows = static_cast<int64_t>(arrays.tokens.size());
  if (shape) fill_up(*shape, arrays);
}

}  // namespace touchstone::backend::cuda
