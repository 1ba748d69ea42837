// Sessions of a coding agent (github.com/callanjfox/kv-cache-tester, traces/trace_N.json): requests
// with t (s from the session's start), in, out, hash_ids (blocks of block_size tokens, known within
// their session only), think_time; sub-agents hold requests of their own, whose t counts from
// theirs. Turns follow each other: one begins at its time, but think_time after the turn before it
// ended at the earliest. The sessions carry no date: each starts TraceOptions::session_gap_ns after
// the one before, in the order of their names.
#include <algorithm>
#include <filesystem>
#include <queue>
#include <utility>

#include "base/document.h"
#include "base/files.h"
#include "workload/traces/rows.h"
#include "workload/traces/trace.h"

namespace touchstone::workload {
namespace {

/// A request of a session; ids as what they share with the turn before, and the rest.
struct Turn {
  int64_t time_ns = 0;
  int64_t prompt_tokens = 0;
  int64_t output_tokens = 0;
  std::optional<int64_t> think_ns;
  size_t shared_ids = 0;
  std::vector<uint64_t> own_ids;
};

/// One agent: the session itself or a sub-agent of it.
struct Agent {
  std::string name;
  std::vector<Turn> turns;
};

struct Session {
  std::string name;
  int64_t block_size = 0;
  std::vector<Agent> agents;
  int64_t empty = 0;
};

int64_t time_of(const Fields& fields) {
  const auto ns = seconds_to_ns(fields.required_double("t"));
  if (!ns) fields.fail("t", "got no time, expected seconds, 0 or later");
  return ns.value_or(0);
}

void read_turn(const Fields& fields, int64_t start_ns, std::vector<uint64_t>& ids_before,
               Session& session, Agent& agent) {
  Turn turn{.time_ns = start_ns + time_of(fields)};
  turn.prompt_tokens = required_in(fields, "in", 0, kMostTraceTokens);
  turn.output_tokens = required_in(fields, "out", 0, kMostTraceTokens);
  std::vector<uint64_t> ids;
  for (const int64_t id : fields.ints("hash_ids")) {
    if (id < 0) fields.fail("hash_ids", "got a negative id, expected ids >= 0");
    ids.push_back(static_cast<uint64_t>(id));
  }
  if (std::ssize(ids) > turn.prompt_tokens / session.block_size) {
    fields.fail("hash_ids", "got " + std::to_string(ids.size()) +
                                " full blocks, expected at most " +
                                std::to_string(turn.prompt_tokens / session.block_size) + " in " +
                                std::to_string(turn.prompt_tokens) + " tokens");
  }
  if (turn.prompt_tokens == 0 || turn.output_tokens == 0) {
    ++session.empty;
    return;
  }
  if (!agent.turns.empty()) {
    if (turn.time_ns < agent.turns.back().time_ns) {
      fields.fail("t", "got a time before that of the turn before, expected none that goes back");
    }
    turn.think_ns = seconds_to_ns(fields.optional_double("think_time").value_or(0)).value_or(0);
  }
  const auto [end, end_before] =
      std::mismatch(ids.begin(), ids.end(), ids_before.begin(), ids_before.end());
  turn.shared_ids = static_cast<size_t>(end - ids.begin());
  turn.own_ids.assign(end, ids.end());
  ids_before = std::move(ids);
  agent.turns.push_back(std::move(turn));
}

void read_agent(const Fields& fields, const std::string& name, int64_t start_ns, Session& session) {
  Agent agent{.name = name};
  std::vector<uint64_t> ids;
  for (const Fields& request : fields.objects("requests")) {
    if (request.optional_string("type") == "subagent") {
      const std::string id = request.optional_string("agent_id").value_or("agent");
      read_agent(request, name + "/" + id, start_ns + time_of(request), session);
    } else {
      read_turn(request, start_ns, ids, session, agent);
    }
  }
  if (!agent.turns.empty()) session.agents.push_back(std::move(agent));
}

Result<Session> read_session(const std::string& path, int64_t start_ns) {
  const auto text = read_file(path);
  if (!text) return text.error();
  auto document = Document::parse_json(path, *text);
  if (!document) return invalid_argument(document.error().message, document.error().hint);
  document->ignore_unknown_keys();
  const Fields root = document->root();
  Session session{.name = root.required_string("id")};
  session.block_size = required_in(root, "block_size", 1, 1 << 20);
  read_agent(root, session.name, start_ns, session);
  RETURN_IF_ERROR(document->finish());
  return session;
}

/// The turns of one agent, one after the other, with its ids put together again.
struct Cursor {
  Agent agent;
  int64_t block_size = 0;
  uint64_t scope = 0;
  size_t next = 0;
  std::vector<uint64_t> ids;
};

class WekaReader final : public RequestReader {
 public:
  WekaReader(std::vector<std::string> files, int64_t gap_ns)
      : files_(std::move(files)), gap_ns_(gap_ns) {}

