#include "harness/suites/suite.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "base/document.h"
#include "base/files.h"
#include "base/text.h"
#include "base/timestamp.h"
#include "harness/stack/wires.h"
#include "http/client.h"

namespace touchstone::harness {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kPortMax = 65535;

/// Where relative paths begin, and whether what they name must be there.
struct Paths {
  std::string folder;
  bool must_exist = true;
};

/// The path at `key` as an absolute one.
std::string path_at(const Fields& fields, const std::string& key, const Paths& paths,
                    bool required) {
  const auto written = required ? fields.required_string(key) : fields.optional_string(key);
  if (!written || written->empty()) return {};
  const fs::path path = fs::path(paths.folder) / *written;
  std::error_code error;
  if (paths.must_exist && !fs::exists(path, error)) {
    fields.fail(key,
                "got " + quote(*written) + ", but there is no " + path.lexically_normal().string(),
                "paths are relative to the suite file");
  }
  return path.lexically_normal().string();
}

std::map<std::string, std::string> text_map(const Fields& fields, const std::string& key) {
  std::map<std::string, std::string> texts;
  const Fields object = fields.object(key);
  for (const std::string& name : object.keys()) texts[name] = object.required_string(name);
  return texts;
}

int64_t positive_duration(const Fields& fields, const std::string& key, int64_t fallback) {
  const auto duration = fields.optional_duration_ns(key);
  if (duration && *duration <= 0) fields.fail(key, "got 0 or less, expected a positive duration");
  return duration.value_or(fallback);
}

/// The problem with the ${…} places of `text`, or "".
std::string place_problem(const std::string& text) {
  const auto filled = fill_places(text, {{"touchstone", ""},
                                         {"subject.port", ""},
                                         {"subject.name", ""},
                                         {"subject.disk", ""},
                                         {"collector.otlp_grpc", ""},
                                         {"collector.otlp_http", ""},
                                         {"collector.otlp_http/protobuf", ""},
                                         {"collector.otlp_http/json", ""},
                                         {"run", ""},
                                         {"suite", ""}});
  return filled ? std::string() : filled.error().message;
}

LaunchSubject read_launch(const Fields& fields) {
  LaunchSubject launch;
  launch.command = fields.strings("command");
  if (launch.command.empty()) {
    fields.fail("command", "got nothing, expected the program and its arguments as a list");
  }
  for (const std::string& word : launch.command) {
    if (const std::string problem = place_problem(word); !problem.empty()) {
      fields.fail("command", problem);
    }
  }
  launch.environment = text_map(fields, "environment");
  for (const auto& [name, text] : launch.environment) {
    if (const std::string problem = place_problem(text); !problem.empty()) {
      fields.object("environment").fail(name, problem);
    }
  }
  launch.ready_path = fields.optional_string("ready_path").value_or(launch.ready_path);
  if (launch.ready_path.empty() || launch.ready_path[0] != '/') {
    fields.fail("ready_path", "got " + quote(launch.ready_path) + ", expected /PATH");
  }
  launch.ready_within_ns = positive_duration(fields, "ready_within", launch.ready_within_ns);
  launch.stop_within_ns = positive_duration(fields, "stop_within", launch.stop_within_ns);
  return launch;
}

SubjectPlan read_subject(const Fields& fields, const Paths& paths) {
  SubjectPlan subject;
  subject.name = fields.optional_string("name").value_or(subject.name);
  const std::set<std::string> taken = {kCollector, kBackend, kClient};
  if (!is_part_name(subject.name) || taken.contains(subject.name)) {
    fields.fail("name", "got " + quote(subject.name) +
                            ", expected letters, digits, `_` and `-`, and none of: " +
                            join({taken.begin(), taken.end()}, ", "));
  }
  subject.engine = fields.optional_string("engine").value_or(subject.engine);
  subject.metrics_path = fields.optional_string("metrics_path").value_or(subject.metrics_path);
  subject.model_folder = path_at(fields, "model_folder", paths, false);
  if (fields.has("launch") == fields.has("attach")) {
    fields.fail("", "got " + std::string(fields.has("launch") ? "both" : "neither") +
                        ", expected exactly one of launch and attach");
    return subject;
  }
  if (fields.has("launch")) subject.launch = read_launch(fields.object("launch"));
  if (fields.has("attach")) {
    AttachSubject attach;
    attach.url = fields.object("attach").required_string("url");
    attach.flush_within_ns =
        positive_duration(fields.object("attach"), "flush_within", attach.flush_within_ns);
    if (const auto url = http::parse_url(attach.url); !url) {
      fields.object("attach").fail("url", url.error().message, url.error().hint);
    }
    subject.attach = attach;
  }
  return subject;
}

CollectorPlan read_collector(const Fields& fields, const Paths& paths) {
  CollectorPlan plan;
  plan.config = path_at(fields, "config", paths, true);
  plan.environment = text_map(fields, "environment");
  plan.otlp_grpc_port = static_cast<uint16_t>(fields.int_in("otlp_grpc_port", 0, 0, kPortMax));
  plan.otlp_http_port = static_cast<uint16_t>(fields.int_in("otlp_http_port", 0, 0, kPortMax));
  plan.ready_within_ns = positive_duration(fields, "ready_within", plan.ready_within_ns);
  plan.stop_within_ns = positive_duration(fields, "stop_within", plan.stop_within_ns);
  return plan;
}

/// From 0 to 1.
double share(const Fields& fields, const std::string& key, double fallback) {
  const double share = fields.optional_double(key).value_or(fallback);
  if (!(share >= 0 && share <= 1)) {
    fields.fail(key, "got " + format_double(share) + ", expected a share from 0 to 1");
  }
  return share;
}

LoadPlan read_load(const Fields& fields, const Paths& paths) {
  LoadPlan load;
  load.workload = path_at(fields, "workload", paths, true);
  load.model = fields.optional_string("model").value_or("");
  load.seed = static_cast<uint64_t>(fields.int_in("seed", 0, 0, INT64_MAX));
  load.sampled_per_million = std::llround(share(fields, "sampled", 1) * 1e6);
  load.timeout_ns = positive_duration(fields, "timeout", load.timeout_ns);
  if (fields.has("clients")) load.clients = fields.int_in("clients", 1, 1, 100'000);
  if (fields.has("slow_clients")) {
    const Fields slow = fields.object("slow_clients");
    load.manners.slow_per_million = std::llround(share(slow, "share", 1) * 1e6);
    load.manners.read_pause_ns = positive_duration(slow, "read_pause", load.manners.read_pause_ns);
  }
  if (fields.has("vanishing_clients")) {
    const Fields vanishing = fields.object("vanishing_clients");
    load.manners.vanish_per_million = std::llround(share(vanishing, "share", 1) * 1e6);
    load.manners.vanish_within_ns =
        positive_duration(vanishing, "within", load.manners.vanish_within_ns);
  }
  load.samples = fields.strings("samples");
  return load;
}

conformance::Budget read_budget(const Fields& fields) {
  static const std::vector<std::pair<std::string, std::string>> kPhases = {
      {"queue", "queue"},   {"prefill", "prefill"},     {"ttft", "ttft"}, {"tpot", "tpot"},
      {"decode", "decode"}, {"inference", "inference"}, {"e2e", "e2e"}};
  conformance::Budget budget;
  const auto phase = fields.optional_enum<std::string>("phase", kPhases);
  if (!phase && !fields.has("phase")) fields.fail("phase", "missing");
  budget.phase = phase.value_or("");
  budget.quantile = fields.required_double("quantile");
  if (!(budget.quantile > 0 && budget.quantile < 1)) {
    fields.fail("quantile", "got " + format_double(budget.quantile) + ", expected 0 < q < 1");
  }
  if (!fields.has("at_most")) fields.fail("at_most", "missing, expected a duration (\"250ms\")");
  const int64_t at_most = positive_duration(fields, "at_most", kNsPerSecond);
  budget.threshold_s = static_cast<double>(at_most) / static_cast<double>(kNsPerSecond);
  budget.confidence = fields.optional_double("confidence").value_or(budget.confidence);
  if (!(budget.confidence > 0 && budget.confidence < 1)) {
    fields.fail("confidence", "got " + format_double(budget.confidence) + ", expected 0 < c < 1");
  }
  budget.min_samples = fields.int_in("min_samples", 1, 1, INT64_MAX);
  return budget;
}

/// Nanoseconds since 1970 of the end of "2027-01-31" (UTC); nullopt for anything else.
std::optional<int64_t> end_of_day_unix_ns(const std::string& date) {
  constexpr size_t kDateLength = 10;  // 2027-01-31
  const auto begin = date.size() == kDateLength ? parse_utc(date) : std::nullopt;
  if (!begin) return std::nullopt;
  return *begin + 24 * 3600 * kNsPerSecond;
}

conformance::Suppression read_suppression(const Fields& fields) {
  conformance::Suppression suppression;
  suppression.check_id = fields.required_string("check");
  if (fields.has("check") && !conformance::names_checks(suppression.check_id)) {
    fields.fail("check", "got " + quote(suppression.check_id) +
                             ", expected the id of a check or a dotted prefix of ids");
  }
  suppression.subject = fields.optional_string("subject").value_or("");
  suppression.reason = fields.required_string("reason");
  suppression.where = fields.where();
  if (trim(suppression.reason).empty() && fields.has("reason")) {
    fields.fail("reason", "got nothing, expected why this deviation is accepted");
  }
  const std::string date = fields.required_string("expires");
  const auto expires = end_of_day_unix_ns(date);
  if (!expires && fields.has("expires")) {
    fields.fail("expires", "got " + quote(date) + ", expected a date as \"2027-01-31\"");
  }
  suppression.expires_unix_ns = expires.value_or(0);
  suppression.at_most = fields.optional_int("at_most");
  return suppression;
}

/// A fault whose target is no part of the suite is an error at `fields`, key `key`.
void add_fault(const Fields& fields, const std::string& key, Result<Fault> fault, Suite& suite) {
  Status usable = fault ? check_target(*fault, suite) : Status(fault.error());
  if (!usable) return fields.fail(key, usable.error().message, usable.error().hint);
  suite.faults.push_back(std::move(*fault));
}

/// `{fault: stop, target: canary, at: 2s, for: 1s}`, as the text that the command line takes.
Result<Fault> read_fault(const Fields& fields) {
  std::string text =
      fields.required_string("fault") + ":" + fields.optional_string("target").value_or("");
  text += "@" + fields.required_string("at");
  if (const auto until = fields.optional_string("until")) {
    text += ".." + *until + "*" + std::to_string(fields.optional_int("times").value_or(1));
  }
  if (const auto lasts = fields.optional_string("for")) text += "+" + *lasts;
  const Fields with = fields.object("with");
  for (const std::string& option : with.keys()) {
    const auto& value = with.raw(option);
    text += "," + option + "=" + (value.is_string() ? value.get<std::string>() : value.dump());
  }
  return parse_fault(text);
}

BackendPlan read_backend(const Fields& fields) {
  BackendPlan plan;
  plan.ready_within_ns = positive_duration(fields, "ready_within", plan.ready_within_ns);
  plan.stop_within_ns = positive_duration(fields, "stop_within", plan.stop_within_ns);
  return plan;
}

/// Schema 1: one subject, one load, faults as text.
void read_parts_1(const Fields& root, const Paths& paths, Suite& suite) {
  suite.subjects = {read_subject(root.required_object("subject"), paths)};
  suite.loads = {read_load(root.required_object("load"), paths)};
  for (const std::string& text : root.strings("faults")) {
    add_fault(root, "faults", parse_fault(text), suite);
  }
}

void read_parts_2(const Fields& root, const Paths& paths, Suite& suite) {
  std::set<std::string> names;
  for (const Fields& fields : root.objects("subjects")) {
    suite.subjects.push_back(read_subject(fields, paths));
    const std::string& name = suite.subjects.back().name;
    if (!names.insert(name).second) fields.fail("name", "got " + quote(name) + " twice");
  }
  if (names.empty()) root.fail("subjects", "got none, expected at least one server");
  for (const Fields& fields : root.objects("loads")) {
    LoadPlan load = read_load(fields, paths);
    const auto subject = fields.optional_string("subject");
    if (!subject && names.size() > 1) fields.fail("subject", "missing: there are several");
    load.subject = subject.value_or(names.empty() ? "" : *names.begin());
    if (!names.contains(load.subject)) {
      fields.fail("subject", "got " + quote(load.subject) +
                                 ", expected one of: " + join({names.begin(), names.end()}, ", "));
    }
    suite.loads.push_back(std::move(load));
  }
  if (suite.loads.empty()) root.fail("loads", "got none, expected what to send");
  suite.answered_share = share(root, "answered_share", suite.answered_share);
  if (root.has("backend")) suite.backend = read_backend(root.object("backend"));
  suite.count_hops = root.optional_bool("count_hops").value_or(false);
  root.object("matrix").accept_all();  // read_cells() reads it
  for (const Fields& fields : root.objects("faults")) {
    add_fault(fields, "", read_fault(fields), suite);
  }
}

void read_profiles(const Fields& root, Suite& suite) {
  const auto resolved = [&](const std::string& name) {
    const bool is_path = name.find('/') != std::string::npos || name.ends_with(".yaml");
    return is_path ? (fs::path(suite.folder) / name).lexically_normal().string() : name;
  };
  for (const std::string& name : root.strings("profiles")) {
    suite.profiles.push_back(resolved(name));
  }
  if (suite.profiles.empty()) {
    return root.fail("profiles", "got none, expected at least one profile to judge by");
  }
  const auto primary = root.optional_string("primary");
  suite.primary = primary ? resolved(*primary) : suite.profiles.front();
  if (std::find(suite.profiles.begin(), suite.profiles.end(), suite.primary) ==
      suite.profiles.end()) {
    root.fail("primary", "got " + quote(*primary) + ", expected one of the profiles");
  }
}

Result<Suite> read_suite_file(const std::string& path, const Paths& paths, const Cell& cell) {
  const auto written = read_file(path);
  if (!written) return written.error();
  auto text = with_cell(path, *written, cell);
  if (!text) return std::move(text).error();
  auto document = Document::parse_yaml(path, *text);
  if (!document) return std::move(document).error();
  Suite suite;
  suite.text = std::move(*text);
  suite.file = path;
  suite.folder = paths.folder;
  const Fields root = document->root();
  const int64_t schema = root.required_int("schema");
  if (root.has("schema") && (schema < 1 || schema > kSuiteSchemaVersion)) {
    root.fail("schema", "got " + std::to_string(schema) + ", expected 1 to " +
                            std::to_string(kSuiteSchemaVersion));
  }
  suite.name = root.required_string("name");
  suite.title = root.optional_string("title").value_or(suite.name);
  suite.collector = read_collector(root.required_object("collector"), paths);
  (schema == 1 ? read_parts_1 : read_parts_2)(root, paths, suite);
  read_profiles(root, suite);
  for (const Fields& budget : root.objects("budgets")) {
    suite.budgets.push_back(read_budget(budget));
  }
  for (const Fields& item : root.objects("suppressions")) {
    suite.suppressions.push_back(read_suppression(item));
  }
  RETURN_IF_ERROR(document->finish());
  return suite;
}

std::string folder_of(const std::string& path) {
  std::error_code error;
  return fs::absolute(path, error).parent_path().string();
}

}  // namespace

std::string file_name_of(const SubjectPlan& subject, const Suite& suite) {
  return suite.subjects.size() == 1 ? "" : subject.name;
}

Result<Suite> read_suite(const std::string& path, const Cell& cell) {
  return read_suite_file(path, {.folder = folder_of(path)}, cell);
}

Result<Suite> read_recorded_suite(const std::string& path, const std::string& original) {
  return read_suite_file(path, {.folder = folder_of(original), .must_exist = false}, {});
}

Status check_target(const Fault& fault, const Suite& suite) {
  using Target = FaultKind::Target;
  const Target target = fault.kind->target;
  std::vector<std::string> names;
  if (target == Target::kProcess || target == Target::kDisk) {
    names.emplace_back(kCollector);
    for (const SubjectPlan& subject : suite.subjects) {
      if (!subject.attach) names.push_back(subject.name);
    }
    if (suite.backend && target == Target::kProcess) names.emplace_back(kBackend);
  } else {
    for (const WirePlan& wire : possible_wires(suite)) {
      if (wire.otlp || target != Target::kOtlp) names.push_back(wire.name());
    }
  }
  if (std::find(names.begin(), names.end(), fault.target) != names.end()) return {};
  return invalid_argument(
      "fault " + quote(fault.text) + ": got the target " + quote(fault.target) + ", expected " +
          (names.empty() ? "one that the suite starts" : "one of: " + join(names, ", ")),
      std::string(fault.kind->word) + " acts on " + to_string(fault.kind->target) +
          ", and only what the suite starts " + "can be made to fail");
}

Result<std::string> fill_places(const std::string& text,
                                const std::map<std::string, std::string>& values) {
  std::string filled;
  size_t done = 0;
  for (size_t at = text.find("${"); at != std::string::npos; at = text.find("${", done)) {
    const size_t end = text.find('}', at);
    if (end == std::string::npos) {
      return invalid_argument("got " + quote(text) + ", expected `}` after `${`");
    }
    const std::string name = text.substr(at + 2, end - at - 2);
    const auto value = values.find(name);
    if (value == values.end()) {
      std::vector<std::string> names;
      for (const auto& [known, unused] : values) names.push_back(known);
      return invalid_argument("got ${" + name + "}, expected one of ${" + join(names, "}, ${") +
                              "}");
    }
    filled += text.substr(done, at - done) + value->second;
    done = end + 1;
  }
  return filled + text.substr(done);
}

}  // namespace touchstone::harness
