// The spans of all inputs as one flat list, each with its resource, scope and type.
// Read-only after construction; one thread. Borrows the Evidence.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "conformance/profile/profile.h"
#include "telemetry/span.h"

namespace touchstone::conformance {

struct SpanView {
  const telemetry::Span* span = nullptr;
  const telemetry::Scope* scope = nullptr;
  const std::string* schema_url = nullptr;  ///< the scope's, else the resource's
  size_t resource = 0;                      ///< index into SpanIndex::resources
  const SpanType* type = nullptr;           ///< null: no type of the profile matches
};

struct SpanIndex {
  std::vector<SpanView> spans;                         ///< in the order of the input
  std::vector<const telemetry::Resource*> resources;   ///< distinct ones, first seen first
  std::map<TraceId, std::vector<size_t>> by_trace;     ///< indexes into spans
  std::map<std::pair<TraceId, SpanId>, size_t> by_id;  ///< the first span with the id

  SpanIndex(const std::vector<telemetry::TraceBatch>& batches, const Profile& profile);

  /// The value behind a word of the profile's names, `duration`, or a full key, as a number.
  static std::optional<double> number(const SpanView& view, const Profile& profile,
                                      const std::string& word);
  /// The text of the attribute behind a word; nullopt when absent or not a string.
  static std::optional<std::string> text(const SpanView& view, const Profile& profile,
                                         const std::string& word);
};

}  // namespace touchstone::conformance
