// HTTP usage, span attributes and metrics speak of the same tokens and times: they must agree.
#include <cmath>
#include <map>

#include "base/text.h"
#include "conformance/checks/check.h"

namespace touchstone::conformance {
namespace {

// Sums of doubles in another order differ by rounding.
constexpr double kSumSlack = 1e-6;

/// What a metric may be: closed range.
struct Range {
  double low = 0;
  double high = 0;
  void add(double exact) { add(exact, exact); }
  void add(double least, double most) {
    low += least;
    high += most;
  }
  bool holds(double value) const { return value >= low - kSumSlack && value <= high + kSumSlack; }
  std::string text() const {
    if (low == high) return format_double(low);
    if (high == kUnbounded) return "at least " + format_double(low);
    return format_double(low) + " to " + format_double(high);
  }
};

/// Requests that end in a place where nothing says whether the metrics counted them.
bool maybe_counted(const records::LedgerEntry& entry) {
  return entry.outcome == records::ClientOutcome::kHungUp ||
         entry.outcome == records::ClientOutcome::kFailed;
}

double or_unbounded(int64_t asked_for, int64_t choices) {
  return asked_for > 0 ? static_cast<double>(asked_for * choices) : kUnbounded;
}

/// Growth of a metric over the run, without the series that have the label `without`; nullopt when
/// the page lacks it.
std::optional<double> growth(const Evidence& evidence, const std::string& metric,
                             const telemetry::Labels& labels = {},
                             const std::string& without = "") {
  const auto after = evidence.metrics->sum(metric, labels, without);
  if (!after) return std::nullopt;
  double before = 0;
  if (evidence.metrics_before) {
    before = evidence.metrics_before->sum(metric, labels, without).value_or(0);
  }
  return *after - before;
}

Violation of_metric(const Reconciliation& rule, const std::string& metric,
                    const std::string& message, const std::string& expected, double actual) {
  return {.level = rule.level,
          .fold = metric,
          .signal = "metric",
          .subject = "metric " + rule.metric,
          .message = message,
          .expected = expected,
          .actual = format_double(actual),
          .context = {{"metric", metric}},
          .rule = rule.where};
}

/// What one request without (all) its spans adds to a token counter.
void add_unrecorded(const Reconciliation& rule, const records::LedgerEntry& entry, Range& range) {
  const bool prompt = rule.name == "prompt_tokens";
  const int64_t asked = prompt ? entry.prompt_tokens : entry.output_tokens;
  if (entry.outcome == records::ClientOutcome::kCompleted) {
    if (!entry.usage) {
      range.add(0, or_unbounded(asked, entry.choices));
    } else if (prompt) {
      // Usage counts a prompt once, the server once for each of its n completions.
      const auto tokens = static_cast<double>(entry.usage->prompt_tokens);
      range.add(tokens, tokens * static_cast<double>(entry.choices));
    } else {
      range.add(static_cast<double>(entry.usage->completion_tokens));
    }
  } else if (maybe_counted(entry) &&
             (rule.counts_hung_up || entry.outcome == records::ClientOutcome::kFailed)) {
    range.add(0, or_unbounded(asked, entry.choices));
  }
}

/// Without a page from before the load nobody knows what the server had counted then.
void open_without_before(const CheckInput& input, Range& range) {
  if (!input.evidence.metrics_before) range.high = kUnbounded;
}

Range expected_counter(const CheckInput& input, size_t index) {
  const Reconciliation& rule = input.profile().reconciliations[index];
  const ReconciledSum& sum = input.observed.reconciled.sum(index);
  Range range;
  if (!input.observed.matching) {
    // Without a ledger nobody knows what left no span.
    range.add(sum.all.least, kUnbounded);
    return range;
  }
  open_without_before(input, range);
  for (const RequestMatch& match : input.observed.matching->requests()) {
    if (match.sums[index].values >= match.all) {
      range.add(match.sums[index].least, match.sums[index].most);
    } else {
      add_unrecorded(rule, *match.entry, range);
    }
  }
  range.add(sum.unexplained.least, sum.unexplained.most);
  return range;
}

/// How many observations a histogram must have that no exact span explains, and may have.
Range other_observations(const CheckInput& input, size_t index) {
  const Reconciliation& rule = input.profile().reconciliations[index];
  Range more;
  more.add(0, static_cast<double>(input.observed.reconciled.sum(index).maybe));
  open_without_before(input, more);
  if (!input.observed.matching) {
    more.add(0, kUnbounded);
    return more;
  }
  for (const RequestMatch& match : input.observed.matching->requests()) {
    const records::LedgerEntry& entry = *match.entry;
    const int64_t values = match.sums[index].values;
    if (values >= match.all) continue;
    const int64_t each = is_of_duration(rule) ? 1 : entry.choices / match.all;
    const auto rest = static_cast<double>(each * (match.all - values));
    if (entry.outcome == records::ClientOutcome::kCompleted) {
      more.add(rest);
    } else if (maybe_counted(entry) &&
               (rule.counts_hung_up || entry.outcome == records::ClientOutcome::kFailed)) {
      more.add(0, rest);
    }
  }
  return more;
}

void judge_histogram(const CheckInput& input, size_t index, Recorder& recorder) {
  const Reconciliation& rule = input.profile().reconciliations[index];
  const ReconciledSum& spans = input.observed.reconciled.sum(index);
  const Range more = other_observations(input, index);
  Range count = more;
  count.add(static_cast<double>(spans.count));
  const std::string count_name = rule.metric + "_count";
  const auto grown = [&](const std::string& metric, const telemetry::Labels& labels = {}) {
    return growth(input.evidence, metric, labels, rule.failed_label).value_or(0);
  };
  const double counted = grown(count_name);
  if (!count.holds(counted)) {
    recorder.violation(of_metric(rule, count_name,
                                 count_name + " grew by " + format_double(counted) +
                                     ", but spans and ledger say " + count.text(),
                                 count.text(), counted));
  }
  // A span and a metric of one request may be timed at different points: only their number counts.
  if (is_of_duration(rule)) return;
  const std::string& key = input.profile().key_of(rule.name);
  const double total = spans.all.least;
  const double slack = std::fabs(total) * rule.tolerance + kSumSlack;
  const double sum = grown(rule.metric + "_sum");
  const Range sums{total - slack, more.high > 0 ? kUnbounded : total + slack};
  if (!sums.holds(sum)) {
    recorder.violation(of_metric(rule, rule.metric + "_sum",
                                 rule.metric + "_sum grew by " + format_double(sum) +
                                     ", but the spans' " + key + " add up to " +
                                     format_double(total),
                                 sums.text(), sum));
  }
  for (size_t i = 0; i < spans.bounds.size(); ++i) {
    const std::string& bound = spans.bounds[i].first;
    Range range;
    range.add(static_cast<double>(spans.within[i]));
    range.high += more.high;
    const double in_bucket = grown(rule.metric + "_bucket", {{"le", bound}});
    if (range.holds(in_bucket)) continue;
    recorder.violation(of_metric(rule, rule.metric + "_bucket",
                                 rule.metric + "_bucket{le=" + quote(bound) + "} grew by " +
                                     format_double(in_bucket) + ", but the spans' " + key +
                                     " say " + range.text(),
                                 range.text(), in_bucket));
  }
}

/// Positions of the rules of one kind, when there are metrics to look at.
std::vector<size_t> rules_of(const CheckInput& input, Recorder& recorder,
                             Reconciliation::Kind kind) {
  std::vector<size_t> rules;
  recorder.not_applicable(!input.evidence.metrics ? "no metrics were collected"
                          : input.run.spans == 0  ? "no span to compare with"
                                                  : "the profile reconciles none");
  if (!input.evidence.metrics || input.run.spans == 0) return rules;
  const std::vector<Reconciliation>& all = input.profile().reconciliations;
  for (size_t i = 0; i < all.size(); ++i) {
    if (all[i].kind == kind) rules.push_back(i);
  }
  return rules;
}

/// Calls `visit(match, usage)` for completed requests with usage and all their spans.
template <typename Visit>
void for_each_usage(const CheckInput& input, Recorder& recorder, const Visit& visit) {
  if (!input.observed.matching) {
    recorder.not_applicable("no ledger: the usage that clients saw is not known");
    return;
  }
  for (const RequestMatch& match : input.observed.matching->requests()) {
    const records::LedgerEntry& entry = *match.entry;
    if (entry.outcome != records::ClientOutcome::kCompleted || !entry.usage) continue;
    if (match.found != match.all) continue;
    recorder.examined();
    visit(match, *entry.usage);
  }
}

void usage_differs(const CheckInput& input, const RequestMatch& match, const std::string& word,
                   int64_t usage, double spans, Recorder& recorder) {
  const std::string key = input.profile().key_of(word);
  recorder.violation({.fold = word,
                      .subject = "attribute " + key,
                      .message = describe(*match.entry) + ": the response's usage." + word +
                                 " is " + std::to_string(usage) + ", the spans' " + key +
                                 " add up to " + format_double(spans),
                      .expected = std::to_string(usage),
                      .actual = format_double(spans),
                      .context = {{"attribute", key}},
                      .place = {.trace_id = match.entry->trace_id.hex(),
                                .span_id = match.first.hex(),
                                .request = describe(*match.entry),
                                .input = {}}});
}

void usage_prompt(const CheckInput& input, Recorder& recorder) {
  for_each_usage(input, recorder, [&](const RequestMatch& match, const records::Usage& usage) {
    // The n completions of one prompt share its request id; usage counts the prompt once.
    double sum = 0;
    for (const auto& [id, tokens] : match.prompts) sum += tokens;
    if (sum == static_cast<double>(usage.prompt_tokens)) return;
    usage_differs(input, match, "prompt_tokens", usage.prompt_tokens, sum, recorder);
  });
}

void usage_completion(const CheckInput& input, Recorder& recorder) {
  for_each_usage(input, recorder, [&](const RequestMatch& match, const records::Usage& usage) {
    const double sum = match.completion_tokens;
    if (sum == static_cast<double>(usage.completion_tokens)) return;
    usage_differs(input, match, "completion_tokens", usage.completion_tokens, sum, recorder);
  });
}

void counters(const CheckInput& input, Recorder& recorder) {
  for (const size_t index : rules_of(input, recorder, Reconciliation::Kind::kCounter)) {
    const Reconciliation& rule = input.profile().reconciliations[index];
    const auto grown = growth(input.evidence, rule.metric);
    if (!grown) continue;  // metric.present says so
    recorder.examined();
    const Range range = expected_counter(input, index);
    if (range.holds(*grown)) continue;
    recorder.violation(of_metric(rule, rule.metric,
                                 rule.metric + " grew by " + format_double(*grown) +
                                     ", but spans and ledger add up to " + range.text() + " " +
                                     rule.name,
                                 range.text(), *grown));
  }
}

/// Completions that the clients saw end, by finish reason, and how many they could not tell.
struct Endings {
  Range all;
  std::map<std::string, double> by_reason;
  double unknown = 0;
};

Endings endings_of(const CheckInput& input) {
  Endings endings;
  open_without_before(input, endings.all);
  if (!input.observed.matching) {
    // Whether a request that ended in an error is counted, nobody says.
    const int64_t ended_well = input.observed.request_spans - input.observed.duplicate_requests -
                               input.observed.failed_requests;
    endings.all.add(static_cast<double>(ended_well), kUnbounded);
    return endings;
  }
  for (const RequestMatch& match : input.observed.matching->requests()) {
    const records::LedgerEntry& entry = *match.entry;
    const auto choices = static_cast<double>(entry.choices);
    if (entry.outcome == records::ClientOutcome::kCompleted) {
      endings.all.add(choices);
      endings.unknown += choices - static_cast<double>(entry.finish_reasons.size());
      for (const std::string& reason : entry.finish_reasons) ++endings.by_reason[reason];
    } else if (maybe_counted(entry)) {
      endings.all.add(0, choices);
      endings.unknown += choices;
    }
  }
  return endings;
}

void requests_by_reason(const CheckInput& input, Recorder& recorder) {
  for (const size_t index : rules_of(input, recorder, Reconciliation::Kind::kRequests)) {
    const Reconciliation& rule = input.profile().reconciliations[index];
    const auto total = growth(input.evidence, rule.metric);
    if (!total) continue;
    recorder.examined();
    const Endings endings = endings_of(input);
    if (!endings.all.holds(*total)) {
      recorder.violation(of_metric(rule, rule.metric,
                                   rule.metric + " grew by " + format_double(*total) +
                                       " over all reasons, but ledger and spans say " +
                                       endings.all.text(),
                                   endings.all.text(), *total));
    }
    for (const auto& [reason, known] : endings.by_reason) {
      Range range{known, known + endings.unknown};
      open_without_before(input, range);
      const double grown = growth(input.evidence, rule.metric, {{rule.label, reason}}).value_or(0);
      if (range.holds(grown)) continue;
      const std::string series = rule.metric + "{" + rule.label + "=" + quote(reason) + "}";
      recorder.violation(of_metric(
          rule, series,
          series + " grew by " + format_double(grown) + ", but clients saw " + range.text(),
          range.text(), grown));
    }
  }
}

void histograms(const CheckInput& input, Recorder& recorder) {
  for (const size_t index : rules_of(input, recorder, Reconciliation::Kind::kHistogram)) {
    if (input.evidence.metrics->family(input.profile().reconciliations[index].metric) == nullptr) {
      continue;  // metric.present says so
    }
    recorder.examined();
    judge_histogram(input, index, recorder);
  }
}

constexpr char kNoUsage[] = "no request with usage and all its spans";
using enum CheckRow::Source;
constexpr CheckRow kRows[] = {
    {.id = "reconcile.usage_prompt",
     .title = "HTTP usage and spans agree on prompt tokens",
     .group = "reconciliation",
     .source = "Touchstone 0.1: one request has one number of prompt tokens, whoever says it.",
     .nothing = kNoUsage,
     .at_end = usage_prompt},
    {.id = "reconcile.usage_completion",
     .title = "HTTP usage and spans agree on completion tokens",
     .group = "reconciliation",
     .source = "Touchstone 0.1: one request has one number of completion tokens, whoever says it.",
     .nothing = kNoUsage,
     .at_end = usage_completion},
    {.id = "reconcile.counters",
     .title = "Token counters agree with spans",
     .group = "reconciliation",
     .demanded_by = kTheProfile,
     .source = "the profile's reconcile rules (counter) at its pinned version.",
     .nothing = "the profile reconciles none",
     .at_end = counters},
    {.id = "reconcile.requests",
     .title = "Request counters agree with what clients saw",
     .group = "reconciliation",
     .demanded_by = kTheProfile,
     .source = "the profile's reconcile rules (requests) at its pinned version.",
     .nothing = "the profile reconciles none",
     .at_end = requests_by_reason},
    {.id = "reconcile.histograms",
     .title = "Histograms agree with spans, bucket by bucket",
     .group = "reconciliation",
     .demanded_by = kTheProfile,
     .source = "the profile's reconcile rules (histogram) at its pinned version.",
     .nothing = "the profile reconciles none",
     .at_end = histograms}};

}  // namespace

CheckTable reconciliation_checks() { return kRows; }

}  // namespace touchstone::conformance
