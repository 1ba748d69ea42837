// The real vLLM 0.32.0, recorded, under the profile made for it.
#include <gtest/gtest.h>

#include <cstdlib>
#include <vector>

#include "base/files.h"
#include "tests/conformance/recorded.h"
#include "tests/support/paths.h"

namespace touchstone::conformance {
namespace {

using result::CheckOutcome;
using result::Report;
using result::Verdict;

/// The YAML of vllm-v1 with one line more after `anchor`.
Profile with_line(const std::string& anchor, const std::string& line) {
  std::string yaml;
  for (const ShippedProfile& shipped : shipped_profiles()) {
    if (shipped.name == "vllm-v1") yaml = shipped.yaml;
  }
  const size_t at = yaml.find(anchor);
  BASE_CHECK(at != std::string::npos, anchor);
  yaml.insert(at, line + "\n");
  Result<Profile> profile = parse_profile("edited.yaml", yaml);
  BASE_CHECK(profile.has_value(), profile ? "" : profile.error().message);
  return *std::move(profile);
}

double cell(const Report& report, const std::string& title, const std::string& row,
            const std::string& column) {
  for (const result::FigureTable& table : report.tables) {
    for (const result::Figure& figure : table.rows) {
      if (table.title != title || figure.name != row) continue;
      for (const result::Cell& cell : figure.values) {
        if (cell.column == column) return cell.value;
      }
    }
  }
  ADD_FAILURE() << "no cell " << title << "/" << row << "/" << column;
  return -1;
}

TEST(RecordedVllm, PassesItsProfileWithoutAnyFinding) {
  const Report report = judge(recorded_evidence(), {vllm_v1()}, {});
  EXPECT_EQ(findings_text(report), "");
  EXPECT_EQ(report.verdict, Verdict::kPass) << report.summary;
  EXPECT_EQ(exit_code(report), 0);
}

TEST(RecordedVllm, EveryRequestIsAccountedOnce) {
  const Report report = judge(recorded_evidence(), {vllm_v1()}, {});
  const std::string table = "Where every request went";
  // 73 finished completions of 68 requests; one request was not sampled and two were hung up.
  EXPECT_EQ(cell(report, table, "matched", "spans found"), 72);
  EXPECT_EQ(cell(report, table, "matched", "spans owed"), 72);
  EXPECT_EQ(cell(report, table, "missing", "requests"), 0);
  EXPECT_EQ(cell(report, table, "unsampled", "requests"), 1);
  EXPECT_EQ(cell(report, table, "hung up, unrecorded", "requests"), 2);
  const double parts = cell(report, table, "matched", "requests") + 1 + 2 +
                       cell(report, table, "refused, unrecorded", "requests");
  EXPECT_EQ(cell(report, table, "sent", "requests"), parts);
  EXPECT_EQ(cell(report, "Where every span belongs", "matched to a request", "spans"), 72);
  EXPECT_EQ(cell(report, "Where every span belongs", "received", "spans"), 72);
}

TEST(RecordedVllm, AProfileThatDemandsAModelIdNamesItMissingOnEverySpan) {
  const Profile demanding = with_line("      - {key: gen_ai.request.temperature",
                                      "      - {key: gen_ai.model.id, type: string, level: MUST}");
  const Report report = judge(recorded_evidence(), {demanding}, {});
  EXPECT_EQ(report.verdict, Verdict::kFail);
  EXPECT_EQ(exit_code(report), 1);
  const CheckOutcome& check = outcome_of(report, "span.attribute.required");
  ASSERT_EQ(check.findings.size(), 1u);
  const result::Finding& finding = check.findings[0];
  EXPECT_EQ(finding.count, 72);
  EXPECT_EQ(finding.context.at("attribute"), "gen_ai.model.id");
  EXPECT_EQ(finding.places.at(0).trace_id, "656abd72fb710734986e86cb0ab8ab67");
  EXPECT_EQ(finding.places.at(0).span_id, "0ff69eeafe88345d");
  // 72 places of a trace id, a slash, a span id, and a space between them.
  EXPECT_EQ(finding.places.size(), 72u);
}

TEST(RecordedVllm, ARenamedSiblingIsNamed) {
  const Profile semconv =
      with_line("      - {key: gen_ai.request.temperature",
                "      - {key: gen_ai.usage.input_tokens, type: int, level: MUST}");
  const Report report = judge(recorded_evidence(), {semconv}, {});
  const CheckOutcome& check = outcome_of(report, "span.attribute.required");
  ASSERT_EQ(check.findings.size(), 1u);
  EXPECT_NE(check.findings[0].message.find("present as gen_ai.usage.prompt_tokens"),
            std::string::npos)
      << check.findings[0].message;
}

TEST(RecordedVllm, HangUpsAreFindingsOfAProfileThatAccountsForThem) {
  Profile strict = vllm_v1();
  strict.accounting->hung_up.least = AccountingRule::Amount::kAll;
  const Report report = judge(recorded_evidence(), {strict}, {});
  const CheckOutcome& check = outcome_of(report, "completeness.missing");
  ASSERT_EQ(check.findings.size(), 1u);
  EXPECT_EQ(check.findings[0].count, 2);
  EXPECT_EQ(check.findings[0].context.at("spans_lost"), "2");
}

/// Removes spans of `trace` until `left` of them are there.
void keep_spans(Evidence& evidence, const TraceId& trace, int64_t left) {
  for (telemetry::TraceBatch& batch : evidence.spans) {
    for (telemetry::ResourceSpans& resource : batch) {
      for (telemetry::ScopeSpans& scope : resource.scope_spans) {
        std::erase_if(scope.spans, [&](const telemetry::Span& span) {
          return span.trace_id == trace && --left < 0;
        });
      }
    }
  }
}

/// vLLM leaves a span for each choice; a server that leaves one a request is another profile's.
TEST(RecordedVllm, AccountedPerRequestEachHasOneSpanHoweverManyItsChoices) {
  Profile per_request = vllm_v1();
  per_request.accounting->per = Accounting::Per::kRequest;
  Evidence evidence = recorded_evidence();
  std::vector<const records::LedgerEntry*> several;
  for (const records::LedgerEntry& entry : *evidence.ledger) {
    const bool owes = entry.sampled && entry.outcome == records::ClientOutcome::kCompleted;
    if (owes && entry.choices > 1) several.push_back(&entry);
  }
  ASSERT_GE(several.size(), 2u);
  const auto outcome = [&](const std::string& check) {
    return outcome_of(judge(evidence, {per_request}, {}), check);
  };
  const auto count = [](const CheckOutcome& check) {
    int64_t sum = 0;
    for (const result::Finding& finding : check.findings) sum += finding.count;
    return sum;
  };
  EXPECT_EQ(count(outcome("completeness.surplus")), std::ssize(several));
  EXPECT_EQ(outcome("completeness.missing").verdict, Verdict::kPass);

  for (const records::LedgerEntry* entry : several) keep_spans(evidence, entry->trace_id, 1);
  EXPECT_EQ(outcome("completeness.surplus").verdict, Verdict::kPass);
  EXPECT_EQ(outcome("completeness.missing").verdict, Verdict::kPass);

  keep_spans(evidence, several.front()->trace_id, 0);
  const CheckOutcome missing = outcome("completeness.missing");
  ASSERT_EQ(missing.findings.size(), 1u);
  EXPECT_EQ(missing.findings[0].context.at("spans_lost"), "1");
}

TEST(RecordedVllm, WithoutItsSpansNothingIsDecided) {
  Evidence evidence = recorded_evidence();
  evidence.spans.clear();
  const Report report = judge(evidence, {vllm_v1()}, {});
  EXPECT_EQ(report.verdict, Verdict::kUnknown);
  EXPECT_EQ(exit_code(report), 3);
  EXPECT_EQ(outcome_of(report, "input.received").verdict, Verdict::kUnknown);
}

/// With TOUCHSTONE_UPDATE_DOCS=1 in the environment the file is written instead of compared.
TEST(RecordedVllm, TheLedgerIsThatOfTheExchanges) {
  std::string lines;
  for (const records::LedgerEntry& entry : ledger_of_exchanges()) {
    lines += records::to_json_line(entry) + "\n";
  }
  const std::string path = support::source_dir() + "/fixtures/spans/vllm-0.32.0/requests.jsonl";
  if (std::getenv("TOUCHSTONE_UPDATE_DOCS") != nullptr) {
    ASSERT_TRUE(write_file_atomic(path, lines));
  }
  const Result<std::string> kept = read_file(path);
  ASSERT_TRUE(kept) << kept.error().message;
  EXPECT_EQ(*kept, lines);
}

}  // namespace
}  // namespace touchstone::conformance
