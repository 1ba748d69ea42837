// vLLM's own times of each request, as the bench of LLMServingSim writes them (github.com/
// casys-kaist/LLMServingSim, bench/): meta.json has the engine's arguments; requests.jsonl has
// arrival_time on the wall clock and queued_ts, scheduled_ts, first_token_ts, last_token_ts on the
// engine's monotonic one, in seconds. The clocks are aligned so that the request that reached the
// engine soonest took no time.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/document.h"
#include "base/files.h"
#include "base/text.h"
#include "records/run_folder.h"
#include "simulator/measured/readers.h"

namespace touchstone::simulator {
namespace {

constexpr double kNs = 1e9;

struct Line {
  std::string name;
  int64_t prompt_tokens = 0;
  int64_t output_tokens = 0;
  double arrival_s = 0;
  double queued_s = 0;
  double scheduled_s = 0;
  double first_token_s = 0;
  double last_token_s = 0;
};

Result<std::vector<Line>> read_lines(const std::string& path) {
  std::vector<Line> lines;
  const Status read = for_each_line(path, [&](int64_t number, std::string_view text) -> Status {
    if (trim(text).empty()) return {};
    auto document = Document::parse_json_line(path, number, text);
    if (!document) return std::move(document).error();
    document->ignore_unknown_keys();
    const Fields fields = document->root();
    Line line{.name = fields.required_string("request_id"),
              .prompt_tokens = fields.int_in("input_toks", 0, 1, INT32_MAX),
              .output_tokens = fields.int_in("output_toks", 0, 1, INT32_MAX),
              .arrival_s = fields.required_double("arrival_time"),
              .queued_s = fields.required_double("queued_ts"),
              .scheduled_s = fields.required_double("scheduled_ts"),
              .first_token_s = fields.required_double("first_token_ts"),
              .last_token_s = fields.required_double("last_token_ts")};
    if (!(line.queued_s <= line.scheduled_s && line.scheduled_s <= line.first_token_s &&
          line.first_token_s <= line.last_token_s)) {
      fields.fail("",
                  "got times that go back, expected queued <= scheduled <= first <= last token");
    }
    RETURN_IF_ERROR(document->finish());
    lines.push_back(std::move(line));
    return {};
  });
  if (!read) return read.error();
  if (lines.empty()) {
    return unavailable(path + ": got no completed request, expected one or more");
  }
  return lines;
}

/// Flags that meta.json leaves open are vLLM's defaults; null is as absent.
Status read_meta(const std::string& path, MeasuredLoad& load, std::string& dataset) {
  const auto text = read_file(path);
  if (!text) return text.error();
  auto document = Document::parse_json(path, *text);
  if (!document) return std::move(document).error();
  document->ignore_unknown_keys();
  const Fields root = document->root();
  load.engine = "vllm " + root.optional_string("vllm_version").value_or("unknown");
  load.model = root.optional_string("model").value_or("unknown");
  dataset = root.optional_string("dataset_path").value_or("");
  const Fields arguments = root.required_object("engine_kwargs");
  load.model += ", " + arguments.optional_string("dtype").value_or("auto") + ", tensor parallel " +
                std::to_string(arguments.optional_int("tensor_parallel_size").value_or(1));
  load.config.async_scheduling = true;
  for (const scheduler::ConfigField& field : scheduler::config_fields()) {
    const std::string flag(field.flag);
    if (flag.empty() || !arguments.has(flag) || arguments.raw(flag).is_null()) continue;
    const nlohmann::json& raw = arguments.raw(flag);
    scheduler::FieldValue value;
    if (raw.is_boolean()) value = raw.get<bool>();
    if (raw.is_number_integer()) value = raw.get<int64_t>();
    if (raw.is_string()) value = raw.get<std::string>();
    const Status status = scheduler::set(load.config, field, value);
    if (!status) return Error(status.error()).with_context(path + ": engine_kwargs." + flag);
  }
  RETURN_IF_ERROR(document->finish());
  return add_digest(path, load);
}

/// What meta.json does not say: lengths that suffice, and a pool that never runs full.
void assume_room(const std::vector<Line>& lines, MeasuredLoad& load) {
  scheduler::Config& config = load.config;
  std::vector<int64_t> tokens;
  for (const Line& line : lines) tokens.push_back(line.prompt_tokens + line.output_tokens);
  std::sort(tokens.rbegin(), tokens.rend());
  config.max_model_len = static_cast<int32_t>(std::min<int64_t>(tokens.front() + 1, INT32_MAX));
  if (config.num_blocks > 0) return;
  config.num_blocks = 2;
  for (size_t i = 0; i < tokens.size() && i < static_cast<size_t>(config.max_num_seqs); ++i) {
    config.num_blocks += tokens[i] / config.block_size + 2;
  }
  load.notes.push_back(
      "meta.json does not say how many KV blocks there were: " + format_count(config.num_blocks) +
      " hold the longest requests at once, so nothing is preempted");
}

/// Hashes of the prompts' blocks, line by line as the requests.
Status read_hashes(const std::string& path, MeasuredLoad& load) {
  size_t next = 0;
  return for_each_line(path, [&](int64_t number, std::string_view text) -> Status {
    auto document = Document::parse_json_line(path, number, text);
    if (!document) return std::move(document).error();
    document->ignore_unknown_keys();
    const std::vector<int64_t> ids = document->root().ints("hash_ids_16");
    const int64_t prompt_tokens = document->root().int_in("input_toks", 0, 1, INT32_MAX);
    RETURN_IF_ERROR(document->finish());
    if (next == load.requests.size()) return {};
    workload::Request& request = load.requests[next++].request;
    if (request.prompt_tokens != prompt_tokens) return {};
    request.prefix_block_size = 16;
    request.prefix_block_ids.assign(ids.begin(), ids.end());
    return {};
  });
}

/// The data set's lengths lie in the folder or above it, where there are any.
Status read_prefixes(const std::string& folder, const std::string& dataset, MeasuredLoad& load) {
  const std::string stem = std::filesystem::path(dataset).stem().string();
  std::filesystem::path place = folder;
  for (int level = 0; level < 3; ++level, place /= "..") {
    const std::filesystem::path path = place / (stem + ".lengths.jsonl");
    if (stem.empty() || !std::filesystem::exists(path)) continue;
    RETURN_IF_ERROR(read_hashes(path, load));
    load.notes.emplace_back("prompts share the blocks that the data set's hashes name");
    return add_digest(path, load);
  }
  load.notes.emplace_back("which prompts share a prefix is not known: none does");
  return {};
}

void add_requests(const std::vector<Line>& lines, MeasuredLoad& load) {
  double offset_s = lines.front().queued_s - lines.front().arrival_s;
  double first_s = lines.front().arrival_s;
  for (const Line& line : lines) {
    offset_s = std::min(offset_s, line.queued_s - line.arrival_s);
    first_s = std::min(first_s, line.arrival_s);
  }
  for (const Line& line : lines) {
    MeasuredRequest measured;
    measured.request.name = line.name;
    measured.request.arrival_ns = std::llround((line.arrival_s - first_s) * kNs);
    measured.request.prompt_tokens = line.prompt_tokens;
    measured.request.output_tokens = line.output_tokens;
    const double arrived_s = line.arrival_s + offset_s;
    measured.times = {.ttft_s = line.first_token_s - arrived_s,
                      .e2e_s = line.last_token_s - arrived_s,
                      .queue_s = line.scheduled_s - line.queued_s,
                      .prefill_s = line.first_token_s - line.scheduled_s,
                      .decode_s = line.last_token_s - line.first_token_s};
    if (line.output_tokens > 1) {
      measured.times.tpot_s =
          *measured.times.decode_s / static_cast<double>(line.output_tokens - 1);
    }
    load.requests.push_back(std::move(measured));
  }
  load.notes.emplace_back(
      "requests arrive by the wall clock, aligned with the engine's so that the one that reached "
      "the engine soonest took no time; latencies run from there");
}

}  // namespace

Result<MeasuredLoad> read_bench_load(const std::string& folder) {
  MeasuredLoad load{.path = folder};
  std::string dataset;
  RETURN_IF_ERROR(read_meta(folder + "/meta.json", load, dataset));
  const std::string path = folder + "/" + records::run_files::kLedger;
  auto lines = read_lines(path);
  if (!lines) return std::move(lines).error();
  assume_room(*lines, load);
  add_requests(*lines, load);
  RETURN_IF_ERROR(read_prefixes(folder, dataset, load));
  std::stable_sort(load.requests.begin(), load.requests.end(), [](const auto& a, const auto& b) {
    return a.request.arrival_ns < b.request.arrival_ns;
  });
  RETURN_IF_ERROR(add_digest(path, load));
  return load;
}

}  // namespace touchstone::simulator
