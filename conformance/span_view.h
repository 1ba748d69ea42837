// One span as the checks of one profile see it, while it passes. Borrows everything; valid during
// the call it is handed to. One thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "conformance/matching.h"
#include "conformance/profile/compiled.h"
#include "conformance/profile/relation.h"
#include "conformance/span_register.h"
#include "telemetry/span.h"

namespace touchstone::conformance {

/// Request spans with the same trace, request id, start and end.
struct Twins {
  SpanId first;
  int64_t count = 0;
};

struct SpanView {
  const telemetry::Span* span = nullptr;
  const telemetry::Scope* scope = nullptr;
  const std::string* schema_url = nullptr;  ///< the scope's, else the resource's
  const telemetry::Resource* resource = nullptr;
  SpanRegister::Seen seen = SpanRegister::Seen::kNew;
  TraceId first_trace;  ///< of the first span with its id, unless it is kNew
  bool told = true;     ///< false: a copy that its sender did not mark as a re-delivery
  bool known = false;   ///< some profile has a type for it
  bool other_service = false;

  // What one profile makes of it.
  const CompiledType* type = nullptr;                 ///< null: none of its types
  std::vector<const telemetry::Value*> values;        ///< by slot of the type; null: absent
  std::vector<const telemetry::KeyValue*> rest;       ///< attributes without a rule
  std::vector<const telemetry::KeyValue*> forbidden;  ///< attributes that a rule forbids
  bool keys_differ = false;                           ///< none is there twice; false: not known
  RequestMatch* request = nullptr;                    ///< of the ledger, that it belongs to
  const Twins* twins = nullptr;                       ///< of a request span, with itself

  /// Resolves the attributes for `of`, which may be null.
  void set_type(const CompiledType* of);

  const SpanType& rules() const { return type->type(); }
  bool is_request() const { return type != nullptr && type->type().is_request; }
  /// False for the second and further spans with its ids: they count nowhere.
  bool is_first() const {
    return seen == SpanRegister::Seen::kNew || seen == SpanRegister::Seen::kNewButShared;
  }
  double duration_s() const;
  const telemetry::Value* value(std::string_view word) const;
  /// The value behind a word of the profile's names, `duration`, or a key, in its base unit (times
  /// in seconds); nullopt when absent or no number.
  std::optional<double> number(std::string_view word) const;
  /// The same behind a place of the type.
  std::optional<double> number(const NumberPlace& place) const;
  /// nullopt when absent or no string.
  std::optional<std::string_view> text(std::string_view word) const;
  /// A number, else a text, else nothing.
  Operand operand(std::string_view word) const;
};

}  // namespace touchstone::conformance
