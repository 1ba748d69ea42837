#include "telemetry/dialects/request_group.h"

#include <algorithm>

#include "telemetry/dialects/request_span.h"

namespace touchstone::telemetry {
namespace {

using records::RequestRecord;

void take_time(const std::optional<int64_t>& time, std::optional<int64_t>& known, bool first) {
  if (!time) return;
  if (!known || (first ? *time < *known : *time > *known)) known = time;
}

void join(const RequestRecord& record, RequestGroup& group) {
  RequestRecord& whole = group.record;
  const RequestRecord before = whole;
  if (is_failure(record) ? !is_failure(whole) : !is_failure(whole) && record.choice == 0) {
    whole = record;
    take_time(before.first_scheduled_ns, whole.first_scheduled_ns, true);
    take_time(before.first_token_ns, whole.first_token_ns, true);
    take_time(before.last_token_ns, whole.last_token_ns, false);
  } else {
    take_time(record.first_scheduled_ns, whole.first_scheduled_ns, true);
    take_time(record.first_token_ns, whole.first_token_ns, true);
    take_time(record.last_token_ns, whole.last_token_ns, false);
  }
  whole.finished_ns = std::max(before.finished_ns, record.finished_ns);
}

void count(const RequestRecord& record, RequestGroup& group) {
  if (record.choice % std::max<int64_t>(record.n, 1) == 0) {
    group.prompt_tokens += record.prompt_tokens;
    group.cached_tokens += record.cached_tokens;
  }
  group.completion_tokens += record.completion_tokens;
  const auto choice = static_cast<size_t>(std::max<int64_t>(record.choice, 0));
  if (group.outcomes.size() <= choice) group.outcomes.resize(choice + 1, record.outcome);
  group.outcomes[choice] = record.outcome;
  if (!record.content) return;
  group.outputs.resize(group.outcomes.size());
  group.outputs[choice] = record.content->output;
}

}  // namespace

std::string response_id_of(const RequestRecord& record) {
  if (record.endpoint != "/v1/completions") return record.request_id;
  return record.request_id.substr(0, record.request_id.rfind('-'));
}

std::optional<RequestGroup> RequestGroups::add(const RequestRecord& record) {
  std::string id = response_id_of(record);
  if (record.outcome == records::Outcome::kRefused || record.choices <= 1) {
    RequestGroup group;
    group.record = record;
    group.response_id = std::move(id);
    count(record, group);
    return group;
  }
  const MutexLock lock(mutex_);
  const auto [found, is_new] = waiting_.try_emplace({id, record.arrival_ns});
  Waiting& waiting = found->second;
  if (is_new) {
    waiting.group.record = record;
    waiting.group.response_id = std::move(id);
    waiting.left = record.choices;
  } else {
    join(record, waiting.group);
  }
  count(record, waiting.group);
  if (--waiting.left > 0) return std::nullopt;
  RequestGroup group = std::move(waiting.group);
  waiting_.erase(found);
  return group;
}

}  // namespace touchstone::telemetry
