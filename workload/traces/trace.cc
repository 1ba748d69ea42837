#include "workload/traces/trace.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "base/text.h"
#include "workload/reader.h"

namespace touchstone::workload {
namespace {

// More than the first line of every format that is told by its keys.
constexpr size_t kHeadBytes = 4096;

bool anything(const std::string&, std::string_view) { return true; }

Result<std::unique_ptr<RequestReader>> open_workload(const std::string& path, const TraceOptions&) {
  auto reader = WorkloadReader::open(path);
  if (!reader) return std::move(reader).error();
  return std::unique_ptr<RequestReader>(std::move(*reader));
}

Result<std::string> head_of(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) return std::string();
  std::ifstream in(path, std::ios::binary);
  if (!in) return not_found(path + ": cannot open: " + std::strerror(errno));
  std::string head(kHeadBytes, '\0');
  in.read(head.data(), static_cast<std::streamsize>(head.size()));
  head.resize(static_cast<size_t>(in.gcount()));
  return head;
}

}  // namespace

const std::vector<TraceFormat>& trace_formats() {
  static const std::vector<TraceFormat> table = {
      {"azure", "Azure LLM inference CSV: TIMESTAMP,ContextTokens,GeneratedTokens",
       &looks_like_azure, &open_azure},
      {"burstgpt", "BurstGPT CSV: Timestamp,Model,Request tokens,Response tokens,…",
       &looks_like_burstgpt, &open_burstgpt},
      {"mooncake", "Mooncake JSON lines: timestamp, input_length, output_length, hash_ids",
       &looks_like_mooncake, &open_mooncake},
      {"vllm-bench", "result of `vllm bench serve --save-result --save-detailed`",
       &looks_like_vllm_bench, &open_vllm_bench},
      {"guidellm", "benchmarks.json of GuideLLM", &looks_like_guidellm, &open_guidellm},
      {"otlp", "spans of requests as a Collector's file exporter writes them (also .gz, .zst)",
       &looks_like_otlp, &open_otlp},
      {"servegen", "folder of ServeGen clients: chunk-N-trace.csv, chunk-N-dataset.json",
       &looks_like_servegen, &open_servegen},
      {"weka", "coding-agent session of kv-cache-tester, or a folder of them", &looks_like_weka,
       &open_weka},
      {"touchstone", "the workload format", &anything, &open_workload},
  };
  return table;
}

Result<std::unique_ptr<RequestReader>> open_trace(const std::string& path,
                                                  const std::string& format,
                                                  const TraceOptions& options) {
  std::vector<std::string> names;
  for (const TraceFormat& row : trace_formats()) {
    if (row.name == format) return row.open(path, options);
    names.emplace_back(row.name);
  }
  if (!format.empty()) {
    return invalid_argument("trace format: got " + quote(format) + ", expected one of " +
                            join(names, ", "));
  }
  const auto head = head_of(path);
  if (!head) return head.error();
  for (const TraceFormat& row : trace_formats()) {
    if (row.looks_like(path, *head)) return row.open(path, options);
  }
  return invalid_argument(path + ": got no known trace, expected one of " + join(names, ", "));
}

}  // namespace touchstone::workload
