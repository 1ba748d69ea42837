// Traces that others publish or record, as requests of the workload format. One file a format, one
// row of the table in trace.cc; which one a file is, is told by its content. Thread-compatible.
//
// A trace's requests stream, ask for exactly the tokens that were generated and ignore the end of
// sequence, so that a server does the work that was recorded. The first arrives at 0. Requests
// without a prompt or an answer cannot be sent again: they are left out, and counted.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "workload/request_reader.h"

namespace touchstone::workload {

/// Longer prompts and answers are refused as slips of a converter.
inline constexpr int64_t kMostTraceTokens = 1'000'000'000;

struct TraceOptions {
  uint64_t seed = 0;  ///< of traces that are distributions (ServeGen)
  /// Sessions without a date (WEKA) start so far apart.
  int64_t session_gap_ns = 60'000'000'000;
};

struct TraceFormat {
  const char* name;
  const char* summary;  ///< for help
  /// `head`: the file's first bytes, empty for a folder.
  bool (*looks_like)(const std::string& path, std::string_view head);
  Result<std::unique_ptr<RequestReader>> (*open)(const std::string& path,
                                                 const TraceOptions& options);
};

/// In the order in which they are tried; the workload format itself is the last.
const std::vector<TraceFormat>& trace_formats();

/// `format`: a name of the table, or empty to look at the content.
/// ERRORS: kNotFound, kIo; kInvalidArgument for an unknown name or a file that is none of them.
Result<std::unique_ptr<RequestReader>> open_trace(const std::string& path,
                                                  const std::string& format,
                                                  const TraceOptions& options);

/// Rows of the table.
bool looks_like_azure(const std::string& path, std::string_view head);
Result<std::unique_ptr<RequestReader>> open_azure(const std::string& path, const TraceOptions&);
bool looks_like_burstgpt(const std::string& path, std::string_view head);
Result<std::unique_ptr<RequestReader>> open_burstgpt(const std::string& path, const TraceOptions&);
bool looks_like_mooncake(const std::string& path, std::string_view head);
Result<std::unique_ptr<RequestReader>> open_mooncake(const std::string& path, const TraceOptions&);
bool looks_like_vllm_bench(const std::string& path, std::string_view head);
Result<std::unique_ptr<RequestReader>> open_vllm_bench(const std::string& path,
                                                       const TraceOptions&);
bool looks_like_guidellm(const std::string& path, std::string_view head);
Result<std::unique_ptr<RequestReader>> open_guidellm(const std::string& path, const TraceOptions&);
bool looks_like_otlp(const std::string& path, std::string_view head);
Result<std::unique_ptr<RequestReader>> open_otlp(const std::string& path, const TraceOptions&);
bool looks_like_servegen(const std::string& path, std::string_view head);
Result<std::unique_ptr<RequestReader>> open_servegen(const std::string& path,
                                                     const TraceOptions& options);
bool looks_like_weka(const std::string& path, std::string_view head);
Result<std::unique_ptr<RequestReader>> open_weka(const std::string& path,
                                                 const TraceOptions& options);

}  // namespace touchstone::workload
