#include "records/server_description.h"

#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "base/text.h"

namespace touchstone::records {
namespace {

using Json = nlohmann::ordered_json;

Json typed(const std::string& text) {
  if (const auto number = parse_int(text)) return *number;
  if (const auto number = parse_double(text)) return *number;
  if (text == "true") return true;
  if (text == "false") return false;
  return text;
}

Json flags_of(const std::vector<std::string>& command) {
  Json flags = Json::object();
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

/// The shape of the model, from its config.json; what is not there is left out.
Json model_of(const std::string& folder) {
  Json model = Json::object();
  const auto text = read_file(folder + "/config.json");
  if (!text) return model;
  const Json config = Json::parse(*text, nullptr, false);
  if (config.is_discarded() || !config.is_object()) return model;
  if (config.contains("architectures") && config["architectures"].is_array() &&
      !config["architectures"].empty()) {
    model["architecture"] = config["architectures"][0];
  }
  for (const char* key : {"vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers",
                          "num_attention_heads", "num_key_value_heads", "torch_dtype", "dtype"}) {
    if (config.contains(key)) model[key] = config[key];
  }
  return model;
}

Json hardware() {
  Json found = {{"cores", ::sysconf(_SC_NPROCESSORS_ONLN)}};
  if (const auto text = read_file("/proc/cpuinfo")) {
    for (const std::string& line : split(*text, '\n')) {
      if (!line.starts_with("model name")) continue;
      const size_t colon = line.find(':');
      if (colon != std::string::npos) found["cpu"] = std::string(trim(line.substr(colon + 1)));
      break;
    }
  }
  return found;
}

}  // namespace

std::string server_json(const ServerDescription& description) {
  Json server = {{"engine", description.engine},
                 {"version", description.version},
                 {"description", description.description},
                 {"flags", flags_of(description.command)}};
  if (!description.model_folder.empty()) server["model"] = model_of(description.model_folder);
  server["hardware"] = hardware();
  return server.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace touchstone::records
