#include "records/server_description.h"

#include <unistd.h>

#include <algorithm>

#include "base/files.h"
#include "base/json_text.h"
#include "base/nvml.h"
#include "base/text.h"
#include "records/field_table.h"

namespace touchstone::records {

template <typename Visitor, OneOf<ServerDescription> Struct>
void visit_fields(Visitor& visit, Struct& server) {
  visit.always("engine", server.engine);
  visit.always("version", server.version);
  visit.always("description", server.description);
  visit.always("flags", server.flags);
  visit.optional("model", server.model);
  visit.optional("hardware", server.hardware);
}

namespace {

using Setting = Settings::mapped_type;

Setting typed(const std::string& text) {
  if (const auto number = parse_int(text)) return *number;
  if (const auto number = parse_double(text)) return *number;
  if (text == "true") return true;
  if (text == "false") return false;
  return text;
}

}  // namespace

std::string setting_json(const Setting& value) {
  std::string text;
  JsonText json(text);
  if (const auto* flag = std::get_if<bool>(&value)) {
    json.boolean(*flag);
  } else if (const auto* number = std::get_if<int64_t>(&value)) {
    json.integer(*number);
  } else if (const auto* real = std::get_if<double>(&value)) {
    json.number(*real);
  } else {
    json.string(std::get<std::string>(value));
  }
  return text;
}

Settings flags_of_command(const std::vector<std::string>& command) {
  Settings flags;
  for (size_t i = 0; i < command.size(); ++i) {
    if (!command[i].starts_with("--")) continue;
    const size_t equals = command[i].find('=');
    std::string name = command[i].substr(2, equals == std::string::npos ? equals : equals - 2);
    std::replace(name.begin(), name.end(), '-', '_');
    if (equals != std::string::npos) {
      flags[name] = typed(command[i].substr(equals + 1));
    } else if (i + 1 < command.size() && !command[i + 1].starts_with("--")) {
      flags[name] = typed(command[++i]);
    } else if (name.starts_with("no_")) {
      flags[name.substr(3)] = false;
    } else {
      flags[name] = true;
    }
  }
  return flags;
}

Settings shape_of_model(const std::string& folder) {
  Settings shape;
  const auto text = read_file(folder + "/config.json");
  if (!text) return shape;
  const auto config = nlohmann::json::parse(*text, nullptr, false);
  if (!config.is_object()) return shape;
  const auto architectures = config.find("architectures");
  if (architectures != config.end() && architectures->is_array() && !architectures->empty() &&
      architectures->front().is_string()) {
    shape["architecture"] = architectures->front().get<std::string>();
  }
  for (const char* key : {"vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers",
                          "num_attention_heads", "num_key_value_heads", "torch_dtype", "dtype"}) {
    const auto found = config.find(key);
    if (found == config.end()) continue;
    if (found->is_number_integer()) shape[key] = found->get<int64_t>();
    if (found->is_string()) shape[key] = found->get<std::string>();
  }
  return shape;
}

Settings this_hardware() {
  Settings found = {{"cores", int64_t{::sysconf(_SC_NPROCESSORS_ONLN)}}};
  if (const auto text = read_file("/proc/cpuinfo")) {
    for (const std::string& line : split(*text, '\n')) {
      if (!line.starts_with("model name")) continue;
      const size_t colon = line.find(':');
      if (colon != std::string::npos) found["cpu"] = std::string(trim(line.substr(colon + 1)));
      break;
    }
  }
  const auto gpus = read_gpus();
  if (gpus && !gpus->empty()) {
    found["gpu"] = gpus->front().name;
    found["gpu_driver"] = gpus->front().driver;
    found["gpus"] = static_cast<int64_t>(gpus->size());
  }
  return found;
}

std::string server_json(const ServerDescription& description) {
  return fields_to_json(description).dump(1, ' ', false, nlohmann::json::error_handler_t::replace) +
         "\n";
}

Result<ServerDescription> read_server_description(const std::string& path) {
  const auto text = read_file(path);
  if (!text) return text.error();
  auto document = Document::parse_json(path, *text);
  if (!document) return std::move(document).error();
  document->ignore_unknown_keys();
  auto server = fields_from<ServerDescription>(document->root());
  RETURN_IF_ERROR(document->finish());
  return server;
}

}  // namespace touchstone::records
