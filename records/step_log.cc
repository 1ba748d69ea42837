#include "records/step_log.h"

#include <utility>

#include "base/check.h"
#include "base/document.h"
#include "base/files.h"
#include "base/json_text.h"
#include "records/field_table.h"

namespace touchstone::records {
namespace {

constexpr const char* kVersionKey = "step_log";

/// What its id is of.
const char* id_key(StepInput::Kind kind) {
  if (kind == StepInput::Kind::kResetPrefixCache) return "preempt";
  return kind == StepInput::Kind::kComplete ? "step" : "id";
}

/// Ids are unsigned; a negative one is a broken log, never a large number.
uint64_t read_id(const Fields& fields, const std::string& key) {
  const int64_t id = fields.required_int(key);
  if (id < 0) fields.fail(key, "got " + std::to_string(id) + ", expected an id >= 0");
  return static_cast<uint64_t>(id);
}

StepLogHeader read_header(const Fields& root) {
  const int64_t version = root.required_int(kVersionKey);
  if (version != kStepLogVersion) {
    root.fail(kVersionKey, "got version " + std::to_string(version) + ", expected " +
                               std::to_string(kStepLogVersion));
  }
  StepLogHeader header;
  header.engine = root.required_string("engine");
  header.clock = root.required_string("clock");
  read_scalars(root, header.config);
  for (const char* const ours : {kVersionKey, "engine", "clock"}) header.config.erase(ours);
  return header;
}

StepInput read_input(const Fields& fields) {
  StepInput input;
  input.kind = fields
                   .optional_enum<StepInput::Kind>(
                       "kind", {{"arrive", StepInput::Kind::kArrive},
                                {"abort", StepInput::Kind::kAbort},
                                {"complete", StepInput::Kind::kComplete},
                                {"reset_prefix_cache", StepInput::Kind::kResetPrefixCache}})
                   .value_or(StepInput::Kind::kArrive);
  if (!fields.has("kind")) fields.fail("", "missing key \"kind\"");
  input.id = read_id(fields, id_key(input.kind));
  input.time_ns = fields.required_int("time_ns");
  return input;
}

StepEntry read_entry(const Fields& fields) {
  StepEntry entry;
  entry.id = read_id(fields, "id");
  entry.computed = fields.required_int("computed");
  entry.scheduled = fields.required_int("scheduled");
  entry.samples = fields.optional_bool("samples").value_or(false);
  entry.cached = fields.optional_int("cached").value_or(0);
  entry.prefill = fields.optional_bool("prefill").value_or(false);
  return entry;
}

StepRecord read_step(const Fields& root) {
  StepRecord step;
  step.step = root.required_int("step");
  step.start_ns = root.required_int("start_ns");
  step.planned_ns = root.optional_int("planned_ns").value_or(step.start_ns);
  step.duration_ns = root.required_int("duration_ns");
  for (const Fields& input : root.objects("inputs")) step.inputs.push_back(read_input(input));
  for (const Fields& entry : root.objects("requests")) step.requests.push_back(read_entry(entry));
  for (const int64_t id : root.ints("preempted")) {
    if (id < 0) root.fail("preempted", "got " + std::to_string(id) + ", expected ids >= 0");
    step.preempted.push_back(static_cast<uint64_t>(id));
  }
  for (const Fields& finish : root.objects("finished")) {
    step.finished.push_back({read_id(finish, "id"), finish.required_string("reason")});
  }
  step.running = root.required_int("running");
  step.waiting = root.required_int("waiting");
  step.free_blocks = root.required_int("free_blocks");
  step.cached_blocks = root.required_int("cached_blocks");
  return step;
}

}  // namespace

const char* to_string(StepInput::Kind kind) {
  switch (kind) {
    case StepInput::Kind::kArrive:
      return "arrive";
    case StepInput::Kind::kAbort:
      return "abort";
    case StepInput::Kind::kComplete:
      return "complete";
    case StepInput::Kind::kResetPrefixCache:
      return "reset_prefix_cache";
  }
  BASE_CHECK(false, static_cast<int>(kind));
}

std::string to_json_line(const StepLogHeader& header) {
  std::string line;
  JsonText json(line);
  json.begin_object();
  json.key(kVersionKey).integer(kStepLogVersion);
  json.key("engine").string(header.engine);
  json.key("clock").string(header.clock);
  for (const auto& [name, value] : header.config) {
    json.key(name).raw(setting_json(value));
  }
  json.end_object();
  return line;
}

std::string to_json_line(const StepRecord& record) {
  std::string line;
  line.reserve(160 + 64 * (record.requests.size() + record.inputs.size()));
  JsonText json(line);
  json.begin_object();
  json.key("step").integer(record.step);
  if (record.planned_ns != record.start_ns) json.key("planned_ns").integer(record.planned_ns);
  json.key("start_ns").integer(record.start_ns);
  json.key("duration_ns").integer(record.duration_ns);
  json.key("inputs").begin_array();
  for (const StepInput& input : record.inputs) {
    json.begin_object().key("kind").string(to_string(input.kind));
    json.key(id_key(input.kind)).unsigned_integer(input.id);
    json.key("time_ns").integer(input.time_ns).end_object();
  }
  json.end_array().key("requests").begin_array();
  for (const StepEntry& entry : record.requests) {
    json.begin_object().key("id").unsigned_integer(entry.id);
    json.key("computed").integer(entry.computed).key("scheduled").integer(entry.scheduled);
    if (entry.samples) json.key("samples").boolean(true);
    if (entry.cached != 0) json.key("cached").integer(entry.cached);
    if (entry.prefill) json.key("prefill").boolean(true);
    json.end_object();
  }
  json.end_array().key("preempted").begin_array();
  for (const uint64_t id : record.preempted) json.unsigned_integer(id);
  json.end_array().key("finished").begin_array();
  for (const StepFinish& finish : record.finished) {
    json.begin_object().key("id").unsigned_integer(finish.id);
    json.key("reason").string(finish.reason).end_object();
  }
  json.end_array();
  json.key("running").integer(record.running).key("waiting").integer(record.waiting);
  json.key("free_blocks").integer(record.free_blocks);
  json.key("cached_blocks").integer(record.cached_blocks);
  json.end_object();
  return line;
}

Result<StepLog> read_step_log(const std::string& path) {
  StepLog log;
  bool has_header = false;
  Status status = for_each_line(path, [&](int64_t number, std::string_view line) -> Status {
    Result<Document> document = Document::parse_json_line(path, number, line);
    if (!document) return invalid_argument(document.error().message, "is the file cut short?");
    document->ignore_unknown_keys();
    if (has_header) {
      log.steps.push_back(read_step(document->root()));
    } else {
      log.header = read_header(document->root());
      has_header = true;
    }
    return document->finish();
  });
  if (!status) return std::move(status).error();
  if (!has_header) {
    return invalid_argument(path + ": got an empty file, expected a step log with its header line");
  }
  return log;
}

}  // namespace touchstone::records
