// `touchstone report --request ID`: one request, from a run folder or from files of spans.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "cli/verb.h"

namespace touchstone::cli {

struct RequestFlags {
  std::string id;
  std::string run;
  std::vector<std::string> files;
  std::string ledger;
};

/// Adds --request, --run, --file and --ledger. `flags` outlive the app.
void add_request_flags(CLI::App& app, RequestFlags& flags);

/// Prints it in `format`, or writes it to `output`. REQUIRES: an id.
Exit report_request(const RequestFlags& flags, const std::string& format,
                    const std::string& output);

}  // namespace touchstone::cli
