#include "conformance/clock_offset.h"

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "base/text.h"

namespace touchstone::conformance {
namespace {

constexpr int64_t kLeast = std::numeric_limits<int64_t>::min();
constexpr int64_t kMost = std::numeric_limits<int64_t>::max();

/// The interval that a request leaves, widened by the slack; one whose spans contradict each other,
/// or what the client waited, has least > most.
std::pair<int64_t, int64_t> widened(const RequestMatch& request, int64_t slack_ns) {
  const int64_t least = request.offset_least_ns;
  const int64_t most = request.offset_most_ns;
  return {least == kLeast ? kLeast : least - slack_ns, most == kMost ? kMost : most + slack_ns};
}

bool says_something(const RequestMatch& request, int64_t slack_ns) {
  const auto [least, most] = widened(request, slack_ns);
  return least <= most && (least != kLeast || most != kMost);
}

/// Where most of the intervals overlap.
std::pair<int64_t, int64_t> densest(const std::vector<std::pair<int64_t, int64_t>>& intervals) {
  std::vector<std::pair<int64_t, int>> edges;  // begin before an end at the same place
  for (const auto& [low, high] : intervals) {
    edges.emplace_back(low, -1);
    edges.emplace_back(high, 1);
  }
  std::sort(edges.begin(), edges.end());
  std::pair<int64_t, int64_t> best = {kLeast, kMost};
  int64_t depth = 0;
  int64_t most = 0;
  for (size_t i = 0; i < edges.size(); ++i) {
    depth -= edges[i].second;
    if (edges[i].second > 0 || depth <= most) continue;
    most = depth;
    best = {edges[i].first, edges[i + 1].first};  // the last edge is an end
  }
  return best;
}

}  // namespace

int64_t ClockOffset::outside_ns(const RequestMatch& request) const {
  if (request.offset_most_ns < least_ns) return request.offset_most_ns - least_ns;
  if (request.offset_least_ns > most_ns) return request.offset_least_ns - most_ns;
  return 0;
}

std::map<std::string, ClockOffset> clock_offsets(const Matching& matching, int64_t slack_ns) {
  std::map<std::string, std::vector<const RequestMatch*>> by_subject;
  for (const RequestMatch& request : matching.requests()) {
    if (says_something(request, slack_ns)) by_subject[request.entry->subject].push_back(&request);
  }
  std::map<std::string, ClockOffset> offsets;
  for (const auto& [subject, requests] : by_subject) {
    std::vector<std::pair<int64_t, int64_t>> intervals;
    for (const RequestMatch* request : requests) intervals.push_back(widened(*request, slack_ns));
    const auto [low, high] = densest(intervals);
    ClockOffset& offset = offsets[subject];
    offset = {kLeast, kMost, 0};
    for (size_t i = 0; i < requests.size(); ++i) {
      if (intervals[i].first > high || intervals[i].second < low) continue;
      ++offset.requests;
      offset.least_ns = std::max(offset.least_ns, requests[i]->offset_least_ns);
      offset.most_ns = std::min(offset.most_ns, requests[i]->offset_most_ns);
    }
    // Within the slack requests may contradict each other.
    if (offset.least_ns > offset.most_ns) std::swap(offset.least_ns, offset.most_ns);
  }
  return offsets;
}

std::string to_string(const ClockOffset& offset) {
  const auto shown = [](int64_t ns) {
    if (ns == kLeast || ns == kMost) return std::string("unknown");
    return format_duration(ns);
  };
  return shown(offset.least_ns) + " to " + shown(offset.most_ns) + ", by " +
         format_count(offset.requests) + (offset.requests == 1 ? " request" : " requests");
}

}  // namespace touchstone::conformance
