#include "conformance/hops.h"

#include <algorithm>
#include <string>
#include <unordered_map>

#include "conformance/collector_counters.h"

namespace touchstone::conformance {
namespace {

using result::FigureTable;
using telemetry::MetricsPage;

constexpr char kColumn[] = "spans";

/// Spans of each trace.
using PerTrace = std::unordered_map<TraceId, int64_t>;

int64_t of(const PerTrace& counts, const TraceId& trace) {
  const auto found = counts.find(trace);
  return found == counts.end() ? 0 : found->second;
}

/// All hops that end, or begin, at the Collector together: a request has one of several subjects.
struct Boundary {
  bool counted = false;
  PerTrace taken = {};
  PerTrace rejected = {};  ///< and never taken
  PerTrace refused = {};   ///< neither
};

Boundary boundary_of(const Evidence& evidence, bool before_collector) {
  Boundary boundary;
  for (const HopSpans& hop : evidence.hops) {
    if ((hop.to == "collector") != before_collector) continue;
    boundary.counted = true;
    for (const auto& [trace, span] : hop.taken) ++boundary.taken[trace];
    for (const HopSpans::Id& id : hop.rejected) {
      if (!hop.taken.contains(id)) ++boundary.rejected[id.first];
    }
    for (const HopSpans::Id& id : hop.refused) {
      if (!hop.taken.contains(id) && !hop.rejected.contains(id)) ++boundary.refused[id.first];
    }
  }
  return boundary;
}

class Losses final {
 public:
  explicit Losses(int64_t missing) : left_(missing) {
    table_ = {.title = "Where spans were lost", .columns = {kColumn}, .rows = {}, .notes = {}};
  }

  int64_t left() const { return left_; }
  void note(const std::string& text) { table_.notes.push_back(text); }
  /// At most what is left, so that rows add up.
  void add(const std::string& hop, int64_t count) {
    const int64_t taken = std::clamp<int64_t>(count, 0, left_);
    left_ -= taken;
    if (taken > 0) put(hop, taken);
  }
  FigureTable finish(int64_t missing) {
    put("owed and missing", missing);
    return std::move(table_);
  }

 private:
  void put(const std::string& name, int64_t count) {
    table_.rows.push_back(
        {.name = name, .unit = "", .values = {{kColumn, static_cast<double>(count)}}});
  }
  FigureTable table_;
  int64_t left_;
};

/// `lost` in the Collector, by its own counters; the rest is what it held when it ended.
void add_collector(const Evidence& evidence, int64_t lost, const std::string& rest,
                   Losses& losses) {
  const auto add = [&](const std::string& what, int64_t count) {
    const int64_t here = std::clamp<int64_t>(count, 0, lost);
    losses.add("in the Collector: " + what, here);
    lost -= here;
  };
  if (evidence.collector_metrics) {
    const MetricsPage& page = *evidence.collector_metrics;
    add("removed by its processors", removed_by_processors(page));
    for (const CollectorLoss& loss : collector_losses()) {
      // What a receiver refuses was never taken.
      if (std::string_view(loss.name) == "otelcol_receiver_refused_spans") continue;
      for (const std::string& part : collector_labels(page, loss.name, loss.label)) {
        add(loss.what + part, collector_counter(page, loss.name, {{loss.label, part}}).value_or(0));
      }
    }
  }
  add(rest, lost);
}

void locate_by_trace(const Evidence& evidence, const Matching& matching, Losses& losses) {
  const Boundary first = boundary_of(evidence, true);
  const Boundary second = boundary_of(evidence, false);
  int64_t rejected = 0;
  int64_t refused = 0;
  int64_t before = 0;
  int64_t within = 0;
  int64_t rejected_behind = 0;
  int64_t behind = 0;
  for (const RequestMatch& match : matching.requests()) {
    const TraceId& trace = match.entry->trace_id;
    // Whoever sent no trace id cannot be followed.
    if (match.missing() == 0 || !trace.is_valid()) continue;
    // Whatever arrived has crossed every boundary.
    const auto crossed = [&](const Boundary& boundary, int64_t next) {
      return boundary.counted ? std::clamp(of(boundary.taken, trace), next, match.least) : next;
    };
    const int64_t sent_on = crossed(second, match.found);
    const int64_t taken = first.counted ? crossed(first, sent_on) : match.least;
    int64_t here = match.least - taken;
    const auto split = [&](const PerTrace& counts, int64_t& sum) {
      const int64_t part = std::min(here, of(counts, trace));
      sum += part;
      here -= part;
    };
    split(first.rejected, rejected);
    split(first.refused, refused);
    before += here;
    here = taken - sent_on;
    split(second.rejected, rejected_behind);
    within += here;
    behind += sent_on - match.found;
  }
  losses.add("rejected before the Collector, as a partial success", rejected);
  losses.add("refused before the Collector, and not sent again", refused);
  losses.add("in the subject: the Collector was never asked to take them", before);
  losses.add("rejected behind the Collector, as a partial success", rejected_behind);
  const bool known = evidence.collector_metrics.has_value();
  add_collector(evidence, within,
                known ? "held when it ended" : "it ended, and its counters with it", losses);
  losses.add("behind the Collector: taken, and not in the file", behind);
}

void locate_by_counters(const Evidence& evidence, const Matching& matching, int64_t arrived,
                        Losses& losses) {
  if (!evidence.collector_metrics) {
    return losses.note("nothing was counted on the way: `count_hops: true` in the suite does");
  }
  const MetricsPage& page = *evidence.collector_metrics;
  const auto accepted = collector_counter(page, "otelcol_receiver_accepted_spans");
  if (!accepted) return losses.note("the page lacks otelcol_receiver_accepted_spans");
  int64_t owed = 0;
  for (const RequestMatch& match : matching.requests()) owed += match.least;
  const int64_t refused = collector_counter(page, "otelcol_receiver_refused_spans").value_or(0);
  const int64_t not_taken = std::max(owed, arrived) - *accepted;
  losses.add("refused by the Collector, and not sent again", std::min(refused, not_taken));
  losses.add("in the subject, or on the way to the Collector", not_taken - refused);
  add_collector(evidence, losses.left(), "taken, and not in the file", losses);
  losses.note("by the Collector's counters; `count_hops: true` in the suite locates each span");
}

}  // namespace

std::optional<FigureTable> loss_table(const Evidence& evidence, const Matching& matching,
                                      int64_t arrived) {
  int64_t missing = 0;
  for (const RequestMatch& match : matching.requests()) missing += match.missing();
  if (missing == 0) return std::nullopt;
  Losses losses(missing);
  if (evidence.hops.empty()) {
    locate_by_counters(evidence, matching, arrived, losses);
  } else {
    locate_by_trace(evidence, matching, losses);
  }
  losses.add("nobody knows where", losses.left());
  return losses.finish(missing);
}

}  // namespace touchstone::conformance
