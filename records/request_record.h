// RequestRecord: everything telemetry may ever say about one request. Engine and simulator make
// it; instrumentation turns it into spans and metrics; nothing else creates telemetry of a request.
// JSON-lines format `request records`, schema version kRequestRecordVersion. No text of prompt or
// completion is in a line: block hashes are one-way, and `content` is never written. Values;
// thread-compatible.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"

namespace touchstone::records {

inline constexpr int kRequestRecordVersion = 2;  ///< lines of 1 are read too

/// W3C trace context of the caller.
struct TraceContext {
  TraceId trace_id;
  SpanId parent_span_id;
  uint8_t flags = 0;  ///< bit 0: sampled
  std::string trace_state;
  bool remote = true;  ///< from a header; false: from the process environment
  bool sampled() const { return (flags & 1) != 0; }
};

enum class Outcome { kStop, kLength, kAbort, kError, kRefused };
const char* to_string(Outcome outcome);  // "stop", "length", "abort", "error", "refused"

/// One step's share of a prompt's computation; also when it is done again after a preemption.
struct PrefillChunk {
  int64_t start_ns = 0;  ///< of the step
  int64_t end_ns = 0;    ///< of the step; 0: the request ended before
  int64_t tokens = 0;    ///< computed in it
};

/// A time without blocks: from the plan that took them to the one that gave new ones, or the end.
struct Preemption {
  int64_t start_ns = 0;
  int64_t end_ns = 0;
};

/// What was said, cut to `bytes_max` each: there only when a server was told to capture content.
struct RequestContent {
  struct Message {
    std::string role;  ///< "user", "system", …
    std::string text;
  };
  std::vector<Message> input;  ///< as the client sent them; a bare prompt is the user's
  std::string output;          ///< of this choice
  int64_t bytes_max = 0;       ///< of all input together, and of the output
};

/// One completion (a choice) of one HTTP request. All *_ns without "unix" are on one monotonic
/// clock; 0 <= arrival <= queued <= first_scheduled <= first_token <= last_token <= finished where
/// each was reached, nullopt where it was not.
struct RequestRecord {
  uint64_t id = 0;         ///< the scheduler's request id; unique per process
  std::string request_id;  ///< as clients and spans see it: "cmpl-abc-0", "chatcmpl-abc"
  std::string endpoint;    ///< "/v1/completions", "/v1/chat/completions"
  std::string model;       ///< served model name
  std::string adapter;     ///< name of the adapter on top of it; empty: none
  std::string tenant;      ///< on whose behalf; empty: not known
  std::optional<TraceContext> trace;
  /// Where the HTTP server has a span of its own: it is the parent that `trace` names, and has the
  /// caller's for its parent, nullopt when there is none.
  std::optional<SpanId> http_span_id;
  std::optional<SpanId> caller_span_id;
  /// Without `trace`: the trace that this request begins, where somebody was told of it already.
  std::optional<TraceId> own_trace_id;

  int64_t arrival_unix_ns = 0;
  int64_t arrival_ns = 0;
  std::optional<int64_t> tokenize_ns;         ///< duration: from the body to the prompt's tokens
  std::optional<int64_t> queued_ns;           ///< the engine thread took it over
  std::optional<int64_t> first_scheduled_ns;  ///< first left the waiting queue
  std::optional<int64_t> first_token_ns;
  std::optional<int64_t> last_token_ns;
  int64_t finished_ns = 0;
  std::optional<int64_t> detokenize_ns;  ///< duration: all its tokens to text, stop strings sought
  std::vector<PrefillChunk> prefill_chunks;
  std::vector<Preemption> preempted;

  std::optional<int64_t> prompt_characters;  ///< Unicode code points of its text
  int64_t prompt_tokens = 0;
  int64_t cached_tokens = 0;  ///< prefix-cache hit at first admission
  int64_t completion_tokens = 0;
  int64_t preemptions = 0;

  std::optional<int64_t> max_tokens;  ///< effective, after clamping to the model length
  std::optional<int64_t> min_tokens;
  std::optional<double> temperature;
  std::optional<double> top_p;
  std::optional<int64_t> top_k;
  std::optional<double> min_p;
  std::optional<double> presence_penalty;
  std::optional<double> frequency_penalty;
  std::optional<double> repetition_penalty;
  std::optional<int64_t> seed;  ///< of this choice, as far as the client gave one
  int64_t stop_strings = 0;     ///< how many; never what they are
  std::vector<int64_t> stop_token_ids;
  int64_t n = 1;        ///< of the HTTP request
  int64_t choice = 0;   ///< index of this completion among its siblings (prompts × n)
  int64_t choices = 1;  ///< how many siblings there are
  bool stream = false;
  bool ignore_eos = false;
  int64_t priority = 0;
  /// Its prompt was computed whole whatever the prefix cache held, as prompt_logprobs demands.
  bool skip_reading_prefix_cache = false;

  Outcome outcome = Outcome::kStop;
  std::string stop_reason;  ///< matched stop string or token id; empty when none
  int64_t http_status = 200;
  std::string error_type;  ///< for kRefused and kError: as sent to the client
  std::string rate_limit;  ///< refused for it: "requests" or "tokens" of its tenant

  std::optional<RequestContent> content;  ///< never in a line

  int64_t block_size = 0;
  std::vector<std::string> block_hashes;  ///< hex of the full blocks' chain, outputs included
};

/// Between two of its times; 0 when either was not reached.
double seconds_between(const std::optional<int64_t>& from, const std::optional<int64_t>& to);

std::string to_json_line(const RequestRecord& record);
/// ERRORS: kInvalidArgument `file:line: field: got, expected`.
Result<RequestRecord> parse_request_record(const std::string& file, int64_t line,
                                           const std::string& text);
Result<std::vector<RequestRecord>> read_request_records(const std::string& path);

}  // namespace touchstone::records
