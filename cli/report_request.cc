#include "cli/report_request.h"

#include "base/files.h"
#include "base/version.h"
#include "cli/output.h"
#include "harness/request_view.h"
#include "records/run_folder.h"

namespace touchstone::cli {
namespace {

/// ERRORS: kInvalidArgument when nothing, or two things, say where to look; those of the folder.
Result<harness::RequestSources> sources_of(const RequestFlags& flags) {
  if (flags.run.empty() == (flags.files.empty() && flags.ledger.empty())) {
    return invalid_argument(
        "report: --request: expected --run, or --file and --ledger, to say "
        "where to look");
  }
  if (flags.run.empty()) return harness::RequestSources{flags.files, flags.ledger};
  const auto folder = records::open_run_folder(flags.run);
  if (!folder) return folder.error();
  const bool has_ledger = folder->has(records::run_files::kLedger);
  return harness::RequestSources{folder->span_files(),
                                 has_ledger ? folder->file(records::run_files::kLedger) : ""};
}

}  // namespace

void add_request_flags(CLI::App& app, RequestFlags& flags) {
  app.add_option("--request", flags.id,
                 "All that is recorded of one request, as a waterfall: a trace id, a request or "
                 "response id, or its name or number in the ledger");
  app.add_option("--run", flags.run, "With --request: look in this run folder")
      ->type_name("FOLDER");
  app.add_option("--file", flags.files, "With --request: spans; may be repeated")
      ->type_name("FILE");
  app.add_option("--ledger", flags.ledger, "With --request: requests.jsonl")->type_name("FILE");
}

Exit report_request(const RequestFlags& flags, const std::string& format,
                    const std::string& output) {
  const auto sources = sources_of(flags);
  if (!sources) return report_error(sources.error());
  auto report = harness::view_request(flags.id, *sources);
  if (!report) return report_error(report.error());
  report->provenance.tool_version = kVersion;
  const std::string rendered = reports::format_of(format).render(*report, reports::TextOptions());
  const Status written = output.empty() ? print(rendered) : write_file_atomic(output, rendered);
  return written ? Exit::kGood : report_error(written.error());
}

}  // namespace touchstone::cli
