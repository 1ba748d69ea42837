// Known deviations: their violations are counted and left out of the findings, and a suppression
// that is no longer needed, has expired or hides too much is a finding of its own. One thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "result/result_model.h"

namespace touchstone::conformance {

/// A deviation that is known and accepted.
struct Suppression {
  std::string check_id;  ///< "span.kind", or a dotted prefix of ids: "span.attribute"
  std::string subject;   ///< substring of the violation's subject; empty: any
  std::string reason;
  int64_t expires_unix_ns = 0;     ///< required: nothing is accepted for ever
  std::optional<int64_t> at_most;  ///< violations; more of them fail the run
  std::string where;               ///< file:line, for messages
};

/// True when `check_id` is the id of a check or a dotted prefix of ids.
bool names_checks(const std::string& check_id);

class Suppressor final {
 public:
  Suppressor(const std::vector<Suppression>& suppressions, int64_t now_unix_ns);

  /// The reason when a suppression covers a violation of this check about this subject; counts it.
  const std::string* cover(const std::string& check_id, const std::string& subject);
  /// The outcome of the check `suppression.needed`; notes each use. Call once, at the end.
  result::CheckOutcome finish(std::vector<std::string>& notes) const;

  static constexpr const char* kCheckId = "suppression.needed";

 private:
  struct Use {
    const Suppression* suppression;
    bool expired;
    int64_t count = 0;
  };
  std::vector<Use> uses_;
};

}  // namespace touchstone::conformance
