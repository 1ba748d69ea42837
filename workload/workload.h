// The workload format: what to send, and when. One JSON object a line; read by simulate, plan,
// load and bench, written by generators and trace readers. Schema: workload/workload.schema.json.
// Values; thread-compatible. Unknown keys are errors: people write this.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace touchstone::workload {

inline constexpr int kSchemaVersion = 1;

enum class Endpoint { kCompletions, kChat };

struct Message {
  std::string role;
  std::string content;
};

/// Unset fields are not sent, so that the server's own defaults apply.
struct Sampling {
  std::optional<double> temperature;
  std::optional<double> top_p;
  std::optional<int64_t> top_k;
  std::optional<int64_t> seed;
  std::optional<int64_t> n;
  std::optional<int64_t> min_tokens;
  std::optional<bool> ignore_eos;
  std::vector<std::string> stop;
};

struct Request {
  std::string name;        ///< unique within the workload; "r0017" when the file gives none
  int64_t arrival_ns = 0;  ///< from the start of the run
  Endpoint endpoint = Endpoint::kCompletions;
  bool stream = false;

  /// Exactly one of the following describes the prompt for a server; a trace without text has
  /// none of them and only `prompt_tokens`, which the load generator turns into token ids.
  std::optional<std::string> prompt;
  std::vector<int32_t> prompt_token_ids;
  std::vector<Message> messages;

  int64_t prompt_tokens = 0;  ///< 0: unknown until a tokenizer has seen the prompt
  int64_t output_tokens = 0;  ///< max_tokens to ask for; in a trace, the tokens generated
  /// Ids of the prompt's leading full blocks of `prefix_block_size` tokens; equal ids mean equal
  /// content up to and including that block. Empty: nothing known about sharing.
  std::vector<uint64_t> prefix_block_ids;
  int64_t prefix_block_size = 0;

  std::string session;  ///< empty: a session of its own
  int64_t turn = 0;
  /// The client sends it no earlier than this after the session's turn before is over; it arrives
  /// at the later of that and arrival_ns. REQUIRES a session. `load` keeps to arrival_ns alone, and
  /// says so.
  std::optional<int64_t> think_ns;
  /// The client gives up when it has no whole answer this long after it sent the request.
  std::optional<int64_t> timeout_ns;
  std::string adapter;  ///< on top of the model; as `model` it is what a server is asked for
  std::string tenant;
  int64_t priority = 0;
  Sampling sampling;

  /// The client hangs up after this many streamed chunks. REQUIRES stream.
  std::optional<int64_t> hang_up_after_chunks;
  /// Sent instead of a body made from the above, to provoke a refusal; `${model}` is filled in.
  std::optional<std::string> raw_body;
  /// Status the server must answer with, when not 200.
  int64_t expect_status = 200;
};

struct Workload {
  std::vector<Request> requests;  ///< by arrival_ns, ties in file order
};

/// ERRORS: kNotFound, kIo, kInvalidArgument with `file:line: field: got, expected`: an empty file,
/// arrivals that go back, unknown keys, contradictory prompts, negative numbers.
Result<Workload> read_workload(const std::string& path);
/// Writes what read_workload() reads back to an equal value.
Status write_workload(const Workload& workload, const std::string& path);
std::string to_json_line(const Request& request);

}  // namespace touchstone::workload
