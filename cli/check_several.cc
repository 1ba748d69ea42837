#include "cli/check_several.h"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <filesystem>
#include <map>

#include "base/text.h"
#include "cli/collector_search.h"
#include "cli/output.h"
#include "harness/several.h"
#include "harness/shipped.h"

namespace touchstone::cli {
namespace {

/// "dialects.vllm.grpc": the suite's file and the words of the cell, as a name of a folder.
std::string name_of(const SuiteCell& run) {
  std::string name = std::filesystem::path(run.suite).stem().string();
  for (const auto& [axis, word] : run.cell) name += "." + word;
  for (char& c : name) {
    const bool plain =
        c == '.' || c == '-' || c == '_' || std::isalnum(static_cast<unsigned char>(c)) != 0;
    if (!plain) c = '-';
  }
  return name;
}

harness::SuiteRun run_of(const SuiteCell& suite, const std::string& name,
                         const SeveralOptions& options) {
  harness::SuiteRun run{.name = name,
                        .argv = {harness::program_path(), "check", suite.suite},
                        .environment = {},
                        .output = options.output + "/" + name};
  run.argv.insert(run.argv.end(), {"--output", run.output});
  if (!suite.cell.empty()) run.argv.insert(run.argv.end(), {"--cell", harness::to_string(suite.cell)});
  run.argv.insert(run.argv.end(), options.flags.begin(), options.flags.end());
  for (const std::string& header : options.access.headers) {
    run.argv.insert(run.argv.end(), {"--header", header});
  }
  if (!options.access.tls.ca_file.empty()) {
    run.argv.insert(run.argv.end(), {"--ca-file", options.access.tls.ca_file});
  }
  if (options.access.tls.insecure) run.argv.emplace_back("--insecure");
  // Not on a command line, which others can read.
  if (!options.access.api_key.empty()) run.environment["OPENAI_API_KEY"] = options.access.api_key;
  return run;
}

const char* verdict_of(const harness::ExitStatus& status) {
  if (status.good()) return "PASS";
  return status.code == 1 ? "FAIL" : "UNKNOWN";
}

}  // namespace

Exit check_several(const SeveralOptions& options) {
  std::vector<harness::SuiteRun> runs;
  std::map<std::string, int> names;
  size_t width = 0;
  for (const SuiteCell& suite : options.suites) {
    std::string name = name_of(suite);
    if (const int again = ++names[name]; again > 1) name += "-" + std::to_string(again);
    width = std::max(width, name.size());
    runs.push_back(run_of(suite, name, options));
  }
  auto supervisor = Supervisor::start();
  if (!supervisor) return report_error(supervisor.error());
  std::fprintf(stderr, "check: %zu runs, %zu at a time\n", runs.size(),
               std::min(options.jobs, runs.size()));
  const auto ends = harness::run_several(
      runs, options.jobs,
      [](const harness::SuiteEnd& end) {
        std::fprintf(stderr, "%s: %s\n", end.name.c_str(), verdict_of(end.status));
      },
      (*supervisor)->supervision());
  if (!ends) return report_error(ends.error());
  size_t passed = 0;
  for (const harness::SuiteEnd& end : *ends) {
    passed += end.status.good() ? 1 : 0;
    std::printf("%-*s  %-7s  %s\n", static_cast<int>(width), end.name.c_str(),
                verdict_of(end.status), end.summary.c_str());
  }
  std::printf("%zu of %zu passed; reports: %s/NAME\n", passed, ends->size(),
              options.output.c_str());
  return static_cast<Exit>(harness::exit_code_of(*ends));
}

}  // namespace touchstone::cli
