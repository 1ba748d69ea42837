// Every check against its case file, and every check has one with all three verdicts.
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "base/files.h"
#include "conformance/checks/check.h"
#include "tests/conformance/case_file.h"
#include "tests/conformance/recorded.h"
#include "tests/support/paths.h"

namespace touchstone::conformance {
namespace {

using nlohmann::json;

std::map<std::string, json> case_files() {
  std::map<std::string, json> files;
  const std::string folder = support::source_dir() + "/tests/conformance/cases";
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const auto text = read_file(entry.path().string());
    BASE_CHECK(text.has_value(), entry.path().string());
    json file = json::parse(*text);
    const std::string id = entry.path().stem().string();
    BASE_CHECK(file["id"] == id, entry.path().string());
    files[id] = std::move(file);
  }
  return files;
}

struct Row {
  std::string id, title, source, level;
  bool by_profile = false;  ///< judge() puts convention and version in front of the source
};

/// The table of checks, and the one that judge() itself adds.
std::vector<Row> rows() {
  std::vector<Row> all;
  for (const CheckRow& row : all_checks()) {
    const bool by_profile = row.demanded_by == CheckRow::Source::kTheProfile;
    all.push_back({row.id, row.title, row.source, result::to_string(row.level), by_profile});
  }
  all.push_back({"suppression.needed", "Every suppression is still needed",
                 "Touchstone 0.1: a deviation that no longer occurs must not stay suppressed.",
                 "MUST"});
  return all;
}

TEST(Cases, EveryCheckDoesWhatItsCasesSay) {
  int64_t count = 0;
  for (const auto& [id, file] : case_files()) {
    for (const json& item : file["cases"]) {
      ++count;
      SCOPED_TRACE(id + ": " + item["name"].get<std::string>());
      const CaseInput input = read_case_input(item["input"]);
      const result::Report report = judge(input.evidence, {input.profile}, input.options);
      EXPECT_EQ(compare(item, outcome_of(report, id)), "");
    }
  }
  EXPECT_GT(count, 150);
}

TEST(Cases, EveryCheckHasAPassingAFailingAndANotApplicableOne) {
  const auto files = case_files();
  for (const Row& row : rows()) {
    ASSERT_TRUE(files.contains(row.id)) << "no tests/conformance/cases/" << row.id << ".json";
    const json& file = files.at(row.id);
    std::set<std::string> verdicts;
    for (const json& item : file["cases"]) verdicts.insert(item["verdict"]);
    EXPECT_TRUE(verdicts.contains("pass")) << row.id;
    EXPECT_TRUE(verdicts.contains("skip")) << row.id;
    // Receiving nothing is never a failure of the subject: it is unknown.
    EXPECT_TRUE(verdicts.contains(row.id == "input.received" ? "unknown" : "fail")) << row.id;
    EXPECT_EQ(file["title"], row.title) << row.id;
    EXPECT_EQ(file["source"], row.source) << row.id;
    EXPECT_EQ(file["level"], row.level) << row.id;
    EXPECT_FALSE(file["why"].get<std::string>().empty()) << row.id;
  }
  EXPECT_EQ(files.size(), rows().size()) << "a case file has no check";
}

TEST(Cases, IdsAreUniqueNames) {
  std::set<std::string> seen;
  for (const Row& row : rows()) {
    EXPECT_TRUE(seen.insert(row.id).second) << row.id;
    EXPECT_EQ(row.id.find_first_not_of("abcdefghijklmnopqrstuvwxyz_."), std::string::npos)
        << row.id;
    const bool has_version = row.source.find_first_of("0123456789") != std::string::npos;
    EXPECT_NE(has_version, row.by_profile) << row.id;
  }
}

}  // namespace
}  // namespace touchstone::conformance
