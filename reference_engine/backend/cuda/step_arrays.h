// A plan as the arrays that the kernels of a forward pass read. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "reference_engine/backend/plan.h"

namespace touchstone::backend::cuda {

/// AttendGroup (decoder.h) on the host.
struct AttendArrays {
  int32_t sequences = 0;
  std::vector<int32_t> row_starts;    // (sequences + 1)
  std::vector<int32_t> lengths;       // (sequences)
  std::vector<int32_t> block_tables;  // (sequences, table_stride)
  int64_t table_stride = 0;
  int32_t max_rows = 0;
  int32_t max_length = 0;
};

/// A row whose logits are wanted: of token `token` of entry `entry`.
struct WantedRow {
  size_t entry = 0;
  size_t token = 0;
  int32_t row = 0;
};

/// A shape that many plans are rounded up to, so that one graph computes them all.
struct DecodeShape {
  int32_t rows = 0;
  int32_t max_length = 0;
  auto operator<=>(const DecodeShape&) const = default;
};

struct StepArrays {
  int64_t rows = 0;
  std::vector<int32_t> tokens;     // (rows): a token, or -1 - slot of the request
  std::vector<int32_t> positions;  // (rows)
  std::vector<int64_t> slots;      // (rows): block * block_size + place in it; -1: padding
  AttendArrays single;             // entries of one token, first
  AttendArrays several;            // the others
  std::vector<WantedRow> wanted;   // in the order of rows
};

/// The shape of a plan of at most `max_rows` entries, each one token to sample after; absent: it is
/// another kind of plan. `max_length`: of any sequence.
std::optional<DecodeShape> decode_shape(const Plan& plan, int32_t max_rows, int32_t max_length);

/// Overwrites `arrays`. `request_slots`: the slot of each entry's request. With `shape` the arrays
/// are filled up with rows that mean nothing and are stored nowhere.
void lay_out_step(const Plan& plan, std::span<const int32_t> request_slots, int32_t block_size,
                  const std::optional<DecodeShape>& shape, StepArrays& arrays);

}  // namespace touchstone::backend::cuda
