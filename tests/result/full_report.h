// A report with a value in every field, hostile text included, for tests of JSON and rendering.
#pragma once

#include "result/result_model.h"

namespace touchstone::result {

/// Text that must never reach a page, an XML file or a terminal unescaped.
inline constexpr char kHostile[] =
    "<script>alert(1)</script>\"' onload=x & ]]> \x1b[31m \x01 \xff é 漢";

inline Report full_report() {
  Report report;
  report.title = "check quickstart";
  report.summary = "64 requests: two checks failed";
  report.checks = {
      {.id = "span.kind", .title = "Span kinds", .group = "schema", .level = Level::kMust,
       .source = "OpenTelemetry 1.50.0", .verdict = Verdict::kPass, .reason = "", .examined = 64,
       .findings = {}},
      {.id = "span.attribute.required", .title = kHostile, .group = "coverage",
       .level = Level::kMust, .source = "profile vllm-v1", .verdict = Verdict::kFail,
       .reason = "2 violations", .examined = 640,
       .findings = {{.check_id = "span.attribute.required", .level = Level::kMust,
                     .signal = "span", .subject = "attribute gen_ai.model.id of llm_request",
                     .message = std::string("is missing ") + kHostile, .expected = "string",
                     .actual = kHostile,
                     .context = {{"trace_id", "656abd72fb710734986e86cb0ab8ab67"},
                                 {"span_id", "0ff69eeafe88345d"},
                                 {"places", "656abd72/0ff6 656abd73/0ff7"},
                                 {"attribute", kHostile}},
                     .count = 2}}},
      {.id = "span.attribute.unknown", .title = "Unknown keys", .group = "schema",
       .level = Level::kShould, .source = "profile", .verdict = Verdict::kFail, .reason = "",
       .examined = 1,
       .findings = {{.check_id = "span.attribute.unknown", .level = Level::kShould,
                     .signal = "span", .subject = "x", .message = "carries x", .expected = "",
                     .actual = "x", .context = {}, .count = 1}}},
      {.id = "collector.loss", .title = "No loss", .group = "completeness", .level = Level::kMust,
       .source = "Collector 0.159.0", .verdict = Verdict::kUnknown, .reason = kHostile,
       .examined = 0, .findings = {}},
      {.id = "metric.present", .title = "Metrics", .group = "metrics", .level = Level::kMust,
       .source = "s", .verdict = Verdict::kSkip, .reason = "no metrics", .examined = 0,
       .findings = {}}};
  report.coverage = {{.name_space = "gen_ai.usage", .attribute = "gen_ai.usage.prompt_tokens",
                      .span_type = "llm_request", .level = Level::kMust, .present = 64,
                      .total = 64},
                     {.name_space = "gen_ai.model", .attribute = kHostile,
                      .span_type = "llm_request", .level = Level::kMust, .present = 3,
                      .total = 64},
                     {.name_space = "gen_ai.request", .attribute = "gen_ai.request.temperature",
                      .span_type = "llm_request", .level = Level::kMay, .present = 9,
                      .total = 64}};
  report.budgets = {{.phase = "ttft", .quantile = 0.95, .threshold_s = 0.25, .measured_s = 0.2,
                     .low_s = 0.15, .high_s = 0.24, .confidence = 0.95, .samples = 62,
                     .verdict = Verdict::kPass},
                    {.phase = "e2e", .quantile = 0.5, .threshold_s = 1, .measured_s = 3.5,
                     .low_s = 3, .high_s = 4, .confidence = 0.9, .samples = 62,
                     .verdict = Verdict::kFail},
                    {.phase = kHostile, .quantile = 0.99, .threshold_s = 1,
                     .measured_s = std::nullopt, .low_s = std::nullopt, .high_s = std::nullopt,
                     .confidence = 0.95, .samples = 0, .verdict = Verdict::kUnknown}};
  report.tables = {{.title = "Measured beside simulated",
                    .columns = {"measured", "simulated", kHostile},
                    .rows = {{.name = "steps", .unit = "",
                              .values = {{"measured", 812}, {"simulated", 812}}},
                             {.name = kHostile, .unit = "s",
                              .values = {{"measured", 0.0312}, {kHostile, 1.5}}}},
                    .notes = {kHostile}}};
  report.charts = {{.title = "KV blocks in use", .kind = Chart::Kind::kStep, .x_label = "seconds",
                    .y_label = "blocks",
                    .series = {{.name = kHostile, .x = {0, 0.5, 1, 2}, .y = {0, 12, 28, 3}},
                               {.name = "simulated", .x = {0, 1, 2}, .y = {0, 27, 4}}}},
                   {.title = "TTFT", .kind = Chart::Kind::kCdf, .x_label = "seconds",
                    .y_label = "share", .series = {{.name = "ttft", .x = {1e-5, 0.1, 5},
                                                    .y = {0.3, 0.9, 1}}}},
                   {.title = "empty", .kind = Chart::Kind::kLine, .x_label = "x", .y_label = "y",
                    .series = {}}};
  report.waterfalls = {{.title = "trace 656a",
                        .bars = {{.label = kHostile, .start_s = 0, .end_s = 0.2, .depth = 0,
                                  .attributes = {{"http status", "200"}}},
                                 {.label = "server", .start_s = 0.01, .end_s = 0.19, .depth = 1,
                                  .attributes = {{kHostile, kHostile}}}}}};
  report.samples = {{.title = "request 3", .prompt = kHostile, .completion = "Once upon a time"}};
  report.notes = {kHostile};
  report.provenance = {.tool_version = "0.1.0",
                       .command = "touchstone check --seed 7",
                       .seed = 18446744073709551615ull,
                       .versions = {{"collector", "0.159.0"}, {"profile vllm-v1", "0.32.0"}},
                       .digests = {{"spans.jsonl", "9aac2387"}}};
  decide(report, Level::kMust);
  return report;
}

}  // namespace touchstone::result
