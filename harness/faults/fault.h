// Faults: what is done to a part of the stack while the load runs. A kind is one file here and its
// row in fault_kinds(). Values; thread-compatible.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "harness/stack/part.h"

namespace touchstone::harness {

struct FaultKind {
  const char* word;     ///< "kill"
  const char* summary;  ///< for help: "SIGKILL"
  Status (*apply)(Part& part);
  /// What ends it after its duration, or with the load; null: it does not last.
  Status (*undo)(Part& part);
  bool ends_target = false;  ///< its target is gone for the rest of the run
};

/// Every kind, in the order of the help.
const std::vector<FaultKind>& fault_kinds();

struct Fault {
  const FaultKind* kind = nullptr;  ///< never null once parsed
  std::string target;               ///< "collector", or a subject's name
  int64_t at_ns = 0;                ///< from the start of the load
  std::optional<int64_t> lasts_ns;  ///< nullopt: to the end of the load
  std::string text;                 ///< as written: "stop:canary@2s+500ms"
};

/// KIND:TARGET@TIME, and +DURATION for a kind that lasts; `kill-collector@3s` is understood too.
/// ERRORS: kInvalidArgument with the kinds there are.
Result<Fault> parse_fault(const std::string& text);

/// Letters, digits, `_` and `-`: what a part may be called.
bool is_part_name(const std::string& name);

}  // namespace touchstone::harness
