// HTTP usage, span attributes and metrics speak of the same tokens and times: they must agree.
#include <cmath>
#include <limits>
#include <set>

#include "base/text.h"
#include "conformance/checks/check.h"

namespace touchstone::conformance {
namespace {

constexpr double kUnbounded = std::numeric_limits<double>::infinity();
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

bool is_request(const SpanView& view) { return view.type != nullptr && view.type->is_request; }

/// Requests that end in a place where nothing says whether the metrics counted them.
bool maybe_counted(const records::LedgerEntry& entry) {
  return entry.outcome == records::ClientOutcome::kHungUp ||
         entry.outcome == records::ClientOutcome::kFailed;
}

double or_unbounded(int64_t asked_for, int64_t choices) {
  return asked_for > 0 ? static_cast<double>(asked_for * choices) : kUnbounded;
}

/// Growth of a metric over the run; nullopt when the page lacks it.
std::optional<double> growth(const Evidence& evidence, const std::string& metric,
                             const telemetry::Labels& labels = {}) {
  const auto after = evidence.metrics->sum(metric, labels);
  if (!after) return std::nullopt;
  double before = 0;
  if (evidence.metrics_before) before = evidence.metrics_before->sum(metric, labels).value_or(0);
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
          .context = {{"metric", metric}, {"rule", rule.where}}};
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

double sum_of(const CheckInput& input, const std::vector<size_t>& spans, const std::string& word) {
  double sum = 0;
  for (const size_t i : spans) {
    sum += SpanIndex::number(input.index.spans[i], input.profile, word).value_or(0);
  }
  return sum;
}

std::vector<size_t> all_request_spans(const CheckInput& input) {
  std::vector<size_t> spans;
  for (size_t i = 0; i < input.index.spans.size(); ++i) {
    if (is_request(input.index.spans[i])) spans.push_back(i);
  }
  return spans;
}

Range expected_counter(const CheckInput& input, const Reconciliation& rule) {
  Range range;
  if (!input.matching) {
    // Without a ledger nobody knows what left no span.
    range.add(sum_of(input, all_request_spans(input), rule.name), kUnbounded);
    return range;
  }
  for (const RequestMatch& match : input.matching->requests) {
    if (static_cast<int64_t>(match.spans.size()) >= match.entry->choices) {
      range.add(sum_of(input, match.spans, rule.name));
    } else {
      add_unrecorded(rule, *match.entry, range);
    }
  }
  range.add(sum_of(input, input.matching->unexplained, rule.name));
  return range;
}

/// The values a histogram must hold, and how many more it may or must.
struct Observations {
  std::vector<double> values;
  double more_least = 0;
  double more_most = 0;
};

Observations expected_observations(const CheckInput& input, const Reconciliation& rule) {
  Observations result;
  const auto add = [&](const std::vector<size_t>& spans) {
    for (const size_t i : spans) {
      const auto value = SpanIndex::number(input.index.spans[i], input.profile, rule.name);
      if (value) result.values.push_back(*value);
    }
  };
  if (!input.matching) {
    add(all_request_spans(input));
    result.more_most = kUnbounded;
    return result;
  }
  for (const RequestMatch& match : input.matching->requests) {
    const records::LedgerEntry& entry = *match.entry;
    add(match.spans);
    const auto rest = static_cast<double>(entry.choices - static_cast<int64_t>(match.spans.size()));
    if (rest <= 0) continue;
    if (entry.outcome == records::ClientOutcome::kCompleted) {
      result.more_least += rest;
      result.more_most += rest;
    } else if (maybe_counted(entry) &&
               (rule.counts_hung_up || entry.outcome == records::ClientOutcome::kFailed)) {
      result.more_most += rest;
    }
  }
  add(input.matching->unexplained);
  return result;
}

void check_histogram(const CheckInput& input, const Reconciliation& rule,
                     const telemetry::MetricFamily& family, Recorder& recorder) {
  const Observations observations = expected_observations(input, rule);
  const auto spans = static_cast<double>(observations.values.size());
  Range count;
  count.add(spans + observations.more_least, spans + observations.more_most);
  const std::string count_name = rule.metric + "_count";
  const double counted = growth(input.evidence, count_name).value_or(0);
  if (!count.holds(counted)) {
    recorder.violation(of_metric(rule, count_name,
                                 count_name + " grew by " + format_double(counted) +
                                     ", but spans and ledger say " + count.text(),
                                 count.text(), counted));
  }
  double total = 0;
  for (const double value : observations.values) total += value;
  const double slack = std::fabs(total) * rule.tolerance + kSumSlack;
  const double sum = growth(input.evidence, rule.metric + "_sum").value_or(0);
  Range sums{total - slack, observations.more_most > 0 ? kUnbounded : total + slack};
  if (!sums.holds(sum)) {
    recorder.violation(of_metric(rule, rule.metric + "_sum",
                                 rule.metric + "_sum grew by " + format_double(sum) +
                                     ", but the spans' " + input.profile.key_of(rule.name) +
                                     " add up to " + format_double(total),
                                 sums.text(), sum));
  }
  std::set<std::string> bounds;
  for (const telemetry::Sample& sample : family.samples) {
    if (sample.name == rule.metric + "_bucket") bounds.insert(sample.labels.at("le"));
  }
  for (const std::string& bound : bounds) {
    const auto le = parse_double(bound);
    if (!le) continue;  // +Inf is the count
    Range range;
    for (const double value : observations.values) range.add(value <= *le ? 1 : 0);
    range.high += observations.more_most;
    const double in_bucket =
        growth(input.evidence, rule.metric + "_bucket", {{"le", bound}}).value_or(0);
    if (range.holds(in_bucket)) continue;
    recorder.violation(of_metric(rule, rule.metric + "_bucket",
                                 rule.metric + "_bucket{le=" + quote(bound) + "} grew by " +
                                     format_double(in_bucket) + ", but the spans' " +
                                     input.profile.key_of(rule.name) + " say " + range.text(),
                                 range.text(), in_bucket));
  }
}

/// The rules of one kind, when there are metrics to look at.
std::vector<const Reconciliation*> rules_of(const CheckInput& input, Recorder& recorder,
                                            Reconciliation::Kind kind) {
  std::vector<const Reconciliation*> rules;
  recorder.not_applicable(!input.evidence.metrics     ? "no metrics were collected"
                          : input.index.spans.empty() ? "no span to compare with"
                                                      : "the profile reconciles none");
  if (!input.evidence.metrics || input.index.spans.empty()) return rules;
  for (const Reconciliation& rule : input.profile.reconciliations) {
    if (rule.kind == kind) rules.push_back(&rule);
  }
  return rules;
}

/// Calls `visit(match, usage)` for completed requests with usage and all their spans.
template <typename Visit>
void for_each_usage(const CheckInput& input, Recorder& recorder, const Visit& visit) {
  recorder.not_applicable(input.matching ? "no request with usage and all its spans"
                                         : "no ledger: the usage that clients saw is not known");
  if (!input.matching) return;
  for (const RequestMatch& match : input.matching->requests) {
    const records::LedgerEntry& entry = *match.entry;
    if (entry.outcome != records::ClientOutcome::kCompleted || !entry.usage) continue;
    if (static_cast<int64_t>(match.spans.size()) != entry.choices) continue;
    recorder.examined();
    visit(match, *entry.usage);
  }
}

void usage_differs(const CheckInput& input, const RequestMatch& match, const std::string& word,
                   int64_t usage, double spans, Recorder& recorder) {
  const std::string key = input.profile.key_of(word);
  recorder.violation(input.index.spans[match.spans[0]],
                     {.fold = word,
                      .subject = "attribute " + key,
                      .message = describe(*match.entry) + ": the response's usage." + word +
                                 " is " + std::to_string(usage) + ", the spans' " + key +
                                 " add up to " + format_double(spans),
                      .expected = std::to_string(usage),
                      .actual = format_double(spans),
                      .context = {{"request", describe(*match.entry)}, {"attribute", key}}});
}

}  // namespace

void check_usage_prompt(const CheckInput& input, Recorder& recorder) {
  for_each_usage(input, recorder, [&](const RequestMatch& match, const records::Usage& usage) {
    // The n completions of one prompt share its request id; usage counts the prompt once.
    std::map<std::string, std::set<double>> prompts;
    for (const size_t i : match.spans) {
      const SpanView& view = input.index.spans[i];
      const std::string id =
          SpanIndex::text(view, input.profile, "request_id").value_or(view.span->span_id.hex());
      const auto tokens = SpanIndex::number(view, input.profile, "prompt_tokens");
      if (tokens) prompts[id].insert(*tokens);
    }
    double sum = 0;
    for (const auto& [id, tokens] : prompts) {
      for (const double count : tokens) sum += count;
    }
    if (sum == static_cast<double>(usage.prompt_tokens)) return;
    usage_differs(input, match, "prompt_tokens", usage.prompt_tokens, sum, recorder);
  });
}

void check_usage_completion(const CheckInput& input, Recorder& recorder) {
  for_each_usage(input, recorder, [&](const RequestMatch& match, const records::Usage& usage) {
    const double sum = sum_of(input, match.spans, "completion_tokens");
    if (sum == static_cast<double>(usage.completion_tokens)) return;
    usage_differs(input, match, "completion_tokens", usage.completion_tokens, sum, recorder);
  });
}

void check_counters(const CheckInput& input, Recorder& recorder) {
  for (const Reconciliation* rule : rules_of(input, recorder, Reconciliation::Kind::kCounter)) {
    const auto grown = growth(input.evidence, rule->metric);
    if (!grown) continue;  // metric.present says so
    recorder.examined();
    const Range range = expected_counter(input, *rule);
    if (range.holds(*grown)) continue;
    recorder.violation(of_metric(*rule, rule->metric,
                                 rule->metric + " grew by " + format_double(*grown) +
                                     ", but spans and ledger add up to " + range.text() + " " +
                                     rule->name,
                                 range.text(), *grown));
  }
}

void check_requests_by_reason(const CheckInput& input, Recorder& recorder) {
  for (const Reconciliation* rule : rules_of(input, recorder, Reconciliation::Kind::kRequests)) {
    const auto total = growth(input.evidence, rule->metric);
    if (!total) continue;
    recorder.examined();
    Range all;
    std::map<std::string, double> by_reason;
    double unknown = 0;
    if (input.matching) {
      for (const RequestMatch& match : input.matching->requests) {
        const records::LedgerEntry& entry = *match.entry;
        const auto choices = static_cast<double>(entry.choices);
        if (entry.outcome == records::ClientOutcome::kCompleted) {
          all.add(choices);
          unknown += choices - static_cast<double>(entry.finish_reasons.size());
          for (const std::string& reason : entry.finish_reasons) ++by_reason[reason];
        } else if (maybe_counted(entry)) {
          all.add(0, choices);
          unknown += choices;
        }
      }
    } else {
      all.add(static_cast<double>(all_request_spans(input).size()), kUnbounded);
    }
    if (!all.holds(*total)) {
      recorder.violation(of_metric(*rule, rule->metric,
                                   rule->metric + " grew by " + format_double(*total) +
                                       " over all reasons, but ledger and spans say " + all.text(),
                                   all.text(), *total));
    }
    for (const auto& [reason, known] : by_reason) {
      const Range range{known, known + unknown};
      const double grown =
          growth(input.evidence, rule->metric, {{rule->label, reason}}).value_or(0);
      if (range.holds(grown)) continue;
      const std::string series = rule->metric + "{" + rule->label + "=" + quote(reason) + "}";
      recorder.violation(of_metric(
          *rule, series,
          series + " grew by " + format_double(grown) + ", but clients saw " + range.text(),
          range.text(), grown));
    }
  }
}

void check_histograms(const CheckInput& input, Recorder& recorder) {
  for (const Reconciliation* rule : rules_of(input, recorder, Reconciliation::Kind::kHistogram)) {
    const telemetry::MetricFamily* family = input.evidence.metrics->family(rule->metric);
    if (family == nullptr) continue;
    recorder.examined();
    check_histogram(input, *rule, *family, recorder);
  }
}

}  // namespace touchstone::conformance
