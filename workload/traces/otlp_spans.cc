// The requests that spans tell of: "replay last Tuesday". A request is a span with the tokens of
// its prompt and of its answer: `llm_request` as vLLM names it where there are any, else server
// spans, else any. Spans say nothing of shared prefixes, so none are known.
#include <algorithm>
#include <array>
#include <utility>

#include "base/text.h"
#include "telemetry/otlp/file.h"
#include "telemetry/span.h"
#include "workload/traces/rows.h"
#include "workload/traces/trace.h"

namespace touchstone::workload {
namespace {

using telemetry::Span;

// The keys of vLLM and of the GenAI semantic conventions; the first that is there counts.
constexpr std::array kPromptKeys = {"gen_ai.usage.prompt_tokens", "gen_ai.usage.input_tokens",
                                    "llm.prompt_tokens"};
constexpr std::array kOutputKeys = {"gen_ai.usage.completion_tokens", "gen_ai.usage.output_tokens",
                                    "llm.completion_tokens"};

std::optional<int64_t> tokens(const Span& span, const std::array<const char*, 3>& keys) {
  for (const char* key : keys) {
    const telemetry::Value* value = telemetry::find(span.attributes, key);
    if (value != nullptr && value->integer() != nullptr) return *value->integer();
  }
  return std::nullopt;
}

/// What was found, by how surely it is a request.
struct Found {
  std::array<std::vector<Recorded>, 3> by_kind;
  int64_t others = 0;  ///< spans without tokens
  int64_t empty = 0;

  void add(const Span& span, int64_t line) {
    const auto prompt = tokens(span, kPromptKeys);
    const auto output = tokens(span, kOutputKeys);
    if (!prompt || !output) {
      ++others;
      return;
    }
    if (*prompt < 1 || *output < 1 || *prompt > kMostTraceTokens || *output > kMostTraceTokens) {
      ++empty;
      return;
    }
    const size_t kind = span.name == "llm_request"                  ? 0
                        : span.kind == telemetry::SpanKind::kServer ? 1
                                                                    : 2;
    by_kind[kind].push_back({span.start_unix_ns, *prompt, *output, line});
  }
};

}  // namespace

bool looks_like_otlp(const std::string&, std::string_view head) {
  const bool packed = head.starts_with("\x1f\x8b") || head.starts_with("\x28\xb5\x2f\xfd");
  return packed || head.find("\"resourceSpans\"") != std::string_view::npos;
}

Result<std::unique_ptr<RequestReader>> open_otlp(const std::string& path, const TraceOptions&) {
  Found found;
  const auto visit = [&found](const telemetry::TraceBatch& batch, int64_t line) -> Status {
    for (const telemetry::ResourceSpans& resource : batch) {
      for (const telemetry::ScopeSpans& scope : resource.scope_spans) {
        for (const Span& span : scope.spans) found.add(span, line);
      }
    }
    return {};
  };
  const auto read = telemetry::read_otlp_file(path, visit);
  if (!read) return read.error();
  const auto best = std::find_if(found.by_kind.begin(), found.by_kind.end(),
                                 [](const auto& requests) { return !requests.empty(); });
  if (best == found.by_kind.end()) {
    return invalid_argument(
        path + ": got " + std::to_string(read->spans) +
            " spans, none with the tokens of a prompt and of an answer, expected requests",
        read->problem_count > 0 ? read->problems.front() : "");
  }
  std::string left_out = without_tokens(found.empty);
  const auto also = [&left_out](int64_t count, const char* what) {
    if (count == 0) return;
    left_out += (left_out.empty() ? "" : ", ") + format_count(count) + what;
  };
  for (auto kind = best + 1; kind != found.by_kind.end(); ++kind) {
    found.others += std::ssize(*kind);
  }
  also(found.others, " spans that are no requests of the server");
  also(read->problem_count, " lines or spans that could not be read");
  return make_recorded_reader(path, std::move(*best), std::move(left_out));
}

}  // namespace touchstone::workload
