// A few whole request spans, kept to be shown: the slowest, and a sample chosen by their ids, so
// that the order of input changes nothing. Thread-compatible.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "conformance/span_view.h"
#include "records/ledger.h"
#include "telemetry/span.h"

namespace touchstone::conformance {

struct Example {
  uint64_t hash = 0;  ///< of its ids
  telemetry::Span span;
  const records::LedgerEntry* entry = nullptr;         ///< null: not known
  std::vector<std::pair<std::string, double>> phases;  ///< name and seconds, those that it has
  std::optional<double> phase(const std::string& name) const;
  int64_t duration_ns() const { return span.end_unix_ns - span.start_unix_ns; }
};

class Examples final {
 public:
  static constexpr size_t kSampleMax = 256;

  void add(const SpanView& view);
  /// Of a sample of all; of all, when they are few. nullopt: none.
  std::optional<Example> median() const;
  const std::optional<Example>& slowest() const { return slowest_; }

 private:
  std::vector<Example> sample_;  // a heap: the largest hash in front
  std::optional<Example> slowest_;
};

}  // namespace touchstone::conformance
