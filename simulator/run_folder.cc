#include "simulator/run_folder.h"

#include <algorithm>
#include <cstdint>
#include <utility>
#include <variant>

#include "records/ledger.h"
#include "records/run_folder.h"
#include "records/server_description.h"
#include "reference_engine/scheduler/policies.h"

namespace touchstone::simulator {
namespace {

constexpr int64_t kIntMax = INT32_MAX;

/// The flags of server.json in vLLM's spelling; absent ones leave the field as it is.
class Flags final {
 public:
  Flags(std::string path, const records::Settings& flags) : path_(std::move(path)), flags_(flags) {}

  template <typename Int>
  void number(const char* key, Int& field, int64_t low = 0) {
    const auto found = flags_.find(key);
    if (found == flags_.end()) return;
    const auto* value = std::get_if<int64_t>(&found->second);
    if (value != nullptr && *value >= low && *value <= kIntMax) {
      field = static_cast<Int>(*value);
    } else {
      const std::string got = value != nullptr ? std::to_string(*value) : "another type";
      fail(key, "got " + got + ", expected an integer of " + std::to_string(low) + " or more");
    }
  }
  void boolean(const char* key, bool& field) {
    const auto found = flags_.find(key);
    if (found == flags_.end()) return;
    const auto* value = std::get_if<bool>(&found->second);
    if (value == nullptr) return fail(key, "got another type, expected true or false");
    field = *value;
  }
  void policy(const char* key, scheduler::Policy& field) {
    const auto found = flags_.find(key);
    if (found == flags_.end()) return;
    const auto* name = std::get_if<std::string>(&found->second);
    const auto policy = scheduler::parse_policy(name != nullptr ? *name : "");
    if (!policy) return fail(key, "expected fcfs or priority");
    field = *policy;
  }
  Status status() && { return std::move(status_); }

 private:
  void fail(const std::string& key, const std::string& problem) {
    if (status_) status_ = invalid_argument(path_ + ": flags." + key + ": " + problem);
  }
  const std::string path_;
  const records::Settings& flags_;
  Status status_;
};

Status read_flags(const std::string& path, scheduler::Config& config) {
  const auto server = records::read_server_description(path);
  if (!server) return server.error();
  Flags flags(path, server->flags);
  flags.number("num_gpu_blocks_override", config.num_blocks, 2);
  flags.number("block_size", config.block_size);
  flags.number("max_num_seqs", config.max_num_seqs);
  flags.number("max_num_batched_tokens", config.max_num_batched_tokens);
  flags.number("max_model_len", config.max_model_len);
  flags.number("long_prefill_token_threshold", config.long_prefill_token_threshold);
  flags.boolean("enable_prefix_caching", config.enable_prefix_caching);
  flags.boolean("enable_chunked_prefill", config.enable_chunked_prefill);
  flags.policy("scheduling_policy", config.policy);
  return std::move(flags).status();
}

workload::Request request_of(records::LedgerEntry& entry) {
  workload::Request request;
  request.name = entry.name.empty() ? "r" + std::to_string(entry.index) : entry.name;
  request.arrival_ns = entry.intended_ns;
  request.prompt_tokens = entry.prompt_tokens;
  request.output_tokens = entry.output_tokens;
  request.prompt_token_ids = std::move(entry.prompt_token_ids);
  return request;
}

MeasuredLatency latency_of(const records::LedgerEntry& entry) {
  const std::vector<int64_t>& chunks = entry.chunk_offsets_ns;
  MeasuredLatency measured;
  measured.e2e_s = static_cast<double>(entry.done_ns) / 1e9;
  measured.ttft_s = chunks.empty() ? measured.e2e_s : static_cast<double>(chunks.front()) / 1e9;
  if (entry.output_tokens > 1 && chunks.size() > 1) {
    measured.tpot_s = static_cast<double>(chunks.back() - chunks.front()) / 1e9 /
                      static_cast<double>(entry.output_tokens - 1);
  }
  return measured;
}

/// What a completed request must say to be simulated; "" when it does.
std::string problem_of(const records::LedgerEntry& entry) {
  const auto ids = std::ssize(entry.prompt_token_ids);
  if (entry.intended_ns < 0) return "arrival_s: got a negative time";
  if (entry.done_ns <= 0) return "done_ns: got " + std::to_string(entry.done_ns) + ", expected > 0";
  if (ids > 0 && ids != entry.prompt_tokens) {
    return "prompt_token_ids: got " + std::to_string(ids) + " ids, expected " +
           std::to_string(entry.prompt_tokens);
  }
  return "";
}

}  // namespace

Result<RunFolder> read_run_folder(const std::string& folder) {
  namespace files = records::run_files;
  RunFolder run;
  RETURN_IF_ERROR(read_flags(folder + "/" + files::kServer, run.config));
  const std::string path = folder + "/" + files::kLedger;
  auto entries = records::read_ledger(path);
  if (!entries) return std::move(entries).error();
  std::stable_sort(entries->begin(), entries->end(),
                   [](const auto& a, const auto& b) { return a.intended_ns < b.intended_ns; });
  for (records::LedgerEntry& entry : *entries) {
    if (entry.outcome != records::ClientOutcome::kCompleted) {
      ++run.left_out;
      continue;
    }
    if (const std::string problem = problem_of(entry); !problem.empty()) {
      return invalid_argument(path + ": request " + std::to_string(entry.index) + ": " + problem);
    }
    run.measured.push_back(latency_of(entry));
    run.workload.requests.push_back(request_of(entry));
  }
  if (run.measured.empty()) {
    return invalid_argument(path + ": got no completed request, expected one or more");
  }
  return run;
}

}  // namespace touchstone::simulator
