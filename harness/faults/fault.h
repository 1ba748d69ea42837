// Faults: what is done to a part of the stack while the load runs. A kind is one file here and its
// row in fault_kinds(). Values; thread-compatible.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "harness/stack/part.h"

namespace touchstone::harness {

struct Fault;

/// A number that a kind can be told: `slow:…,latency=50ms`.
struct FaultOption {
  const char* word;
  enum class Unit { kDuration, kCount, kPerCent } unit = Unit::kCount;
  int64_t fallback = 0;  ///< nanoseconds, or a number
  const char* summary = "";
};

struct FaultKind {
  const char* word;     ///< "kill"
  const char* summary;  ///< for help: "SIGKILL"
  const char* proves;   ///< what a run that passes under it shows
  /// What it acts on: a process, bytes between two parts, answers to OTLP or API requests, OTLP
  /// between two parts, the disk of a process.
  enum class Target { kProcess, kWire, kAnswers, kOtlp, kDisk } target = Target::kProcess;
  Status (*apply)(Part& part, const Fault& fault);
  /// What ends it after its duration, or with the load; null: it does not last.
  Status (*undo)(Part& part);
  std::vector<FaultOption> options = {};
  bool ends_target = false;  ///< its target is gone for the rest of the run
};

/// Every kind, in the order of the help.
const std::vector<FaultKind>& fault_kinds();
/// For help: "collector or a subject"; "100 ms".
const char* to_string(FaultKind::Target target);
std::string fallback_text(const FaultOption& option);

struct Fault {
  const FaultKind* kind = nullptr;  ///< never null once parsed
  /// "collector", "backend", a subject's name; or "FROM/TO" for what is between two of them, where
  /// FROM may be "client" too.
  std::string target;
  int64_t at_ns = 0;                ///< from the start of the load
  std::optional<int64_t> until_ns;  ///< set: `times` moments drawn from [at_ns, until_ns]
  int64_t times = 1;
  std::optional<int64_t> lasts_ns;        ///< nullopt: to the end of the load
  std::map<std::string, int64_t> values;  ///< of the kind's options, those that were said
  std::string text;                       ///< as written: "stop:canary@2s+500ms"

  /// As said, or the option's fallback. REQUIRES: the kind has it.
  int64_t value(const std::string& option) const;
};

/// KIND:TARGET@TIME, or @FROM..TO*TIMES for moments drawn by the run's seed; then +DURATION for a
/// kind that lasts, and ,OPTION=VALUE. `kill-collector@3s` is understood too.
/// ERRORS: kInvalidArgument with the kinds there are.
Result<Fault> parse_fault(const std::string& text);

/// Each drawn fault as so many at their moments, from `seed`; the others as they are. Equal seeds
/// give equal moments.
std::vector<Fault> with_moments(const std::vector<Fault>& faults, uint64_t seed);

/// Letters, digits, `_` and `-`: what a part may be called.
bool is_part_name(const std::string& name);

}  // namespace touchstone::harness
