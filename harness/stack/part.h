// One part of a stack under test: the Collector, a server, the load. The runner takes every part
// through the same stages, in the order of the plan; faults act on parts by name.
// Implementations are thread-compatible.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "harness/process/child.h"
#include "harness/wire/otlp_gate.h"
#include "harness/wire/wire.h"

namespace touchstone::harness {

/// The stages of a part's life; each part has work at some of them.
enum class Stage {
  kStart,    ///< started and ready
  kObserve,  ///< looked at before the load
  kSettle,   ///< looked at after the load, once nothing is in flight
  kStop,     ///< everything it still held is flushed, then it has ended
};

class Part {
 public:
  virtual ~Part() = default;

  virtual const std::string& name() const = 0;
  /// For sentences: "the Collector", "the subject".
  virtual std::string title() const = 0;

  /// What is to be done at a stage. ERRORS: kUnavailable, kTimeout, kCancelled, kIo: the run ends.
  virtual Status enter(Stage stage) = 0;

  /// The process that it is now; null when it has none of its own, or none any more.
  virtual ChildProcess* process() { return nullptr; }
  /// ERRORS: kUnavailable when there is no living process to send it to.
  Status send_signal(int signal);
  /// Kills it and starts it again without waiting for it. ERRORS: kUnavailable, kUnsupported.
  virtual Status restart();

  /// For a part that stands between two others. ERRORS: kUnsupported for any other.
  virtual Status set_wire(const WireFault& fault);
  /// The same, of what it answers. ERRORS: kUnsupported also for what it cannot answer so.
  virtual Status set_answers(const AnswerFault& fault);
  /// Leaves no room for its files, until free_disk(). ERRORS: kUnsupported when it has no file
  /// system of its own, kIo.
  virtual Status fill_disk();
  virtual Status free_disk();
};

}  // namespace touchstone::harness
