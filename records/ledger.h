// The ledger: the harness's own truth. One JSON object a line in requests.jsonl of a run folder:
// every request that was sent, as its client saw it. Written by harness, load and tap; read by
// check, audit and simulate. The keys i, arrival_s, sent_unix_ns, trace_id, status, prompt_tokens,
// output_tokens, prompt_token_ids, chunk_offsets_ns, usage and done_ns are those of any measured
// run folder; the others are optional, so a ledger of another load generator reads too.
// Unknown keys are ignored: machines write this. Values; thread-compatible.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"

namespace touchstone::records {

enum class ClientOutcome {
  kCompleted,  ///< a whole response with status 2xx
  kHungUp,     ///< the client closed the connection before the end, on purpose
  kRefused,    ///< status 4xx or 503
  kFailed,     ///< no or a broken response, or another status
};
const char* to_string(ClientOutcome outcome);  // "completed", "hung_up", "refused", "failed"

struct Usage {
  int64_t prompt_tokens = 0;
  int64_t completion_tokens = 0;
  std::optional<int64_t> cached_tokens;
  bool operator==(const Usage&) const = default;
};

/// The sampling parameters that the request's body named; what it did not name is nullopt.
struct SentParameters {
  std::optional<int64_t> max_tokens;  ///< or max_completion_tokens
  std::optional<int64_t> min_tokens;
  std::optional<int64_t> n;
  std::optional<int64_t> seed;
  std::optional<int64_t> top_k;
  std::optional<double> temperature;
  std::optional<double> top_p;
  std::optional<double> min_p;
  std::optional<double> presence_penalty;
  std::optional<double> frequency_penalty;
  std::optional<double> repetition_penalty;
  std::optional<bool> ignore_eos;
  std::vector<std::string> stop;
  bool operator==(const SentParameters&) const = default;
};

/// Those of a request's body; none when the body is no JSON object.
SentParameters parameters_of_body(const nlohmann::json& body);

struct LedgerEntry {
  int64_t index = 0;    ///< `i`
  std::string name;     ///< of the workload's request
  std::string subject;  ///< the server it went to, where a suite has several
  TraceId trace_id;
  SpanId span_id;  ///< the client's span: parent of what the server emits
  bool sampled = true;
  std::string endpoint;  ///< "/v1/completions"
  std::string model;
  std::string tenant;  ///< `user` of the body
  SentParameters parameters;
  int64_t attempt = 1;  ///< 2 for the first repetition of a request that failed
  bool stream = false;
  /// Completions asked for: prompts × n; each owes one span.
  int64_t choices = 1;

  int64_t intended_ns = 0;               ///< `arrival_s`: offset at which it should have been sent
  int64_t sent_unix_ns = 0;              ///< when it was
  int64_t status = 0;                    ///< HTTP status; 0: none was received
  std::optional<int64_t> expect_status;  ///< which one the workload expects
  ClientOutcome outcome = ClientOutcome::kFailed;
  std::string error;                        ///< error type of a refusal, or what broke
  std::string response_id;                  ///< "cmpl-…"
  std::string request_id;                   ///< the response's X-Request-Id header
  std::vector<std::string> finish_reasons;  ///< by choice
  std::optional<Usage> usage;
  int64_t prompt_tokens = 0;  ///< from usage, or as asked for
  int64_t output_tokens = 0;
  std::vector<int32_t> prompt_token_ids;
  std::optional<int64_t> first_chunk_ns;  ///< offset from sending
  std::vector<int64_t> chunk_offsets_ns;  ///< of each content chunk, from sending
  int64_t done_ns = 0;                    ///< offset of the end from sending
  /// Text of the first choice, kept only when the load asks for samples.
  std::string text;
};

std::string to_json_line(const LedgerEntry& entry);
/// ERRORS: kNotFound, kInvalidArgument `file:line: field: got, expected`.
Result<std::vector<LedgerEntry>> read_ledger(const std::string& path);

}  // namespace touchstone::records
