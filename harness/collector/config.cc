#include "harness/collector/config.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/document.h"
#include "base/files.h"
#include "conformance/collector_pipelines.h"

namespace touchstone::harness {
namespace {

constexpr std::array<const char*, 5> kSections = {"receivers", "processors", "exporters",
                                                  "connectors", "extensions"};

/// Old and new names (contrib issue 45339, core v0.144): binaries answer to one or both.
constexpr std::array<std::pair<const char*, const char*>, 6> kRenamed = {{
    {"otlp", "otlp_grpc"},
    {"otlphttp", "otlp_http"},
    {"spanmetrics", "span_metrics"},
    {"filelog", "file_log"},
    {"otlpjsonfile", "otlp_json_file"},
    {"loadbalancing", "load_balancing"},
}};

bool present_under_any_name(const std::string& type, const std::set<std::string>& present) {
  if (present.contains(type)) return true;
  for (const auto& [old_name, new_name] : kRenamed) {
    if (type == old_name && present.contains(new_name)) return true;
    if (type == new_name && present.contains(old_name)) return true;
  }
  return false;
}

std::string singular(const std::string& section) { return section.substr(0, section.size() - 1); }

std::string local(uint16_t port) { return "127.0.0.1:" + std::to_string(port); }

}  // namespace

Result<Components> components_of_config(const std::string& path) {
  const auto text = read_file(path);
  if (!text) return text.error();
  auto document = Document::parse_yaml(path, *text);
  if (!document) return std::move(document).error();
  Components needed;
  for (const char* section : kSections) {
    if (!document->root().has(section)) continue;
    // An empty component ("batch:") is null in YAML, so the keys are all that matters.
    for (const std::string& id : document->root().object(section).keys()) {
      needed[section].insert(id.substr(0, id.find('/')));
    }
  }
  document->root().accept_all();
  RETURN_IF_ERROR(document->finish());
  if (needed.empty()) {
    return invalid_argument(path + ": got no receivers, exporters or other components",
                            "is this a Collector configuration?");
  }
  return needed;
}

Result<std::string> pipelines_page(const std::string& path) {
  const auto text = read_file(path);
  if (!text) return text.error();
  auto document = Document::parse_yaml(path, *text);
  if (!document) return std::move(document).error();
  const Fields root = document->root();
  const std::vector<std::string> connectors = root.object("connectors").keys();
  const Fields pipelines = root.object("service").object("pipelines");
  std::string page = std::string("# TYPE ") + conformance::kCollectorPipelineFamily + " gauge\n";
  for (const std::string& name : pipelines.keys()) {
    if (name != "traces" && !name.starts_with("traces/")) continue;
    const Fields pipeline = pipelines.object(name);
    const auto add = [&](const char* part, const std::string& id) {
      page += std::string(conformance::kCollectorPipelineFamily) + "{name=\"" + id + "\",part=\"" +
              part + "\",pipeline=\"" + name + "\"} 1\n";
    };
    for (const std::string& id : pipeline.strings("processors")) add("processor", id);
    for (const std::string& id : pipeline.strings("exporters")) add("exporter", id);
    for (const std::string& id : pipeline.strings("receivers")) {
      if (std::find(connectors.begin(), connectors.end(), id) != connectors.end()) {
        add("connector", id);
      }
    }
  }
  document->root().accept_all();
  RETURN_IF_ERROR(document->finish());
  return page;
}

Result<CollectorInventory> parse_inventory(const std::string& text) {
  auto document = Document::parse_yaml("otelcol components", text);
  if (!document) return malformed(document.error().message);
  CollectorInventory inventory;
  const nlohmann::json& tree = document->tree();
  if (!tree.is_object() || !tree.contains("buildinfo")) {
    return malformed("otelcol components: got no buildinfo, expected the list of components");
  }
  inventory.version = tree["buildinfo"].value("version", std::string("unknown"));
  for (const char* section : kSections) {
    const auto list = tree.find(section);
    if (list == tree.end() || !list->is_array()) continue;
    for (const nlohmann::json& item : *list) {
      // Before 0.11x the list held bare names.
      if (item.is_string()) inventory.components[section].insert(item.get<std::string>());
      if (item.is_object() && item.contains("name") && item["name"].is_string()) {
        inventory.components[section].insert(item["name"].get<std::string>());
      }
    }
  }
  return inventory;
}

std::set<std::string> missing_components(const Components& needed, const Components& present) {
  std::set<std::string> missing;
  for (const auto& [section, types] : needed) {
    const auto found = present.find(section);
    for (const std::string& type : types) {
      if (found == present.end() || !present_under_any_name(type, found->second)) {
        missing.insert(singular(section) + " " + type);
      }
    }
  }
  return missing;
}

std::string CollectorPlaces::otlp_grpc_url() const { return "http://" + local(otlp_grpc_port); }
std::string CollectorPlaces::otlp_http_url() const { return "http://" + local(otlp_http_port); }
std::string CollectorPlaces::health_url() const { return "http://" + local(health_port) + "/"; }
std::string CollectorPlaces::own_metrics_url() const {
  return "http://" + local(own_metrics_port) + "/metrics";
}

std::map<std::string, std::string> collector_environment(const CollectorPlaces& places) {
  return {
      {"OTLP_GRPC_ENDPOINT", local(places.otlp_grpc_port)},
      {"OTLP_HTTP_ENDPOINT", local(places.otlp_http_port)},
      {"HEALTH_ENDPOINT", local(places.health_port)},
      {"OWN_METRICS_PORT", std::to_string(places.own_metrics_port)},
      {"SUBJECT_METRICS_ENDPOINT", local(places.subject_metrics_port)},
      {"SUBJECT_ADDRESS", places.subject_address},
      {"SPANS_FILE", places.spans_file},
  };
}

}  // namespace touchstone::harness
