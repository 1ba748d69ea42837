// Regular expressions of profiles: PCRE2 with bounded work, so that a pattern cannot hang or
// overflow the stack on hostile telemetry. Thread-compatible.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace touchstone::conformance {

class Pattern final {
 public:
  enum class Extent { kWhole, kAnywhere };  ///< what of a text must match
  /// ERRORS: kInvalidArgument with offset and reason.
  static Result<Pattern> compile(const std::string& expression, Extent extent = Extent::kWhole);
  Pattern(Pattern&&) noexcept;
  Pattern& operator=(Pattern&&) noexcept;
  ~Pattern();

  /// True when `text`, or a part of it, matches; false too when matching ran out of its bounds.
  bool matches(std::string_view text) const;

 private:
  struct Code;
  explicit Pattern(std::unique_ptr<Code> code);
  std::unique_ptr<Code> code_;
};

}  // namespace touchstone::conformance
