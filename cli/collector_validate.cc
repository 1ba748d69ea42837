#include "cli/collector_validate.h"

#include <cstdio>

#include "base/clock.h"
#include "base/files.h"
#include "cli/collector_search.h"
#include "harness/collector/config.h"
#include "harness/collector/find.h"
#include "harness/process/capture.h"

namespace touchstone::cli {
namespace {

using harness::LintFinding;

constexpr int64_t kDiffTimeoutNs = 10 * kNsPerSecond;

void print_findings(const ValidateFlags& flags, const harness::LintResult& lint) {
  for (const LintFinding& finding : lint.findings) {
    const char* mended = !finding.fixable ? "" : flags.fix ? " (mended)" : " (--fix mends it)";
    std::printf("%s:%lld: %s: %s [%s]%s\n", flags.config.c_str(),
                static_cast<long long>(finding.line), to_string(finding.level),
                finding.message.c_str(), finding.rule.c_str(), mended);
  }
}

/// Writes the mended text and prints the difference as `diff -u` makes it.
Status write_fixed(const ValidateFlags& flags, const std::string& fixed_path,
                   const std::string& fixed, const harness::Supervision& supervision) {
  const auto difference = harness::run_and_capture(
      {.name = "diff",
       .argv = {"diff", "-u", "--label", flags.config, "--label", flags.config + " (mended)", "--",
                flags.config, fixed_path}},
      supervision, kDiffTimeoutNs);
  if (!difference) return difference.error();
  std::fputs(difference->output.c_str(), stdout);
  return write_file_atomic(flags.config, fixed);
}

/// What stands against it after what was mended.
bool has_findings(const ValidateFlags& flags, const harness::LintResult& lint) {
  for (const LintFinding& finding : lint.findings) {
    if (finding.level >= flags.fail_on && !(flags.fix && finding.fixable)) return true;
  }
  return false;
}

}  // namespace

Exit validate_collector(const ValidateFlags& flags) {
  auto supervisor = Supervisor::start();
  if (!supervisor) return report_error(supervisor.error());
  const harness::Supervision& supervision = (*supervisor)->supervision();
  const auto text = read_file(flags.config);
  if (!text) return report_error(text.error());
  const auto lint = harness::lint_collector_config(flags.config, *text);
  if (!lint) return report_error(lint.error());
  const auto folder = TemporaryDirectory::make("touchstone-collector");
  if (!folder) return report_error(folder.error());
  const std::string fixed_path = folder->path() + "/fixed.yaml";
  if (const Status kept = write_file_atomic(fixed_path, lint->fixed); !kept) {
    return report_error(kept.error());
  }
  print_findings(flags, *lint);
  if (flags.fix && lint->fixed != *text) {
    const Status written = write_fixed(flags, fixed_path, lint->fixed, supervision);
    if (!written) return report_error(written.error());
  }
  // By the names of today: no Collector has the components of former ones.
  const auto needed = harness::components_of_config(fixed_path);
  if (!needed) return report_error(needed.error());
  const auto binary =
      harness::find_collector(collector_search(flags.collector), *needed, supervision);
  if (!binary) return report_error(binary.error());
  const Status valid = harness::validate_collector_config(*binary, flags.config, {}, supervision);
  if (!valid) {
    Error error = valid.error();
    if (!flags.fix && lint->fixed != *text) error.hint = "--fix mends what it can";
    return report_error(error);
  }
  std::printf("%s: valid for otelcol %s\n", flags.config.c_str(), binary->version.c_str());
  return has_findings(flags, *lint) ? Exit::kFindings : Exit::kGood;
}

}  // namespace touchstone::cli
