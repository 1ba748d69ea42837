#include "harness/wire/hop_log.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

namespace touchstone::harness {
namespace {

using nlohmann::json;
using telemetry::TraceBatch;

constexpr std::pair<HopAnswer, const char*> kWords[] = {{HopAnswer::kTaken, "taken"},
                                                        {HopAnswer::kRejected, "rejected"},
                                                        {HopAnswer::kRefused, "refused"}};

const char* word_of(HopAnswer answer) {
  return std::find_if(std::begin(kWords), std::end(kWords),
                      [&](const auto& row) { return row.first == answer; })
      ->second;
}

std::set<conformance::HopSpans::Id>* spans_of(conformance::HopSpans& hop, const std::string& word) {
  if (word == word_of(HopAnswer::kTaken)) return &hop.taken;
  if (word == word_of(HopAnswer::kRejected)) return &hop.rejected;
  if (word == word_of(HopAnswer::kRefused)) return &hop.refused;
  return nullptr;
}

Status read_line(const json& line, std::vector<conformance::HopSpans>& hops) {
  const auto wrong = [](const std::string& what) { return malformed(what); };
  if (!line.is_object()) return wrong("got no JSON object");
  const std::string name = line.value("hop", "");
  const size_t slash = name.find('/');
  if (slash == std::string::npos) return wrong("hop: expected FROM/TO");
  auto hop = std::find_if(hops.begin(), hops.end(),
                          [&](const auto& one) { return one.from + "/" + one.to == name; });
  if (hop == hops.end()) {
    hop = hops.insert(hops.end(), {name.substr(0, slash), name.substr(slash + 1), {}, {}, {}});
  }
  std::set<conformance::HopSpans::Id>* const spans = spans_of(*hop, line.value("answer", ""));
  if (spans == nullptr) return wrong("answer: expected taken, rejected or refused");
  const auto ids = line.find("spans");
  if (ids == line.end() || !ids->is_array()) return wrong("spans: expected a list");
  for (const json& id : *ids) {
    const std::string text = id.is_string() ? id.get<std::string>() : std::string();
    const auto trace = TraceId::parse(text.substr(0, text.find('-')));
    const auto span = SpanId::parse(text.substr(text.find('-') + 1));
    if (!trace || !span) return wrong("spans: expected TRACE-SPAN, got " + id.dump());
    spans->insert({*trace, *span});
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<HopLog>> HopLog::open(const std::string& path) {
  auto file = LineWriter::open(path);
  if (!file) return std::move(file).error();
  return std::make_unique<HopLog>(std::move(*file));
}

void HopLog::add(const std::string& hop, HopAnswer answer, const TraceBatch& batch) {
  json ids = json::array();
  const MutexLock lock(mutex_);
  conformance::HopSpans& seen = seen_[hop.substr(hop.find('/') + 1)];
  for (const auto& group : batch) {
    for (const auto& scope : group.scope_spans) {
      for (const auto& span : scope.spans) {
        ids.push_back(span.trace_id.hex() + "-" + span.span_id.hex());
        spans_of(seen, word_of(answer))->insert({span.trace_id, span.span_id});
      }
    }
  }
  if (file_ == nullptr) return;
  const json line = {{"hop", hop}, {"answer", word_of(answer)}, {"spans", std::move(ids)}};
  if (first_problem_) first_problem_ = file_->write(line.dump());
  if (first_problem_) first_problem_ = file_->flush();
}

std::optional<HopLog::Count> HopLog::count(const std::string& to) {
  const MutexLock lock(mutex_);
  const auto found = seen_.find(to);
  if (found == seen_.end()) return std::nullopt;
  return Count{std::ssize(found->second.taken), std::ssize(found->second.rejected)};
}

Status HopLog::close() {
  const MutexLock lock(mutex_);
  if (const auto file = std::exchange(file_, nullptr)) {
    Status closed = file->close();
    if (first_problem_) first_problem_ = std::move(closed);
  }
  return first_problem_;
}

Result<std::vector<conformance::HopSpans>> read_hop_log(const std::string& path) {
  std::vector<conformance::HopSpans> hops;
  const Status read = for_each_line(path, [&](int64_t number, std::string_view text) {
    const Status line = read_line(json::parse(text, nullptr, false), hops);
    return line ? Status()
                : Status(Error(line.error()).with_context(path + ":" + std::to_string(number)));
  });
  if (!read) return read.error();
  return hops;
}

}  // namespace touchstone::harness
