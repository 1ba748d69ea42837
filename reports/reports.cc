#include "reports/reports.h"

#include "base/check.h"
#include "base/files.h"
#include "result/result_json.h"

namespace touchstone::reports {

const std::vector<std::string>& format_words() {
  static const std::vector<std::string> kWords = {"text", "json", "junit", "html"};
  return kWords;
}

Format format_of(const std::string& word) {
  const std::vector<std::string>& words = format_words();
  for (size_t i = 0; i < words.size(); ++i) {
    if (words[i] == word) return static_cast<Format>(i);
  }
  BASE_CHECK(false, "no format: ", word);
  return Format::kText;
}

std::string render(const result::Report& report, Format format, const TextOptions& options) {
  switch (format) {
    case Format::kText:
      return to_text(report, options);
    case Format::kJson:
      return result::to_json(report);
    case Format::kJunit:
      return to_junit(report);
    case Format::kHtml:
      return to_html(report);
  }
  return to_text(report, options);
}

Result<std::vector<std::string>> write_reports(const result::Report& report,
                                               const std::string& directory) {
  RETURN_IF_ERROR(make_directories(directory));
  const std::vector<std::pair<std::string, Format>> files = {{"report.html", Format::kHtml},
                                                             {"report.json", Format::kJson},
                                                             {"junit.xml", Format::kJunit}};
  std::vector<std::string> paths;
  for (const auto& [name, format] : files) {
    const std::string path = directory + "/" + name;
    Status written = write_file_atomic(path, render(report, format, {}));
    if (!written) return std::move(written).error();
    paths.push_back(path);
  }
  return paths;
}

}  // namespace touchstone::reports
