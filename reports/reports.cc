#include "reports/reports.h"

#include "base/check.h"
#include "base/files.h"
#include "result/result_json.h"

namespace touchstone::reports {
namespace {

/// A format that has no use for a terminal's options.
template <std::string (*kRender)(const result::Report&)>
std::string plain(const result::Report& report, const TextOptions&) {
  return kRender(report);
}

}  // namespace

const std::vector<Format>& formats() {
  static const std::vector<Format> kFormats = {
      {"text", "", &to_text},
      {"html", "report.html", &plain<&to_html>},
      {"json", "report.json", &plain<&result::to_json>},
      {"junit", "junit.xml", &plain<&to_junit>},
      {"sarif", "report.sarif", &plain<&to_sarif>},
      {"markdown", "report.md", &plain<&to_markdown>},
      {"csv", "", &plain<&to_csv>},
  };
  return kFormats;
}

std::vector<std::string> format_words() {
  std::vector<std::string> words;
  for (const Format& format : formats()) words.push_back(format.word);
  return words;
}

const Format& format_of(const std::string& word) {
  for (const Format& format : formats()) {
    if (format.word == word) return format;
  }
  BASE_CHECK(false, "no format: ", word);
}

Result<std::vector<std::string>> write_reports(const result::Report& report,
                                               const std::string& directory) {
  RETURN_IF_ERROR(make_directories(directory));
  std::vector<std::string> paths;
  for (const Format& format : formats()) {
    if (format.file.empty()) continue;
    const std::string path = directory + "/" + format.file;
    Status written = write_file_atomic(path, format.render(report, {}));
    if (!written) return std::move(written).error();
    paths.push_back(path);
  }
  return paths;
}

}  // namespace touchstone::reports
