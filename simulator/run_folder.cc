#include "simulator/run_folder.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>
#include <utility>

#include "base/clock.h"
#include "base/document.h"
#include "base/files.h"
#include "reference_engine/scheduler/policies.h"

namespace touchstone::simulator {
namespace {

/// Flags in vLLM's spelling; absent ones keep the default.
Status read_flags(const std::string& path, scheduler::Config& config) {
  const Result<std::string> text = read_file(path);
  if (!text) return text.error();
  Result<Document> document = Document::parse_json(path, *text);
  if (!document) return invalid_argument(document.error().message, document.error().hint);
  document->ignore_unknown_keys();
  const Fields flags = document->root().required_object("flags");
  const auto number = [&flags](const char* key, int32_t& field) {
    if (flags.has(key)) field = static_cast<int32_t>(flags.int_in(key, field, 0, INT32_MAX));
  };
  if (flags.has("num_gpu_blocks_override")) {
    config.num_blocks = flags.int_in("num_gpu_blocks_override", 0, 2, INT32_MAX);
  }
  number("block_size", config.block_size);
  number("max_num_seqs", config.max_num_seqs);
  number("max_num_batched_tokens", config.max_num_batched_tokens);
  number("max_model_len", config.max_model_len);
  number("long_prefill_token_threshold", config.long_prefill_token_threshold);
  config.enable_prefix_caching =
      flags.optional_bool("enable_prefix_caching").value_or(config.enable_prefix_caching);
  config.enable_chunked_prefill =
      flags.optional_bool("enable_chunked_prefill").value_or(config.enable_chunked_prefill);
  if (const auto name = flags.optional_string("scheduling_policy")) {
    const auto policy = scheduler::parse_policy(*name);
    if (!policy)
      flags.fail("scheduling_policy", "got \"" + *name + "\", expected fcfs or priority");
    config.policy = policy.value_or(config.policy);
  }
  return document->finish();
}

/// False when the request was not completed.
bool read_entry(const Fields& entry, workload::Request& request, MeasuredLatency& measured) {
  const std::string outcome = entry.optional_string("outcome").value_or("completed");
  const int64_t status = entry.required_int("status");
  request.arrival_ns = std::llround(entry.required_double("arrival_s") * 1e9);
  if (request.arrival_ns < 0) entry.fail("arrival_s", "got a negative time");
  if (status != 200 || outcome != "completed") return false;
  const std::string number = std::to_string(entry.optional_int("i").value_or(0));
  request.name = entry.optional_string("name").value_or("r" + number);
  request.prompt_tokens = entry.required_int("prompt_tokens");
  request.output_tokens = entry.required_int("output_tokens");
  for (const int64_t id : entry.ints("prompt_token_ids")) {
    request.prompt_token_ids.push_back(static_cast<int32_t>(id));
  }
  const int64_t ids = std::ssize(request.prompt_token_ids);
  if (ids > 0 && ids != request.prompt_tokens) {
    entry.fail("prompt_token_ids", "got " + std::to_string(ids) + " ids, expected " +
                                       std::to_string(request.prompt_tokens));
  }
  const double done_s = static_cast<double>(entry.required_int("done_ns")) / 1e9;
  const std::vector<int64_t> chunks = entry.ints("chunk_offsets_ns");
  measured.e2e_s = done_s;
  measured.ttft_s = chunks.empty() ? done_s : static_cast<double>(chunks.front()) / 1e9;
  if (request.output_tokens > 1 && chunks.size() > 1) {
    measured.tpot_s = static_cast<double>(chunks.back() - chunks.front()) / 1e9 /
                      static_cast<double>(request.output_tokens - 1);
  }
  return true;
}

}  // namespace

Result<RunFolder> read_run_folder(const std::string& folder) {
  RunFolder run;
  RETURN_IF_ERROR(read_flags(folder + "/server.json", run.config));
  const std::string path = folder + "/requests.jsonl";
  std::vector<std::pair<workload::Request, MeasuredLatency>> entries;
  const Status read = for_each_line(path, [&](int64_t number, std::string_view line) -> Status {
    Result<Document> document = Document::parse_json_line(path, number, line);
    if (!document) return invalid_argument(document.error().message, document.error().hint);
    document->ignore_unknown_keys();
    std::pair<workload::Request, MeasuredLatency> entry;
    if (read_entry(document->root(), entry.first, entry.second)) {
      entries.push_back(std::move(entry));
    } else {
      ++run.left_out;
    }
    return document->finish();
  });
  if (!read) return read.error();
  if (entries.empty()) {
    return invalid_argument(path + ": got no completed request, expected one or more");
  }
  std::stable_sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
    return a.first.arrival_ns < b.first.arrival_ns;
  });
  for (auto& [request, measured] : entries) {
    run.workload.requests.push_back(std::move(request));
    run.measured.push_back(measured);
  }
  return run;
}

}  // namespace touchstone::simulator
