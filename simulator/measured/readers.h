// The readers behind read_measured_load(), and what they share. Thread-compatible.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "simulator/measured/load.h"

namespace touchstone::simulator {

Result<MeasuredLoad> read_engine_load(const std::string& folder);  ///< steps.jsonl
Result<MeasuredLoad> read_ledger_load(const std::string& folder);  ///< server.json, requests.jsonl
/// server.json of `folder` and spans alone; `files`: those of the spans.
Result<MeasuredLoad> read_span_load(const std::string& folder,
                                    const std::vector<std::string>& files);
Result<MeasuredLoad> read_bench_load(const std::string& folder);  ///< meta.json, requests.jsonl

/// What one trace's spans say of its request.
struct SpanTimes {
  int64_t start_ns = 0;  ///< of the earliest one, Unix time
  int64_t prompt_tokens = 0;
  int64_t output_tokens = 0;
  MeasuredTimes times;
};
/// By trace id in hex. ERRORS: those of the files.
Result<std::map<std::string, SpanTimes>> read_span_times(const std::vector<std::string>& files);

/// Settings, engine, model and hardware of server.json. ERRORS: those of the file, and a flag's
/// value that its setting does not take.
Status read_server(const std::string& path, MeasuredLoad& load);
/// The counters of metrics_before.txt and metrics.txt, where both are there. ERRORS: kMalformed.
Status read_counters(const std::string& folder, MeasuredLoad& load);
/// Adds the file's digest. ERRORS: kIo.
Status add_digest(const std::string& path, MeasuredLoad& load);

}  // namespace touchstone::simulator
