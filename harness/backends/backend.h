// Where spans land, and how they are read back to be judged: one file a backend, one row in
// backends.cc. What a backend does not give back as it was sent is declared, so that no check
// passes, or fails, on it silently. One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "http/access.h"
#include "telemetry/span.h"

namespace touchstone::harness {

/// Half open, of span starts.
struct TimeWindow {
  int64_t start_unix_ns = 0;
  int64_t end_unix_ns = INT64_MAX;
  bool contains(int64_t unix_ns) const { return start_unix_ns <= unix_ns && unix_ns < end_unix_ns; }
};

/// What cannot be judged from somewhere, and which checks would judge it.
struct EvidenceLoss {
  std::string what;                 ///< "schema URLs"
  std::vector<std::string> checks;  ///< ids, or dotted prefixes of ids
  /// Whole: the check is left out. A failure may come from the loss: it is left out if it fails.
  enum class Effect { kWhole, kFailure } effect = Effect::kWhole;
};

/// NAME=URL as a person wrote it.
struct BackendAddress {
  std::string kind;  ///< a row of backend_kinds()
  std::string url;
  http::Access access = {};
  std::string text() const { return kind + "=" + url; }
};

struct BackendRead {
  int64_t spans = 0;
  /// What was there and could not be read, as `URL: …`. It counts as a problem of the input.
  std::vector<std::string> problems = {};
};

/// Gives spans back, all of every trace that has one in the window.
class SpanBackend {
 public:
  virtual ~SpanBackend() = default;
  /// A trace is handed on once. ERRORS: kInvalidArgument for the URL, kTimeout, kIo, kUnavailable
  /// `GET URL: got, expected`, kMalformed for an answer that is none; or what `visit` returned.
  virtual Result<BackendRead> read(
      const TimeWindow& window,
      const std::function<Status(const telemetry::TraceBatch&)>& visit) = 0;
};

struct BackendKind {
  std::string_view name;
  std::string_view summary;  ///< what its URL is
  std::vector<EvidenceLoss> losses;
  /// False: spans come back without their scope, by which some profiles tell them.
  bool keeps_scope = true;
  /// Null: its spans are judged where they lie (in_place.h).
  std::unique_ptr<SpanBackend> (*make)(const BackendAddress& address);
};
const std::vector<BackendKind>& backend_kinds();

/// ERRORS: kInvalidArgument for a text without `=`, or a kind that is no row.
Result<BackendAddress> parse_backend(const std::string& text);
/// REQUIRES: a row of this name.
const BackendKind& kind_of(const BackendAddress& address);

// A constructor each.
std::unique_ptr<SpanBackend> make_jaeger_backend(const BackendAddress& address);
std::unique_ptr<SpanBackend> make_tempo_backend(const BackendAddress& address);
std::unique_ptr<SpanBackend> make_signoz_backend(const BackendAddress& address);
std::unique_ptr<SpanBackend> make_span_log_backend(const BackendAddress& address);

}  // namespace touchstone::harness
