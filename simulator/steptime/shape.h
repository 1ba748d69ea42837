// The shape of step times: what a hardware and a model make of the work, apart from the server
// process, which only scales it (Anchor). One file a shape; immutable, so that models share one.
// Thread-safe.
#pragma once

#include <memory>
#include <string>

#include "simulator/steptime/model.h"

namespace touchstone::simulator {

/// A step's time in two parts, which server processes scale apart.
struct StepParts {
  double decode_ns = 0;   ///< what the step would take without its prompts' tokens
  double prefill_ns = 0;  ///< what these add
};

class StepShape {
 public:
  virtual ~StepShape() = default;
  virtual StepParts parts_ns(const StepFeatures& features) const = 0;
  /// The work for which it was made.
  virtual Validity validity() const { return {}; }
  virtual std::string describe() const = 0;
};

/// Of one server process.
struct Anchor {
  double decode = 1;
  double prefill = 1;
  /// False: those of no process in particular; another process of the same machine may be off by
  /// 10 % and more.
  bool fitted = false;
};

}  // namespace touchstone::simulator
