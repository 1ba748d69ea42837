// What one request says on the wire, and what its response says to the ledger: everything of the
// load generator that needs no socket. Source: OpenAI API reference (completions, chat
// completions) as vLLM 0.32.0 answers. Thread-compatible.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "http/sse.h"
#include "records/ledger.h"
#include "workload/workload.h"

namespace touchstone::harness {

/// "/v1/completions" or "/v1/chat/completions".
const char* path_of(workload::Endpoint endpoint);

struct RequestBody {
  std::string text;
  records::SentParameters parameters;
};

/// The JSON body for `request`. A request of a trace, which has lengths but no text, gets token
/// ids below `vocab_size`: equal prefix block ids give equal tokens. A raw body is sent as it is,
/// but for `${model}`.
RequestBody request_body(const workload::Request& request, const std::string& model,
                         int64_t vocab_size);

/// The ledger entry of `request` before it is sent; its parameters come with the body.
records::LedgerEntry entry_for(const workload::Request& request, int64_t index,
                               const std::string& model);

/// What comes of a request that was answered in good order.
records::ClientOutcome outcome_of(int64_t status);

/// Reads one response into its entry, bytes as they come.
class ResponseReader final {
 public:
  /// `hang_up_after_chunks` < 0: never. The entry outlives this.
  ResponseReader(records::LedgerEntry& entry, int64_t hang_up_after_chunks, bool keep_text)
      : entry_(entry), hang_up_after_chunks_(hang_up_after_chunks), keep_text_(keep_text) {}

  /// `request_id`: the X-Request-Id header, empty for none.
  void on_status(int64_t status, bool event_stream, std::string_view request_id = {});
  /// Body bytes that came `offset_ns` after sending. False: hang up now.
  bool on_body(std::string_view bytes, int64_t offset_ns);
  /// The body ended, in good order or not: sets outcome and error.
  void on_end(int64_t offset_ns);
  /// The client closed the connection on purpose.
  void on_hang_up(int64_t offset_ns);
  /// The connection broke, timed out, or was given up.
  void on_failure(const std::string& what, int64_t offset_ns);

 private:
  bool on_event(std::string_view data, int64_t offset_ns);
  void on_whole_body();

  records::LedgerEntry& entry_;
  const int64_t hang_up_after_chunks_;
  const bool keep_text_;
  bool event_stream_ = false;
  bool done_seen_ = false;
  bool hung_up_ = false;
  std::string problem_;
  std::string body_;
  http::SseParser sse_;
};

}  // namespace touchstone::harness
