// The Collector's own counters: at which hop spans were lost.
#include <algorithm>

#include "base/text.h"
#include "conformance/checks/check.h"
#include "conformance/collector_counters.h"
#include "conformance/collector_pipelines.h"

namespace touchstone::conformance {
namespace {

using telemetry::Labels;
using telemetry::MetricsPage;

/// Spans that a processor took out, or dropped.
int64_t removed_by(const MetricsPage& page, const std::string& processor) {
  return removed_by_processor(page, processor) +
         collector_counter(page, "otelcol_processor_dropped_spans", {{"processor", processor}})
             .value_or(0);
}

int64_t removed_by_all(const MetricsPage& page) {
  return removed_by_processors(page) +
         collector_counter(page, "otelcol_processor_dropped_spans").value_or(0);
}

/// What reached an exporter: of each pipeline that it is in, what was accepted without what that
/// pipeline's processors removed. Where the harness did not write down the pipelines, or another
/// pipeline feeds one, at least what is left after all processors.
int64_t due_at(const MetricsPage& page, const std::string& exporter, int64_t accepted) {
  const auto names = [&](const char* part, const std::string& pipeline) {
    return collector_labels(page, kCollectorPipelineFamily, "name",
                            {{"part", part}, {"pipeline", pipeline}});
  };
  int64_t due = 0;
  bool is_known = false;
  for (const std::string& pipeline : collector_labels(page, kCollectorPipelineFamily, "pipeline")) {
    if (!names("exporter", pipeline).contains(exporter)) continue;
    if (!names("connector", pipeline).empty()) return accepted - removed_by_all(page);
    is_known = true;
    due += accepted;
    for (const std::string& name : names("processor", pipeline)) due -= removed_by(page, name);
  }
  return is_known ? due : accepted - removed_by_all(page);
}

std::string spans(int64_t count) { return format_count(count) + (count == 1 ? " span" : " spans"); }

void loss(const CheckInput& input, Recorder& recorder) {
  if (!input.evidence.collector_metrics) return;
  const MetricsPage& page = *input.evidence.collector_metrics;
  for (const CollectorLoss& loss : collector_losses()) {
    for (const std::string& part : collector_labels(page, loss.name, loss.label)) {
      recorder.examined();
      const int64_t lost = collector_counter(page, loss.name, {{loss.label, part}}).value_or(0);
      if (lost == 0) continue;
      recorder.violation({.fold = loss.name + part,
                          .signal = "collector",
                          .subject = std::string(loss.label) + " " + part,
                          .message = spans(lost) + " lost at the Collector: " + loss.what + part,
                          .expected = "0",
                          .actual = std::to_string(lost),
                          .context = {{"counter", loss.name}, {"hop", loss.label + (" " + part)}}});
    }
  }
  recorder.not_applicable("the page has none of the Collector's loss counters");
}

/// Spans that the Collector must have had: those that the requests of the ledger owe by all
/// profiles, or as many as arrived; nullopt: nobody knows.
std::optional<int64_t> owed_spans(const CheckInput& input) {
  std::optional<int64_t> owed;
  for (const auto& observed : input.profiles) {
    if (!observed->matching) continue;
    owed = owed.value_or(0);
    for (const RequestMatch& match : observed->matching->requests()) *owed += match.least;
  }
  if (!owed) return owed;
  return std::max(*owed, input.run.spans - input.run.delivered_again);
}

void received_all(const CheckInput& input, Recorder& recorder) {
  if (!input.evidence.collector_metrics) return;
  const auto due = owed_spans(input);
  if (!due) {
    recorder.not_applicable("no ledger: how many spans were due is not known");
    return;
  }
  const auto accepted =
      collector_counter(*input.evidence.collector_metrics, "otelcol_receiver_accepted_spans");
  if (!accepted) {
    recorder.undecided("the page has no otelcol_receiver_accepted_spans");
    return;
  }
  recorder.examined();
  const int64_t owed = *due;
  const int64_t refused =
      collector_counter(*input.evidence.collector_metrics, "otelcol_receiver_refused_spans")
          .value_or(0);
  recorder.summary("accepted " + spans(*accepted) + " of " + std::to_string(owed) + " owed");
  if (*accepted + refused >= owed) return;
  const int64_t lost = owed - *accepted - refused;
  recorder.violation({.fold = "",
                      .signal = "collector",
                      .subject = "subject to Collector",
                      .message = spans(lost) +
                                 " lost before the Collector: " + std::to_string(owed) +
                                 " owed or arrived, " + std::to_string(*accepted) + " accepted, " +
                                 std::to_string(refused) + " refused",
                      .expected = std::to_string(owed),
                      .actual = std::to_string(*accepted),
                      .context = {{"hop", "subject"}}});
}

void delivered_all(const CheckInput& input, Recorder& recorder) {
  if (!input.evidence.collector_metrics) return;
  const MetricsPage& page = *input.evidence.collector_metrics;
  const auto accepted = collector_counter(page, "otelcol_receiver_accepted_spans");
  const auto exporters = collector_labels(page, "otelcol_exporter_sent_spans", "exporter");
  if (!accepted || exporters.empty()) {
    recorder.undecided(
        "the page lacks otelcol_receiver_accepted_spans or "
        "otelcol_exporter_sent_spans");
    return;
  }
  for (const std::string& exporter : exporters) {
    recorder.examined();
    const int64_t due = due_at(page, exporter, *accepted);
    recorder.summary(spans(due) + " due at " + exporter);
    const Labels labels = {{"exporter", exporter}};
    const int64_t sent = collector_counter(page, "otelcol_exporter_sent_spans", labels).value_or(0);
    const int64_t failed =
        collector_counter(page, "otelcol_exporter_send_failed_spans", labels).value_or(0) +
        collector_counter(page, "otelcol_exporter_enqueue_failed_spans", labels).value_or(0);
    if (sent + failed >= due) continue;
    recorder.violation(
        {.fold = exporter,
         .signal = "collector",
         .subject = "exporter " + exporter,
         .message = spans(due - sent - failed) + " still inside or lost inside the Collector: " +
                    std::to_string(*accepted) + " accepted, " + std::to_string(due) +
                    " left by its processors, " + std::to_string(sent) + " sent by exporter " +
                    exporter + ", " + std::to_string(failed) + " failed",
         .expected = std::to_string(due),
         .actual = std::to_string(sent),
         .context = {{"hop", "exporter " + exporter}}});
  }
}

constexpr char kNoCounters[] = "the Collector's counters were not collected";
using enum CheckRow::Of;
constexpr CheckRow kRows[] = {
    {.id = "collector.loss",
     .title = "The Collector lost nothing",
     .group = "completeness",
     .of = kRun,
     .source = "OpenTelemetry Collector 0.159.0, internal telemetry: refused, dropped, "
               "enqueue_failed and send_failed spans are lost.",
     .nothing = kNoCounters,
     .at_end = loss},
    {.id = "collector.received_all",
     .title = "The Collector accepted every owed span",
     .group = "completeness",
     .of = kRun,
     .source = "OpenTelemetry Collector 0.159.0, internal telemetry: "
               "otelcol_receiver_accepted_spans.",
     .nothing = kNoCounters,
     .at_end = received_all},
    {.id = "collector.delivered_all",
     .title = "Each exporter sent all that was accepted",
     .group = "completeness",
     .of = kRun,
     .source = "OpenTelemetry Collector 0.159.0, internal telemetry: otelcol_exporter_sent_spans.",
     .nothing = kNoCounters,
     .at_end = delivered_all}};

}  // namespace

CheckTable collector_checks() { return kRows; }

}  // namespace touchstone::conformance
