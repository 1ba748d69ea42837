// server.json of a run folder: which engine ran, with which flags, model and hardware. Layout as in
// any measured run folder; read by calibrate and simulate. Thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"

namespace touchstone::records {

using Setting = std::variant<bool, int64_t, double, std::string>;
using Settings = std::map<std::string, Setting>;

struct ServerDescription {
  std::string engine = "unknown";
  std::string version = "unknown";
  std::string description;
  Settings flags;  ///< in vLLM's names with underscores
  Settings model;  ///< of its config.json
  Settings hardware;
};

/// A setting as JSON: a string has its quotes.
std::string setting_json(const Setting& value);
/// The flags of a command line, typed: `--max-num-seqs 16` is the number "max_num_seqs": 16, a bare
/// `--enable-x` is true, `--no-x` is "x": false.
Settings flags_of_command(const std::vector<std::string>& command);
/// The shape of the model in a Hugging Face folder; what is not there is left out.
Settings shape_of_model(const std::string& folder);
/// Cores, processor and GPUs of this machine.
Settings this_hardware();

std::string server_json(const ServerDescription& description);
/// ERRORS: kNotFound, kIo, kInvalidArgument with file and field.
Result<ServerDescription> read_server_description(const std::string& path);

}  // namespace touchstone::records
