// benchmarks.json of GuideLLM (0.3 and later): benchmarks[].requests.{successful, incomplete,
// errored}[] with request_start_time (unix s; start_time before 0.4), prompt_tokens,
// output_tokens. Several benchmarks of one file come one after the other, as they were run.
#include <utility>

#include "base/document.h"
#include "base/files.h"
#include "workload/traces/rows.h"
#include "workload/traces/trace.h"

namespace touchstone::workload {
namespace {

/// Of one request; counts one that has no start or no tokens in `unusable`.
void read_one(const Fields& fields, std::vector<Recorded>& requests, int64_t& unusable) {
  const char* key = fields.has("request_start_time") ? "request_start_time" : "start_time";
  const auto start = fields.optional_double(key);
  const int64_t prompt = fields.int_in("prompt_tokens", 0, 0, kMostTraceTokens);
  const int64_t output = fields.int_in("output_tokens", 0, 0, kMostTraceTokens);
  if (!start || prompt == 0 || output == 0) {
    ++unusable;
    return;
  }
  const auto time_ns = seconds_to_ns(*start);
  if (!time_ns) fields.fail(key, "got no time, expected unix seconds");
  requests.push_back({time_ns.value_or(0), prompt, output, std::ssize(requests)});
}

}  // namespace

bool looks_like_guidellm(const std::string&, std::string_view head) {
  return head.starts_with("{") && head.find("\"guidellm_version\"") != std::string_view::npos;
}

Result<std::unique_ptr<RequestReader>> open_guidellm(const std::string& path, const TraceOptions&) {
  const auto text = read_file(path);
  if (!text) return text.error();
  auto document = Document::parse_json(path, *text);
  if (!document) return invalid_argument(document.error().message, document.error().hint);
  document->ignore_unknown_keys();
  std::vector<Recorded> requests;
  int64_t unusable = 0;
  for (const Fields& benchmark : document->root().objects("benchmarks")) {
    const Fields by_status = benchmark.object("requests");
    for (const char* status : {"successful", "incomplete"}) {
      for (const Fields& request : by_status.objects(status)) {
        read_one(request, requests, unusable);
      }
    }
    unusable += std::ssize(by_status.objects("errored"));
  }
  RETURN_IF_ERROR(document->finish());
  if (requests.empty()) {
    return invalid_argument(path + ": benchmarks: got no request with its tokens, expected some");
  }
  return make_recorded_reader(path, std::move(requests), without_tokens(unusable));
}

}  // namespace touchstone::workload
