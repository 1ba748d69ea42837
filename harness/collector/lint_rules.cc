#include "harness/collector/lint_rules.h"

#include <algorithm>
#include <regex>

#include "base/text.h"

namespace touchstone::harness {
namespace {

using Level = LintFinding::Level;

std::string type_of(const std::string& id) { return id.substr(0, id.find('/')); }

struct Renamed {
  const char* section;
  const char* old_type;
  const char* new_type;
  Level level;
  const char* since;
};
constexpr Renamed kRenamed[] = {
    {"exporters", "logging", "debug", Level::kError, "removed in v0.111"},
    {"exporters", "otlp", "otlp_grpc", Level::kWarning, "deprecated since v0.144"},
    {"exporters", "otlphttp", "otlp_http", Level::kWarning, "deprecated since v0.144"},
    {"connectors", "spanmetrics", "span_metrics", Level::kWarning, "deprecated in 2026"},
};

void renamed_components(LintPass& pass) {
  for (const Renamed& row : kRenamed) {
    for (const auto& [key, value] : pass.components(row.section, row.old_type)) {
      const std::string id = row.new_type + key.Scalar().substr(std::string(row.old_type).size());
      const bool taken = entry_of(pass.section(row.section), id).first.IsDefined();
      const bool fixed = !taken && pass.rename(row.section, key, id);
      pass.find(row.level, "component.renamed", key,
                std::string(row.section) + ": got " + quote(key.Scalar()) + " (" + row.since +
                    "), expected " + quote(id),
                fixed);
    }
  }
}

/// `loglevel: debug` of the former logging exporter.
void debug_loglevel(LintPass& pass) {
  for (const char* type : {"logging", "debug"}) {
    for (const auto& [id, body] : pass.components("exporters", type)) {
      const auto [key, value] = entry_of(body, "loglevel");
      if (!key.IsDefined() || !value.IsScalar()) continue;
      const std::string& level = value.Scalar();
      const std::string verbosity = level == "debug"  ? "detailed"
                                    : level == "info" ? "normal"
                                                      : "basic";
      const bool fixed = pass.yaml().replace_scalar(key, "verbosity") &&
                         pass.yaml().replace_scalar(value, verbosity);
      pass.find(Level::kError, "debug.loglevel", key,
                "exporters." + id.Scalar() + ": got loglevel: " + level +
                    " (removed in v0.111), expected verbosity: " + verbosity,
                fixed);
    }
  }
}

void removed_components(LintPass& pass) {
  const struct {
    const char* section;
    const char* type;
    const char* instead;
  } rows[] = {{"extensions", "memory_ballast", "the environment variable GOMEMLIMIT"},
              {"exporters", "jaeger", "otlp_grpc to Jaeger's port 4317"},
              {"exporters", "loki", "otlp_http to Loki's /otlp"}};
  for (const auto& row : rows) {
    for (const auto& [key, value] : pass.components(row.section, row.type)) {
      pass.find(Level::kError, "component.removed", key,
                std::string(row.section) + ": got " + quote(key.Scalar()) +
                    ", which is no more; use " + row.instead,
                false);
    }
  }
}

void telemetry_address(LintPass& pass) {
  const YAML::Node telemetry = entry_of(pass.section("service"), "telemetry").second;
  const YAML::Node metrics = entry_of(telemetry, "metrics").second;
  const auto [key, value] = entry_of(metrics, "address");
  if (!key.IsDefined() || !value.IsScalar()) return;
  const std::string& address = value.Scalar();
  const size_t colon = address.rfind(':');
  const std::string host =
      colon == 0 || colon == std::string::npos ? "0.0.0.0" : address.substr(0, colon);
  const std::string port = address.substr(colon == std::string::npos ? 0 : colon + 1);
  const bool free = !entry_of(metrics, "readers").first.IsDefined() && parse_int(port).has_value();
  const bool fixed =
      free && pass.yaml().replace_entry(key, value,
                                        "readers:\n  - pull:\n      exporter:\n"
                                        "        prometheus:\n          host: " +
                                            host + "\n          port: " + port + "\n");
  pass.find(Level::kError, "telemetry.address", key,
            "service.telemetry.metrics: got address: " + address +
                " (removed in v0.123), expected readers with a pull exporter",
            fixed);
}

/// Items of a resource or attributes processor.
void environment_key(LintPass& pass) {
  constexpr char kOld[] = "deployment.environment";
  constexpr char kNew[] = "deployment.environment.name";
  for (const char* type : {"resource", "attributes"}) {
    const char* list = type == std::string("resource") ? "attributes" : "actions";
    for (const auto& [id, body] : pass.components("processors", type)) {
      const YAML::Node items = entry_of(body, list).second;
      if (!items.IsDefined() || !items.IsSequence()) continue;
      YAML::Node old_key;
      bool has_new = false;
      for (const YAML::Node& item : items) {
        const YAML::Node name = entry_of(item, "key").second;
        if (!name.IsDefined() || !name.IsScalar()) continue;
        if (name.Scalar() == kOld) old_key.reset(name);
        has_new |= name.Scalar() == kNew;
      }
      if (has_new || !old_key.IsScalar()) continue;
      const bool fixed = pass.yaml().replace_scalar(old_key, kNew);
      pass.find(Level::kWarning, "attribute.renamed", old_key,
                "processors." + id.Scalar() + ": got " + kOld + ", expected " + kNew +
                    " (semantic conventions 1.27), or both",
                fixed);
    }
  }
}

/// A condition of the old form names a span's fields bare; with inferred context they have a path.
std::string with_span_context(const std::string& condition) {
  static const std::regex kBare(
      R"((^|[^A-Za-z0-9_.\"])(attributes|name|kind|status|trace_id|span_id|parent_span_id|trace_state|start_time_unix_nano|end_time_unix_nano|events|links)(?=[\[.\s=!<>),]|$))");
  // What is in quotes is a text, not a field.
  std::string result;
  const std::vector<std::string> parts = split(condition, '"');
  for (size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) result += '"';
    result += i % 2 == 1 ? parts[i] : std::regex_replace(parts[i], kBare, "$1span.$2");
  }
  return result;
}

void filter_blocks(LintPass& pass) {
  for (const auto& [id, body] : pass.components("processors", "filter")) {
    if (!body.IsMap()) continue;
    if (!entry_of(body, "error_mode").first.IsDefined()) {
      const bool fixed = pass.yaml().insert_first(id, body, "error_mode: ignore\n");
      pass.find(Level::kWarning, "filter.error_mode", id,
                "processors." + id.Scalar() +
                    ": got no error_mode; before v0.158 a condition that fails drops the batch, "
                    "since then it is ignored: write which one is meant",
                fixed);
    }
    const auto [key, value] = entry_of(body, "traces");
    const YAML::Node conditions = entry_of(value, "span").second;
    if (!key.IsDefined() || !conditions.IsDefined() || !conditions.IsSequence()) continue;
    std::string lines = "trace_conditions:\n";
    bool plain = value.size() == 1;
    for (const YAML::Node& condition : conditions) {
      plain &= condition.IsScalar() && condition.Scalar().find('\n') == std::string::npos;
      if (plain)
        lines += "  - '" +
                 std::regex_replace(with_span_context(condition.Scalar()), std::regex("'"), "''") +
                 "'\n";
    }
    const bool fixed = plain && pass.yaml().replace_entry(key, value, lines);
    pass.find(Level::kWarning, "filter.blocks", key,
              "processors." + id.Scalar() +
                  ": got traces: span:, deprecated; expected trace_conditions with span.… paths",
              fixed);
  }
}

void queue_keys(LintPass& pass) {
  for (const auto& exporter : pass.section("exporters")) {
    const YAML::Node queue = entry_of(exporter.second, "sending_queue").second;
    const auto [blocking, value] = entry_of(queue, "blocking");
    if (blocking.IsDefined()) {
      pass.find(Level::kError, "queue.blocking", blocking,
                "exporters." + exporter.first.Scalar() +
                    ".sending_queue: got blocking (removed in v0.129), expected block_on_overflow",
                pass.yaml().replace_scalar(blocking, "block_on_overflow"));
    }
    const YAML::Node batcher = entry_of(exporter.second, "batcher").first;
    if (batcher.IsDefined()) {
      pass.find(Level::kError, "exporter.batcher", batcher,
                "exporters." + exporter.first.Scalar() +
                    ": got batcher (removed in v0.130), expected sending_queue.batch",
                false);
    }
  }
}

void visit_scalars(const YAML::Node& node, const std::function<void(const YAML::Node&)>& visit) {
  if (node.IsScalar()) visit(node);
  if (node.IsSequence()) {
    for (const YAML::Node& item : node) visit_scalars(item, visit);
  }
  if (node.IsMap()) {
    for (const auto& entry : node) visit_scalars(entry.second, visit);
  }
}

void variables(LintPass& pass) {
  static const std::regex kBraced(R"(\$\{([A-Za-z_][A-Za-z0-9_]*)\})");
  static const std::regex kBare(R"((^|[^$])\$([A-Z_][A-Z0-9_]*))");
  visit_scalars(pass.yaml().root(), [&](const YAML::Node& scalar) {
    const std::string& text = scalar.Scalar();
    const bool bare = std::regex_search(text, kBare);
    if (!bare && !std::regex_search(text, kBraced)) return;
    const std::string written =
        std::regex_replace(std::regex_replace(text, kBraced, "${env:$1}"), kBare, "$1${env:$2}");
    const std::string quoted = '"' + written + '"';
    const bool fixed = text.find_first_of("\"\\\n") == std::string::npos &&
                       pass.yaml().replace_scalar(scalar, quoted);
    pass.find(bare ? Level::kError : Level::kWarning, "variable.form", scalar,
              "got " + quote(text) + ", expected " + quote(written) +
                  (bare ? " ($NAME is no variable since v0.107)" : ""),
              fixed);
  });
}

void listeners(LintPass& pass) {
  for (const auto& [id, body] : pass.components("receivers", "otlp")) {
    for (const auto& protocol : entry_of(body, "protocols").second) {
      if (entry_of(protocol.second, "endpoint").first.IsDefined()) continue;
      pass.find(Level::kNote, "receiver.localhost", protocol.first,
                "receivers." + id.Scalar() + ".protocols." + protocol.first.Scalar() +
                    ": no endpoint means localhost since v0.104; a container needs 0.0.0.0",
                false);
    }
  }
}

}  // namespace

