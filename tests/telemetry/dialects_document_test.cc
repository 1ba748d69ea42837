// docs/dialects.md is what the dialects do: made by running each over a request of every outcome.
// With TOUCHSTONE_UPDATE_DOCS=1 in the environment the file is written instead of compared.
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <set>

#include "base/files.h"
#include "base/text.h"
#include "telemetry/dialects/dialect.h"
#include "tests/support/paths.h"

namespace touchstone::telemetry {
namespace {

using records::Outcome;
using records::RequestRecord;

constexpr Outcome kOutcomes[] = {Outcome::kStop, Outcome::kLength, Outcome::kAbort, Outcome::kError,
                                 Outcome::kRefused};

/// One request of each outcome, sampled and greedy, which ran in two chunks and was preempted.
std::vector<RequestRecord> requests() {
  std::vector<RequestRecord> made;
  for (const Outcome outcome : kOutcomes) {
    for (const double temperature : {0.7, 0.0}) {
      RequestRecord& record = made.emplace_back();
      record.request_id = "cmpl-x-0";
      record.tenant = "acme";
      record.http_span_id.emplace().bytes[0] = 1;
      record.endpoint = "/v1/completions";
      record.model = "tiny";
      record.outcome = outcome;
      record.finished_ns = 90;
      if (outcome == Outcome::kRefused) continue;  // the engine has never seen it
      record.queued_ns = 10;
      record.first_scheduled_ns = 20;
      record.prefill_chunks = {{20, 25, 32}, {26, 30, 8}, {50, 60, 44}};
      record.first_token_ns = 30;
      record.preempted = {{40, 50}};
      record.last_token_ns = 80;
      record.tokenize_ns = 5;
      record.detokenize_ns = 4;
      record.prompt_tokens = 40;
      record.completion_tokens = 8;
      record.max_tokens = 9;
      record.top_p = 1.0;
      record.temperature = temperature;
    }
  }
  return made;
}

/// For which requests something is there.
struct Where {
  std::set<Outcome> outcomes;
  int64_t requests = 0;
};

struct Key {
  std::string type;
  Where where;
};

struct Kind {
  std::string kind;
  std::set<std::string> parents;
  Where where;
  std::vector<std::string> order;  // of its keys
  std::map<std::string, Key> keys;
  std::set<std::string> events;
};

void note(Where& where, Outcome outcome) { where.outcomes.insert(outcome), ++where.requests; }

std::string outcomes_text(const Where& where) {
  if (where.outcomes.size() == std::size(kOutcomes)) return "every outcome";
  std::vector<std::string> names;
  for (const Outcome outcome : where.outcomes) names.emplace_back(to_string(outcome));
  return join(names, ", ");
}

std::string when_text(const Where& key, const Where& span) {
  if (key.requests == span.requests) return "always";
  const std::string outcomes = outcomes_text(key);
  return key.outcomes == span.outcomes ? "sometimes" : outcomes;
}

using Kinds = std::vector<std::pair<std::string, Kind>>;

Kind& kind_of(Kinds& kinds, const std::string& name) {
  for (auto& [known, kind] : kinds) {
    if (known == name) return kind;
  }
  return kinds.emplace_back(name, Kind{}).second;
}

Kinds kinds_of(const Dialect& dialect) {
  Kinds kinds;
  SpanIds ids(7);
  for (const RequestRecord& record : requests()) {
    std::vector<Span> spans;
    dialect.append_spans(record, ids, spans);
    std::map<SpanId, std::string> names;
    for (const Span& span : spans) names[span.span_id] = span.name;
    for (const Span& span : spans) {
      Kind& kind = kind_of(kinds, span.name);
      kind.kind = to_string(span.kind);
      const auto parent = names.find(span.parent_span_id);
      kind.parents.insert(parent == names.end() ? "the caller's span, or root"
                                                : "`" + parent->second + "`");
      note(kind.where, record.outcome);
      for (const Event& event : span.events) kind.events.insert("`" + event.name + "`");
      for (const KeyValue& item : span.attributes) {
        if (!kind.keys.contains(item.key)) kind.order.push_back(item.key);
        Key& key = kind.keys[item.key];
        key.type = item.value.type_name();
        note(key.where, record.outcome);
      }
    }
  }
  return kinds;
}

std::string joined(const std::set<std::string>& words) {
  return words.empty() ? "–" : join({words.begin(), words.end()}, ", ");
}

std::string document() {
  std::string text =
      "# Span dialects\n\n"
      "What `touchstone serve --span-dialect NAME[,NAME]` emits: made by running every dialect "
      "over a\n"
      "request of each outcome (stop, length, abort, error, refused), sampled and greedy, "
      "preempted "
      "once.\n"
      "A test keeps this file true. A request whose caller does not sample has no span in any; "
      "each\n"
      "choice of `n` is a request of its own, but for `genai` and `http`, which have a span for "
      "all "
      "of\n"
      "them; no dialect says what was asked or answered, but for `genai` where content is "
      "captured.\n";
  for (const DialectRow& row : dialect_rows()) {
    const auto dialect = row.make({});
    const SpanOrigin& origin = dialect->origin();
    text += "\n## " + std::string(row.name) + "\n\n" + std::string(row.summary) + ". Scope `" +
            origin.scope.name + "`" +
            (origin.schema_url.empty() ? "" : ", schema " + origin.schema_url) + ". Profile: `" +
            (row.name == "vllm" ? "vllm-v1" : std::string(row.name)) + "`.\n";
    if (dialect->make_metrics(0) != nullptr) {
      std::string page;
      dialect->make_metrics(0)->render(page);
      std::vector<std::string> families;
      for (const std::string& line : split(page, '\n')) {
        if (line.starts_with("# TYPE ")) families.push_back("`" + split(line, ' ')[2] + "`");
      }
      text += "Metrics: " + join(families, ", ") + ".\n";
    }
    const Kinds kinds = kinds_of(*dialect);
    text += "\n| Span | Kind | Child of | For | Events |\n|---|---|---|---|---|\n";
    for (const auto& [name, kind] : kinds) {
      text += "| `" + name + "` | " + kind.kind + " | " + joined(kind.parents) + " | " +
              outcomes_text(kind.where) + " | " + joined(kind.events) + " |\n";
    }
    text += "\n| Span | Key | Type | When |\n|---|---|---|---|\n";
    for (const auto& [name, kind] : kinds) {
      for (const std::string& key : kind.order) {
        const Key& found = kind.keys.at(key);
        text += "| `" + name + "` | `" + key + "` | " + found.type + " | " +
                when_text(found.where, kind.where) + " |\n";
      }
    }
  }
  return text;
}

TEST(DialectsDocument, IsWhatTheDialectsDo) {
  const std::string path = support::source_dir() + "/docs/dialects.md";
  const std::string made = document();
  if (std::getenv("TOUCHSTONE_UPDATE_DOCS") != nullptr) {
    ASSERT_TRUE(write_file_atomic(path, made));
    GTEST_SKIP() << "wrote " << path;
  }
  const auto written = read_file(path);
  ASSERT_TRUE(written) << written.error().message;
  EXPECT_EQ(*written, made) << "TOUCHSTONE_UPDATE_DOCS=1 with this test writes it anew";
}

}  // namespace
}  // namespace touchstone::telemetry
