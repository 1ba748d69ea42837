// server.json of a run folder: which engine ran, with which flags, model and hardware. Layout as in
// any measured run folder; read by calibrate and simulate. Thread-safe.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace touchstone::records {

struct ServerDescription {
  std::string engine = "unknown";
  std::string version = "unknown";
  std::string description;
  std::vector<std::string> command;  ///< its flags are taken from it; empty: not known
  std::string model_folder;          ///< config.json of the model; empty: not known
};

/// The text of server.json. Flags are typed: `--max-num-seqs 16` is the number
/// "max_num_seqs": 16, a bare `--enable-x` is true, `--no-x` is "x": false.
std::string server_json(const ServerDescription& description);

}  // namespace touchstone::records