std::pair<YAML::Node, YAML::Node> entry_of(const YAML::Node& mapping, const std::string& key) {
  const YAML::Node none(YAML::NodeType::Undefined);
  if (!mapping.IsDefined() || !mapping.IsMap()) return {none, none};
  for (const auto& entry : mapping) {
    if (entry.first.IsScalar() && entry.first.Scalar() == key) return {entry.first, entry.second};
  }
  return {none, none};
}

YAML::Node LintPass::section(const char* name) const { return entry_of(yaml_.root(), name).second; }

std::vector<std::pair<YAML::Node, YAML::Node>> LintPass::components(const char* section,
                                                                    const std::string& type) const {
  std::vector<std::pair<YAML::Node, YAML::Node>> found;
  const YAML::Node all = this->section(section);
  if (!all.IsDefined() || !all.IsMap()) return found;
  for (const auto& entry : all) {
    if (type_of(entry.first.Scalar()) == type) found.emplace_back(entry.first, entry.second);
  }
  return found;
}

std::vector<std::pair<std::string, YAML::Node>> LintPass::pipelines() const {
  std::vector<std::pair<std::string, YAML::Node>> found;
  const YAML::Node all = entry_of(section("service"), "pipelines").second;
  if (!all.IsDefined() || !all.IsMap()) return found;
  for (const auto& entry : all) found.emplace_back(entry.first.Scalar(), entry.second);
  return found;
}

bool LintPass::rename(const char* section, const YAML::Node& key, const std::string& id) {
  // A connector is an exporter of one pipeline and a receiver of another.
  const std::string roles = section == std::string("connectors") ? "receivers exporters" : section;
  bool good = yaml_.replace_scalar(key, id);
  for (const auto& [name, pipeline] : pipelines()) {
    for (const std::string& role : split(roles, ' ')) {
      for (const YAML::Node& item : entry_of(pipeline, role).second) {
        if (item.Scalar() == key.Scalar()) good = yaml_.replace_scalar(item, id) && good;
      }
    }
  }
  return good;
}

void LintPass::find(LintFinding::Level level, const char* rule, const YAML::Node& at,
                    std::string message, bool fixed) {
  findings_.push_back({level, rule, YamlText::line_of(at), std::move(message), fixed});
}

const std::vector<void (*)(LintPass&)>& lint_rules() {
  static const std::vector<void (*)(LintPass&)> kRules = {
      debug_loglevel,    renamed_components, removed_components, telemetry_address,
      environment_key,   filter_blocks,      queue_keys,         variables,
      listeners,         batch_before_queue, file_forgets,       sampling_before_file,
      limiter_not_first,
  };
  return kRules;
}

}  // namespace touchstone::harness
