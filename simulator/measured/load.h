// A measured run as the simulator needs it: a server's settings, what was asked of it and when, and
// the times that were measured, whoever wrote them down:
//
//   steps.jsonl + records.jsonl                    a run of the reference engine
//   server.json + requests.jsonl (+ spans)         any server, as its clients saw it
//   server.json + spans.otlp.jsonl, or its file    spans and arrivals alone
//   meta.json + requests.jsonl                     vLLM's own times, as LLMServingSim's bench has
//   them
//
// Values; thread-compatible.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "records/request_record.h"
#include "reference_engine/scheduler/config.h"
#include "simulator/request.h"
#include "simulator/steptime/fitted.h"
#include "workload/workload.h"

namespace touchstone::simulator {

/// What was measured of one request, in seconds. Those that nobody measured are nullopt.
struct MeasuredTimes {
  // From its arrival, as its client or the server's frontend saw it.
  std::optional<double> ttft_s;
  std::optional<double> tpot_s;  ///< with two output tokens or more
  std::optional<double> e2e_s;
  // In the engine.
  std::optional<double> queue_s;    ///< queued to first scheduled: vLLM's time_in_queue
  std::optional<double> prefill_s;  ///< first scheduled to first token
  std::optional<double> decode_s;   ///< first to last token
};

struct MeasuredRequest {
  workload::Request request;        ///< arrival_ns counts from the first arrival
  std::optional<int64_t> abort_ns;  ///< its client hung up, on the same clock
  MeasuredTimes times;              ///< none of one that was aborted
  /// When its client got each token, on the same clock; empty when that is not known of all.
  std::vector<int64_t> token_ns = {};
};

/// What a server counted during the run; nullopt: not known.
struct MeasuredCounters {
  std::optional<double> steps;
  std::optional<double> preemptions;
  std::optional<double> prefix_hit_tokens;
  std::optional<double> peak_kv_blocks;
};

struct MeasuredLoad {
  std::string path;
  scheduler::Config config;               ///< as the server said; the rest at their defaults
  std::string engine;                     ///< "vllm 0.32.0"
  std::string model;                      ///< shape or name, in words
  std::string hardware;                   ///< in words; empty: not known
  std::vector<MeasuredRequest> requests;  ///< by arrival
  /// Of a run of the reference engine, one for each of `requests`: lengths, hashes and outcomes are
  /// taken from here. Else empty.
  std::vector<records::RequestRecord> records;
  std::vector<StepSample> steps;  ///< work and time of each, where there is a step log
  /// Share of the steps that gave output in which `steps`, recovered from the times of tokens, have
  /// the very requests; nullopt when they were logged, or are not there.
  std::optional<double> step_parity = {};
  MeasuredCounters counters;
  int64_t left_out = 0;  ///< requests that were refused, failed, or of which too little is known
  std::vector<std::string> notes;              ///< where arrivals come from, what was assumed
  std::map<std::string, std::string> digests;  ///< sha256 of the files that were read, by name
};

/// `path`: a folder, or a file of spans with server.json beside it. ERRORS: kNotFound, kIo,
/// kMalformed and kInvalidArgument with file, line and field; kUnavailable when no request was
/// completed.
Result<MeasuredLoad> read_measured_load(const std::string& path);

/// The load's requests, with ids 1, 2, … in their order. `load` outlives the source.
std::unique_ptr<RequestSource> make_load_source(const MeasuredLoad& load,
                                                const scheduler::Config& config);

}  // namespace touchstone::simulator
