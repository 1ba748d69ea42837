#include "records/schedule_difference.h"

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

namespace touchstone::records {
namespace {

ScheduleDifference differ(const StepRecord& step, const char* what, std::string before,
                          std::string after, std::optional<uint64_t> request = std::nullopt) {
  return {step.step, request, what, std::move(before), std::move(after)};
}

std::string bracketed(const std::vector<std::string>& parts) {
  std::string text = "[";
  for (const std::string& part : parts) text += (text.size() > 1 ? ", " : "") + part;
  return text + "]";
}

std::string join_finished(const std::vector<StepFinish>& finished) {
  std::vector<std::string> parts;
  parts.reserve(finished.size());
  for (const StepFinish& f : finished) parts.push_back(std::to_string(f.id) + " " + f.reason);
  return bracketed(parts);
}

std::string join_inputs(const std::vector<StepInput>& inputs) {
  std::vector<std::string> parts;
  parts.reserve(inputs.size());
  for (const StepInput& input : inputs) {
    parts.push_back(std::string(to_string(input.kind)) + " " + std::to_string(input.id));
  }
  return bracketed(parts);
}

std::optional<ScheduleDifference> input_difference(const StepRecord& before,
                                                   const StepRecord& after) {
  std::string a = join_inputs(before.inputs);
  std::string b = join_inputs(after.inputs);
  if (a == b) return std::nullopt;
  return differ(before, "inputs", std::move(a), std::move(b));
}

std::optional<ScheduleDifference> entry_difference(const StepRecord& step, const StepEntry& a,
                                                   const StepEntry& b) {
  const std::tuple<const char*, int64_t, int64_t> fields[] = {
      {"cached", a.cached, b.cached},
      {"computed", a.computed, b.computed},
      {"scheduled", a.scheduled, b.scheduled},
      {"samples", a.samples, b.samples},
      {"prefill", a.prefill, b.prefill}};
  for (const auto& [what, x, y] : fields) {
    if (x != y) return differ(step, what, std::to_string(x), std::to_string(y), a.id);
  }
  return std::nullopt;
}

std::string setting_text(const Settings& settings, const std::string& name) {
  const auto found = settings.find(name);
  return found == settings.end() ? "" : setting_json(found->second);
}

std::vector<ScheduleDifference> config_differences(const StepLog& before, const StepLog& after) {
  std::set<std::string> names;
  for (const StepLog* log : {&before, &after}) {
    for (const auto& [name, value] : log->header.config) names.insert(name);
  }
  std::vector<ScheduleDifference> differences;
  for (const std::string& name : names) {
    std::string a = setting_text(before.header.config, name);
    std::string b = setting_text(after.header.config, name);
    if (a != b) differences.push_back({0, std::nullopt, name, std::move(a), std::move(b)});
  }
  return differences;
}

}  // namespace

std::string join_ids(const std::vector<uint64_t>& ids) {
  std::vector<std::string> parts;
  parts.reserve(ids.size());
  for (const uint64_t id : ids) parts.push_back(std::to_string(id));
  return bracketed(parts);
}

std::vector<uint64_t> scheduled_ids(const StepRecord& step) {
  std::vector<uint64_t> ids;
  ids.reserve(step.requests.size());
  for (const StepEntry& entry : step.requests) ids.push_back(entry.id);
  return ids;
}

std::optional<ScheduleDifference> plan_difference(const StepRecord& before,
                                                  const StepRecord& after) {
  if (before.step != after.step) {
    return differ(before, "step", std::to_string(before.step), std::to_string(after.step));
  }
  if (before.preempted != after.preempted) {
    return differ(before, "preempted", join_ids(before.preempted), join_ids(after.preempted));
  }
  const std::vector<uint64_t> ids = scheduled_ids(before);
  const std::vector<uint64_t> others = scheduled_ids(after);
  if (ids != others) return differ(before, "scheduled requests", join_ids(ids), join_ids(others));
  for (size_t i = 0; i < ids.size(); ++i) {
    auto entry = entry_difference(before, before.requests[i], after.requests[i]);
    if (entry) return entry;
  }
  const std::tuple<const char*, int64_t, int64_t> gauges[] = {
      {"running", before.running, after.running},
      {"waiting", before.waiting, after.waiting},
      {"free_blocks", before.free_blocks, after.free_blocks},
      {"cached_blocks", before.cached_blocks, after.cached_blocks}};
  for (const auto& [what, x, y] : gauges) {
    if (x != y) return differ(before, what, std::to_string(x), std::to_string(y));
  }
  return std::nullopt;
}

std::optional<ScheduleDifference> finish_difference(const StepRecord& before,
                                                    const StepRecord& after) {
  std::string a = join_finished(before.finished);
  std::string b = join_finished(after.finished);
  if (a == b) return std::nullopt;
  return differ(before, "finished", std::move(a), std::move(b));
}

ScheduleTotals totals_of(const StepLog& log) {
  ScheduleTotals totals;
  totals.steps = static_cast<int64_t>(log.steps.size());
  for (const StepRecord& step : log.steps) {
    for (const StepEntry& entry : step.requests) {
      totals.scheduled_tokens += entry.scheduled;
      totals.cached_tokens += entry.cached;
    }
    totals.preemptions += static_cast<int64_t>(step.preempted.size());
    totals.finished += static_cast<int64_t>(step.finished.size());
    totals.busy_ns += step.duration_ns;
  }
  return totals;
}

LogComparison compare_logs(const StepLog& before, const StepLog& after) {
  LogComparison comparison;
  comparison.config = config_differences(before, after);
  comparison.before = totals_of(before);
  comparison.after = totals_of(after);
  const size_t both = std::min(before.steps.size(), after.steps.size());
  for (size_t i = 0; i < both && !comparison.schedule; ++i) {
    comparison.schedule = input_difference(before.steps[i], after.steps[i]);
    if (!comparison.schedule)
      comparison.schedule = plan_difference(before.steps[i], after.steps[i]);
    if (!comparison.schedule) {
      comparison.schedule = finish_difference(before.steps[i], after.steps[i]);
    }
    if (!comparison.schedule) ++comparison.equal_steps;
  }
  if (!comparison.schedule && before.steps.size() != after.steps.size()) {
    const bool longer = before.steps.size() > both;
    const StepRecord& next = longer ? before.steps[both] : after.steps[both];
    std::string text = join_ids(scheduled_ids(next));
    comparison.schedule = differ(next, "scheduled requests", longer ? text : "the log's end",
                                 longer ? "the log's end" : text);
  }
  return comparison;
}

}  // namespace touchstone::records