  Result<bool> next(Request& request) override {
    // A session is read when the first of what is left comes after its start.
    while (opened_ < files_.size() &&
           (next_.empty() || next_.top().first >= static_cast<int64_t>(opened_) * gap_ns_)) {
      RETURN_IF_ERROR(open_next());
    }
    if (next_.empty()) return false;
    const size_t index = next_.top().second;
    next_.pop();
    Cursor& cursor = cursors_[index];
    Turn& turn = cursor.agent.turns[cursor.next];
    const auto arrival_ns = arrivals_.from_start_ns(turn.time_ns, cursor.agent.name, "t");
    if (!arrival_ns) return arrival_ns.error();
    begin_request(request, made_++, *arrival_ns, turn.prompt_tokens, turn.output_tokens);
    request.session = cursor.agent.name;
    request.turn = static_cast<int64_t>(cursor.next);
    request.think_ns = turn.think_ns;
    cursor.ids.resize(turn.shared_ids);
    for (const uint64_t id : turn.own_ids) cursor.ids.push_back(scoped_id(cursor.scope, id));
    request.prefix_block_ids = cursor.ids;
    if (!cursor.ids.empty()) request.prefix_block_size = cursor.block_size;
    if (++cursor.next < cursor.agent.turns.size()) {
      next_.emplace(cursor.agent.turns[cursor.next].time_ns, index);
    } else {
      cursor = Cursor();
    }
    return true;
  }
  std::string where() const override { return opened_ == 0 ? files_.front() : files_[opened_ - 1]; }
  std::string left_out() const override { return without_tokens(empty_); }

 private:
  using Next = std::pair<int64_t, size_t>;  // time, cursor

  Status open_next() {
    auto session = read_session(files_[opened_], static_cast<int64_t>(opened_) * gap_ns_);
    if (!session) return std::move(session).error();
    ++opened_;
    empty_ += session->empty;
    for (Agent& agent : session->agents) {
      next_.emplace(agent.turns.front().time_ns, cursors_.size());
      cursors_.push_back({.agent = std::move(agent),
                          .block_size = session->block_size,
                          .scope = scope_of(session->name)});
    }
    return {};
  }

  const std::vector<std::string> files_;
  const int64_t gap_ns_;
  size_t opened_ = 0;
  std::vector<Cursor> cursors_;
  std::priority_queue<Next, std::vector<Next>, std::greater<>> next_;
  Arrivals arrivals_;
  int64_t made_ = 0;
  int64_t empty_ = 0;
};

std::vector<std::string> sessions_in(const std::string& folder) {
  std::vector<std::string> files;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("trace_") && name.ends_with(".json")) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

bool looks_like_weka(const std::string& path, std::string_view head) {
  if (head.empty()) return !sessions_in(path).empty();
  return head.find("\"hash_id_scope\"") != std::string_view::npos;
}

Result<std::unique_ptr<RequestReader>> open_weka(const std::string& path,
                                                 const TraceOptions& options) {
  std::error_code ignored;
  std::vector<std::string> files = {path};
  if (std::filesystem::is_directory(path, ignored)) files = sessions_in(path);
  if (files.empty()) {
    return invalid_argument(path + ": got no trace_N.json, expected a folder of sessions");
  }
  if (options.session_gap_ns < 0 ||
      options.session_gap_ns > INT64_MAX / 2 / static_cast<int64_t>(files.size())) {
    return invalid_argument("session gap: got " + std::to_string(options.session_gap_ns) +
                            " ns, expected 0 or more, and all sessions within 146 years");
  }
  return std::unique_ptr<RequestReader>(
      std::make_unique<WekaReader>(std::move(files), options.session_gap_ns));
}

}  // namespace touchstone::workload
