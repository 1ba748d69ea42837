// Step times from first principles: what must be read and computed, at the rates that a card's
// datasheet promises, of which serving reaches a part. For cards that nobody has measured; within
// tens of percent. Thread-safe.
#pragma once

#include <memory>

#include "base/result.h"
#include "simulator/steptime/card.h"
#include "simulator/steptime/model.h"
#include "simulator/steptime/model_shape.h"
#include "simulator/steptime/shape.h"

namespace touchstone::simulator {

struct RooflineOptions {
  Card card;
  ModelShape model;
  int64_t weight_bytes = 2;  ///< of a parameter: 2 bfloat16, 1 fp8
  int64_t tensor_parallel = 1;
};

std::shared_ptr<const StepShape> make_roofline_shape(const RooflineOptions& options);

/// "CARD,CONFIG.json[,bfloat16|fp8[,TP]]". ERRORS: kInvalidArgument; those of the file.
Result<RooflineOptions> parse_roofline(std::string_view text);

}  // namespace touchstone::simulator
