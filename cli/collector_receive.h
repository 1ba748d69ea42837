// `touchstone collector receive`: an OTLP/gRPC receiver that writes a file, for whoever needs
// something behind a Collector or an exporter.
#pragma once

#include <string>

#include "cli/verb.h"

namespace touchstone::cli {

struct ReceiveFlags {
  std::string listen = "127.0.0.1:4317";  ///< HOST:PORT
  std::string spans;                      ///< file; emptied first
};

/// Until SIGINT or SIGTERM. What is acknowledged is in the file.
Exit receive_spans(const ReceiveFlags& flags);

}  // namespace touchstone::cli
