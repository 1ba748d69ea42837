// Requests one after the other by arrival, wherever they come from: a workload file, a trace, a
// generator, another reader that is changed on the way. Thread-compatible.
#pragma once

#include <string>

#include "base/result.h"
#include "workload/workload.h"

namespace touchstone::workload {

class RequestReader {
 public:
  virtual ~RequestReader() = default;
  /// False when there are no more; `request` is then unspecified. Arrivals never go back.
  /// ERRORS: kInvalidArgument `file:line: field: got, expected`; kIo.
  virtual Result<bool> next(Request& request) = 0;
  /// Where the request that was read last stands: `file:line`, or in words.
  virtual std::string where() const = 0;
  /// What was left out so far and why, one sentence; empty when nothing was.
  virtual std::string left_out() const { return {}; }
};

}  // namespace touchstone::workload
