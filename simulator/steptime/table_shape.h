// Step times put together from measured grids: what all tokens of a step take together, what those
// that sample take, attention of decoding and of prompts, and what the host adds. Thread-safe.
#pragma once

#include <memory>
#include <string>

#include "simulator/steptime/grid.h"
#include "simulator/steptime/shape.h"

namespace touchstone::simulator {

/// All times in nanoseconds, over all layers. An empty grid costs nothing.
struct StepTable {
  double step_ns = 0;     ///< host and launches, a step
  double request_ns = 0;  ///< host, for each request of a step
  /// How far attention of unequal contexts is from that of equal ones towards that of all being as
  /// long as the longest: 0 to 1.
  double skew = 0;
  Grid dense;              ///< 1 x tokens of the step
  Grid head;               ///< 1 x requests that sample
  Grid decode_attention;   ///< decode requests x tokens that each reads
  Grid prefill_attention;  ///< computed tokens of a prompt x tokens computed before; a prompt
  std::string what;        ///< for reports: "llama-3.1-8b bfloat16 on h200_sxm"
};

std::shared_ptr<const StepShape> make_table_shape(StepTable table, const Validity& validity);

/// Within the measured points; nothing is said of what has no grid.
Validity validity_of(const StepTable& table);

}  // namespace touchstone::simulator
