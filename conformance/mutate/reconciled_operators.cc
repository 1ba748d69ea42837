// Counters and histograms that do not agree with the spans, or with what the clients got.
#include <algorithm>

#include "base/text.h"
#include "conformance/mutate/operator.h"

namespace touchstone::conformance::mutate {
namespace {

using Kind = Reconciliation::Kind;
using telemetry::MetricFamily;
using telemetry::Sample;

double before_of(const Evidence& evidence, const Sample& sample) {
  if (!evidence.metrics_before) return 0;
  return evidence.metrics_before->value(sample.name, sample.labels).value_or(0);
}

/// Damages each sample with the name (and for which `fits(sample)` holds) given what it was before.
template <typename Damage>
void each_sample(Evidence& evidence, const std::string& name, const Damage& damage) {
  for (MetricFamily& family : evidence.metrics->families) {
    for (Sample& sample : family.samples) {
      if (sample.name == name) damage(sample, before_of(evidence, sample));
    }
  }
}

double growth(const Good& good, const std::string& name, const telemetry::Labels& labels = {}) {
  const Evidence& evidence = good.evidence();
  const double before =
      evidence.metrics_before ? evidence.metrics_before->sum(name, labels).value_or(0) : 0;
  return evidence.metrics->sum(name, labels).value_or(0) - before;
}

/// A mutant of each reconciled metric of one kind that has grown; damage(evidence, rule).
template <typename Fits, typename Damage>
std::vector<Mutant> on_rules(const Good& good, Kind kind, const Fits& fits, const Damage& damage) {
  std::vector<Mutant> mutants;
  if (!good.evidence().metrics) return mutants;
  for (const Profile& profile : good.profiles()) {
    for (const Reconciliation& rule : profile.reconciliations) {
      const std::string grown = kind == Kind::kHistogram ? rule.metric + "_count" : rule.metric;
      if (rule.kind != kind || growth(good, grown) <= 0 || !fits(rule)) continue;
      mutants.push_back({rule.metric,
                         [&rule, damage](Evidence& evidence) { damage(evidence, rule); },
                         rule.level});
    }
  }
  return mutants;
}

bool any(const Reconciliation&) { return true; }

/// The metric as it was before: nothing was counted.
void stop(Evidence& evidence, const std::string& name) {
  each_sample(evidence, name, [](Sample& sample, double before) { sample.value = before; });
}

void reset(Evidence& evidence, const std::string& name) {
  each_sample(evidence, name, [](Sample& sample, double) { sample.value = 0; });
}

std::vector<Mutant> counter_stopped(const Good& good) {
  return on_rules(good, Kind::kCounter, any, [](Evidence& evidence, const Reconciliation& rule) {
    stop(evidence, rule.metric);
  });
}

std::vector<Mutant> counter_reset(const Good& good) {
  return on_rules(good, Kind::kCounter, any, [](Evidence& evidence, const Reconciliation& rule) {
    reset(evidence, rule.metric);
  });
}

/// Requests whose share nobody can bound: unfinished, with a prompt of unknown length.
bool is_bounded(const Good& good, const Reconciliation& rule) {
  if (!good.evidence().ledger || !good.evidence().metrics_before) return false;
  const bool prompt = rule.name == "prompt_tokens";
  return std::none_of(good.evidence().ledger->begin(), good.evidence().ledger->end(),
                      [&](const records::LedgerEntry& entry) {
                        const bool cut = entry.outcome == records::ClientOutcome::kHungUp ||
                                         entry.outcome == records::ClientOutcome::kFailed;
                        const bool unread = entry.outcome == records::ClientOutcome::kCompleted &&
                                            !entry.usage && !entry.sampled;
                        return (cut || unread) &&
                               (prompt ? entry.prompt_tokens : entry.output_tokens) == 0;
                      });
}

std::vector<Mutant> counter_tripled(const Good& good) {
  const auto fits = [&](const Reconciliation& rule) { return is_bounded(good, rule); };
  return on_rules(good, Kind::kCounter, fits, [](Evidence& evidence, const Reconciliation& rule) {
    each_sample(evidence, rule.metric, [](Sample& sample, double before) {
      sample.value = before + 3 * (sample.value - before);
    });
  });
}

std::vector<Mutant> requests_stopped(const Good& good) {
  return on_rules(good, Kind::kRequests, any, [](Evidence& evidence, const Reconciliation& rule) {
    stop(evidence, rule.metric);
  });
}

std::vector<Mutant> requests_tripled(const Good& good) {
  const auto fits = [&](const Reconciliation&) {
    return good.evidence().ledger && good.evidence().metrics_before;
  };
  return on_rules(good, Kind::kRequests, fits, [](Evidence& evidence, const Reconciliation& rule) {
    each_sample(evidence, rule.metric, [](Sample& sample, double before) {
      sample.value = before + 3 * (sample.value - before);
    });
  });
}

/// One of each reason that clients saw is not counted.
std::vector<Mutant> reason_lost(const Good& good) {
  std::vector<Mutant> mutants;
  if (!good.evidence().metrics || !good.evidence().ledger) return mutants;
  for (const std::string reason : {"stop", "length"}) {
    for (const Profile& profile : good.profiles()) {
      for (const Reconciliation& rule : profile.reconciliations) {
        if (rule.kind != Kind::kRequests) continue;
        if (growth(good, rule.metric, {{rule.label, reason}}) < 1) continue;
        mutants.push_back({rule.metric + " " + reason, [&rule, reason](Evidence& evidence) {
                             each_sample(evidence, rule.metric, [&](Sample& sample, double) {
                               if (sample.labels[rule.label] == reason) --sample.value;
                             });
                           }});
      }
    }
  }
  return mutants;
}

std::vector<Mutant> sum_halved(const Good& good) {
  const auto fits = [&](const Reconciliation& rule) {
    return growth(good, rule.metric + "_sum") > 1e-3 && !is_of_duration(rule);
  };
  return on_rules(good, Kind::kHistogram, fits, [](Evidence& evidence, const Reconciliation& rule) {
    each_sample(evidence, rule.metric + "_sum", [](Sample& sample, double before) {
      sample.value = before + (sample.value - before) / 2;
    });
  });
}

std::vector<Mutant> sum_doubled(const Good& good) {
  const auto fits = [&](const Reconciliation& rule) {
    return good.is_exact(rule) && growth(good, rule.metric + "_sum") > 1e-3 &&
           !is_of_duration(rule);
  };
  return on_rules(good, Kind::kHistogram, fits, [](Evidence& evidence, const Reconciliation& rule) {
    each_sample(evidence, rule.metric + "_sum", [](Sample& sample, double before) {
      sample.value = before + 2 * (sample.value - before);
    });
  });
}

/// A bucket that was left out: everything from the bound on counts one fewer.
std::vector<Mutant> observation_lost(const Good& good) {
  const auto fits = [&](const Reconciliation& rule) { return good.is_tight(rule); };
  return on_rules(good, Kind::kHistogram, fits, [](Evidence& evidence, const Reconciliation& rule) {
    for (const char* suffix : {"_bucket", "_count"}) {
      each_sample(evidence, rule.metric + suffix, [](Sample& sample, double before) {
        sample.value = std::max(before, sample.value - 1);
      });
    }
  });
}

std::vector<Mutant> observation_added(const Good& good) {
  const auto fits = [&](const Reconciliation& rule) { return good.is_exact(rule); };
  return on_rules(good, Kind::kHistogram, fits, [](Evidence& evidence, const Reconciliation& rule) {
    for (const char* suffix : {"_bucket", "_count"}) {
      each_sample(evidence, rule.metric + suffix,
                  [](Sample& sample, double) { sample.value += 1; });
    }
  });
}

/// One observation in the last bucket for one in the first with any: only bounds tell.
std::vector<Mutant> observation_moved(const Good& good) {
  const auto fits = [&](const Reconciliation& rule) {
    return good.is_tight(rule) && !is_of_duration(rule);
  };
  return on_rules(good, Kind::kHistogram, fits, [](Evidence& evidence, const Reconciliation& rule) {
    each_sample(evidence, rule.metric + "_bucket", [](Sample& sample, double before) {
      if (sample.labels["le"] != "+Inf") sample.value = std::max(before, sample.value - 1);
    });
  });
}

std::vector<Mutant> histogram_reset(const Good& good) {
  return on_rules(good, Kind::kHistogram, any, [](Evidence& evidence, const Reconciliation& rule) {
    for (const char* suffix : {"_bucket", "_count", "_sum"}) reset(evidence, rule.metric + suffix);
  });
}

/// Damages the usage of the first completed requests with all their spans.
template <typename Damage>
std::vector<Mutant> on_usage(const Good& good, const Damage& damage) {
  std::vector<Mutant> mutants;
  for (const GoodSpan& span : good.spans()) {
    if (span.entry == nullptr || !span.entry->usage || !span.entry->sampled) continue;
    if (span.entry->outcome != records::ClientOutcome::kCompleted) continue;
    if (!span.profile->names.contains("prompt_tokens")) continue;
    mutants.push_back({"request " + std::to_string(span.entry->index),
                       [index = span.entry->index, damage](Evidence& evidence) {
                         for (records::LedgerEntry& entry : *evidence.ledger) {
                           if (entry.index == index) damage(*entry.usage);
                         }
                       }});
    if (mutants.size() == 3) break;
  }
  return mutants;
}
std::vector<Mutant> other_prompt_usage(const Good& good) {
  return on_usage(good, [](records::Usage& usage) { ++usage.prompt_tokens; });
}
std::vector<Mutant> other_completion_usage(const Good& good) {
  return on_usage(good, [](records::Usage& usage) { --usage.completion_tokens; });
}

constexpr OperatorRow kRows[] = {
    {"counter.stop", "a token counter stands still", kWithMetrics, counter_stopped, kWithMetrics},
    {"counter.reset", "a token counter is reset", kWithMetrics, counter_reset, kWithMetrics},
    {"counter.triple", "a token counter grows three times too fast", kWithAll, counter_tripled,
     kWithMetrics},
    {"requests.stop", "the request counter stands still", kWithMetrics, requests_stopped,
     kWithMetrics},
    {"requests.triple", "the request counter grows three times too fast", kWithAll,
     requests_tripled, kWithMetrics},
    {"requests.reason", "a finish reason that a client saw is not counted", kWithAll, reason_lost,
     kWithMetrics},
    {"histogram.halve_sum", "a histogram's sum is halved", kWithMetrics, sum_halved, kWithMetrics},
    {"histogram.double_sum", "a histogram's sum is doubled", kWithAll, sum_doubled, kWithMetrics},
    {"histogram.lose", "a histogram has an observation too few", kWithMetrics, observation_lost,
     kWithMetrics},
    {"histogram.add", "a histogram has an observation too many", kWithAll, observation_added,
     kWithMetrics},
    {"histogram.move", "an observation is in another bucket", kWithMetrics, observation_moved,
     kWithMetrics},
    {"histogram.reset", "a histogram is reset", kWithMetrics, histogram_reset, kWithMetrics},
    {"usage.prompt", "the response's usage has another prompt length", kWithLedger,
     other_prompt_usage, kWithLedger},
    {"usage.completion", "the response's usage has another number of completion tokens",
     kWithLedger, other_completion_usage, kWithLedger}};

}  // namespace

OperatorTable reconciled_operators() { return kRows; }

}  // namespace touchstone::conformance::mutate
