#include "cli/output.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "base/sha256.h"
#include "base/text.h"
#include "harness/shipped.h"

namespace touchstone::cli {
namespace {

constexpr int kWidth = 100;
// Tables do not fit narrower ones; the terminal wraps their lines.
constexpr int kWidthMin = 80;

/// Columns of the terminal, at most kWidth-ish so that lines stay readable.
int terminal_width() {
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return kWidth;
  return std::clamp<int>(size.ws_col, kWidthMin, 160);
}

/// Colours, as terminals and users ask for them (no-color.org, bixense.com/clicolors).
bool wants_color() {
  const auto set = [](const char* name) {
    const char* value = std::getenv(name);
    return value != nullptr && *value != '\0';
  };
  const auto is = [](const char* name, const char* text) {
    const char* value = std::getenv(name);
    return value != nullptr && std::strcmp(value, text) == 0;
  };
  if (set("NO_COLOR")) return false;
  if (set("CLICOLOR_FORCE") && !is("CLICOLOR_FORCE", "0")) return true;
  return isatty(STDOUT_FILENO) != 0 && !is("TERM", "dumb") && !is("CLICOLOR", "0");
}

}  // namespace

Status print(const std::string& text) {
  const bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
  if (!written || std::fflush(stdout) != 0) {
    return io_error(std::string("stdout: cannot write: ") + std::strerror(errno));
  }
  return {};
}

Status add_program_digest(result::Report& report) {
  auto own = file_sha256_hex(harness::program_path());
  if (!own) return std::move(own).error();
  auto& digests = report.provenance.digests;
  const auto of_run = digests.find("touchstone");
  if (of_run != digests.end() && of_run->second != *own) {
    digests["touchstone of the run"] = of_run->second;
  }
  digests["touchstone"] = std::move(*own);
  return {};
}

Exit finish_report(result::Report report, const reports::Format& format,
                   const std::string& directory) {
  const Status signed_by = add_program_digest(report);
  if (!signed_by) return report_error(signed_by.error());
  reports::TextOptions options;
  options.color = wants_color();
  options.width = isatty(STDOUT_FILENO) != 0 ? terminal_width() : kWidth;
  if (!directory.empty()) {
    auto paths = reports::write_reports(report, directory);
    if (!paths) return report_error(paths.error());
    options.files = *std::move(paths);
  }
  const Status printed = print(format.render(report, options));
  if (!printed) return report_error(printed.error());
  return static_cast<Exit>(result::exit_code(report));
}

void add_fail_on_flag(CLI::App& app, std::string& word) {
  app.add_option("--fail-on", word, "Weakest level whose findings fail: MUST, SHOULD, MAY")
      ->transform(CLI::IsMember({"MUST", "SHOULD", "MAY"}, CLI::ignore_case))
      ->capture_default_str();
}

result::Level level_of(const std::string& word) {
  if (word == "SHOULD") return result::Level::kShould;
  return word == "MAY" ? result::Level::kMay : result::Level::kMust;
}

CLI::Validator path_to_write() {
  return CLI::Validator(
      [](std::string& path) {
        return trim(path).empty() ? "got an empty path, expected one to write to" : std::string();
      },
      "");
}

std::string shell_word(const std::string& word) {
  static constexpr char kPlain[] =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./=:,@%+";
  if (!word.empty() && word.find_first_not_of(kPlain) == std::string::npos) return word;
  std::string quoted = "'";
  for (const char c : word) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

}  // namespace touchstone::cli
