#include "cli/report.h"

#include <memory>

#include "base/files.h"
#include "cli/output.h"
#include "cli/report_cost.h"
#include "cli/report_request.h"
#include "result/result_json.h"

namespace touchstone::cli {
namespace {

struct Flags {
  std::string input;
  std::string format = "text";
  std::string output;
  RequestFlags request;
};

/// Rendering is good when it worked: the verdict was somebody else's exit code.
Exit run(const Flags& flags) {
  if (!flags.request.id.empty()) return report_request(flags.request, flags.format, flags.output);
  if (flags.input.empty()) {
    return report_error(
        invalid_argument("report: got no REPORT, expected a report.json, or --request"));
  }
  const Result<std::string> text = read_file(flags.input);
  if (!text) return report_error(text.error());
  const Result<result::Report> report = result::report_from_json(flags.input, *text);
  if (!report) return report_error(report.error());
  const std::string rendered =
      reports::format_of(flags.format).render(*report, reports::TextOptions());
  const Status written =
      flags.output.empty() ? print(rendered) : write_file_atomic(flags.output, rendered);
  return written ? Exit::kGood : report_error(written.error());
}

}  // namespace

Verb report_verb() {
  return {.name = "report",
          .summary = "Render a report.json in another format, show one request, or tell costs",
          .example = "touchstone report report.json --format html --output report.html",
          .setup = [](CLI::App& app) {
            auto flags = std::make_shared<Flags>();
            const auto cost = add_report_cost(app);
            add_request_flags(app, flags->request);
            app.add_option("REPORT", flags->input, "A report.json")->type_name("FILE");
            app.add_option("--format", flags->format, "What to make of it")
                ->check(CLI::IsMember(reports::format_words()))
                ->capture_default_str();
            app.add_option("--output", flags->output, "File to write; stdout when absent")
                ->check(path_to_write())
                ->type_name("FILE");
            return [flags, cost] {
              const auto done = cost();
              return done ? *done : run(*flags);
            };
          }};
}

}  // namespace touchstone::cli
