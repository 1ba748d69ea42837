#include "reports/reports.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <boost/property_tree/ptree.hpp>
#include <boost/property_tree/xml_parser.hpp>
#include <filesystem>
#include <sstream>

#include "base/files.h"
#include "base/text.h"
#include "reports/content_policy.h"
#include "reports/escape.h"
#include "reports/svg_chart.h"
#include "reports/text_writer.h"
#include "tests/result/full_report.h"

namespace touchstone::reports {
namespace {

using result::full_report;
using result::kHostile;
using result::Report;

size_t count_of(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

boost::property_tree::ptree parse_xml(const std::string& text) {
  std::istringstream in(text);
  boost::property_tree::ptree tree;
  boost::property_tree::read_xml(in, tree);
  return tree;
}

TEST(Escape, MarkupHoldsNoMarkup) {
  EXPECT_EQ(escape_markup("<a href=\"x\">'&'</a>"),
            "&lt;a href=&quot;x&quot;&gt;&#39;&amp;&#39;&lt;/a&gt;");
  EXPECT_EQ(escape_markup("a\tb\nc"), "a\tb\nc");
  EXPECT_EQ(escape_markup(std::string("\0\x1b\x7f\xff", 4)), "\uFFFD\uFFFD\uFFFD\uFFFD");
  EXPECT_EQ(escape_markup("é漢😀"), "é漢😀");
  EXPECT_EQ(escape_markup("a\u202Eb\u2066c\u200Fd\u061Ce\u2030"),
            "a\uFFFDb\uFFFDc\uFFFDd\uFFFDe\u2030");
  EXPECT_EQ(plain_line("ok\u202Efdp.exe"), "ok\uFFFDfdp.exe");
  EXPECT_EQ(escape_markup("\xEF\xBF\xBF"), "\uFFFD");
  EXPECT_EQ(escape_markup("\xe6\xbc"), "\uFFFD") << "a character cut in half";
}

RC_GTEST_PROP(Escape, AnyBytesBecomeCleanText, (const std::string& text)) {
  const std::string markup = escape_markup(text);
  RC_ASSERT(is_valid_utf8(markup));
  RC_ASSERT(markup.find_first_of("<>\"'") == std::string::npos);
  const std::string line = plain_line(text);
  RC_ASSERT(is_valid_utf8(line));
  for (const char c : line) RC_ASSERT(static_cast<unsigned char>(c) >= 0x20);
}

TEST(Escape, ShorteningCountsCharacters) {
  EXPECT_EQ(shortened("漢字漢字", 4), "漢字漢字");
  EXPECT_EQ(shortened("漢字漢字", 3), "漢字…");
  EXPECT_EQ(width_of("é漢"), 2u);
}

TEST(Text, FitsOneScreenAndSaysWhatMatters) {
  const std::string text = to_text(full_report(), {.color = false,
                                                   .width = 100,
                                                   .findings_max = 6,
                                                   .files = {"out/report.html", "out/junit.xml"}});
  for (const char* part :
       {"check quickstart  FAIL", "span.attribute.required", "and 1 more",
        "trace 656abd72fb710734986e86cb0ab8ab67 span 0ff69eeafe88345d", "gen_ai.usage", "ttft",
        "Once upon a time", "Measured beside simulated", "failed          coverage 1",
        "warned          schema 1", "undecided       completeness 1", "passed          schema 1",
        "not applicable  metrics 1", "on every span   gen_ai.usage 1",
        "gen_ai.model: 0 of 1 attributes", "sha256          spans.jsonl 9aac2387a9e8, touchstone 1",
        "report: out/report.html, junit.xml"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
  }
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  EXPECT_EQ(text.find('\x01'), std::string::npos);
  EXPECT_TRUE(is_valid_utf8(text));
  EXPECT_LE(split(text, '\n').size(), 50u);
  EXPECT_EQ(text.find("Where every span belongs"), std::string::npos) << "a detail";
  EXPECT_NE(to_html(full_report()).find("Where every span belongs"), std::string::npos);
}

TEST(Text, ListsAndSentencesStayWithinTheTerminal) {
  TextOptions options;
  options.width = 60;
  TextWriter writer(options);
  writer.flow("passed", {"one 1", std::string(30, 'a'), kHostile, std::string(90, 'b')},
              Color::kGreen);
  writer.flow("failed", {}, Color::kRed);
  for (const std::string& line : writer.wrapped(std::string(200, 'c') + " d e", 2, 3)) {
    writer.line("  " + line);
  }
  const std::string text = writer.take();
  for (const std::string& line : split(text, '\n')) EXPECT_LE(width_of(line), 60u) << line;
  EXPECT_EQ(text.find("failed"), std::string::npos) << "nothing to list";
  EXPECT_EQ(text.find("  passed          one 1, aaa"), 0u) << text;
}

TEST(Text, ColoursAreOnlyForTerminals) {
  TextOptions options;
  options.color = true;
  EXPECT_NE(to_text(full_report(), options).find("\x1b[31mFAIL\x1b[0m"), std::string::npos);
}

TEST(Text, ManyFindingsAreCounted) {
  Report report = full_report();
  for (int i = 0; i < 100; ++i) {
    report.checks[2].findings.push_back(report.checks[2].findings[0]);
  }
  const std::string text = to_text(report, {});
  EXPECT_NE(text.find("… and 96 more findings"), std::string::npos) << text;
}

TEST(Junit, IsXmlThatCountsWhatItHolds) {
  const auto tree = parse_xml(to_junit(full_report()));
  const auto& root = tree.get_child("testsuites");
  // Five checks and three budgets: the failed check and budget fail; the undecided ones are errors;
  // the SHOULD below fail_on is neither.
  EXPECT_EQ(root.get<int>("<xmlattr>.tests"), 8);
  EXPECT_EQ(root.get<int>("<xmlattr>.failures"), 2);
  EXPECT_EQ(root.get<int>("<xmlattr>.errors"), 2);
  EXPECT_EQ(root.get<int>("<xmlattr>.skipped"), 1);
  int cases = 0, failures = 0, errors = 0, skipped = 0, outputs = 0;
  for (const auto& [name, suite] : root) {
    if (name != "testsuite") continue;
    for (const auto& [kind, item] : suite) {
      if (kind != "testcase") continue;
      ++cases;
      failures += static_cast<int>(item.count("failure"));
      errors += static_cast<int>(item.count("error"));
      skipped += static_cast<int>(item.count("skipped"));
      outputs += static_cast<int>(item.count("system-out"));
    }
  }
  EXPECT_EQ(cases, 8);
  EXPECT_EQ(failures, 2);
  EXPECT_EQ(errors, 2);
  EXPECT_EQ(skipped, 1);
  EXPECT_EQ(outputs, 1);
}

RC_GTEST_PROP(Junit, IsXmlWhateverTheTelemetryHolds, (const std::string& text)) {
  Report report = full_report();
  report.title = report.checks[1].title = report.checks[1].group = text;
  report.checks[1].findings[0].message = text;
  report.checks[1].findings[0].context["places"] = text;
  EXPECT_NO_THROW(parse_xml(to_junit(report)));
}

TEST(Html, IsOneFileWithoutANetwork) {
  const std::string page = to_html(full_report());
  for (const char* part : {"http://", "https://", "src=", "@import", "url(", "<link", "<iframe"}) {
    EXPECT_EQ(page.find(part), std::string::npos) << part;
  }
  for (const char* id : {"overview", "findings", "charts", "tables", "budgets", "coverage",
                         "traces", "samples", "checks", "provenance"}) {
    EXPECT_NE(page.find("<section id=\"" + std::string(id) + "\""), std::string::npos) << id;
  }
  EXPECT_NE(page.find("prefers-color-scheme: dark"), std::string::npos);
  EXPECT_TRUE(is_valid_utf8(page));
}

TEST(Html, NothingFromOutsideIsMarkup) {
  const std::string page = to_html(full_report());
  EXPECT_EQ(page.find("<script>alert"), std::string::npos);
  EXPECT_EQ(page.find("\"' onload"), std::string::npos);
  EXPECT_EQ(page.find('\x1b'), std::string::npos);
  EXPECT_NE(page.find("&lt;script&gt;alert(1)&lt;/script&gt;"), std::string::npos);
  // One script of our own, and the data of the two charts that have any.
  EXPECT_EQ(count_of(page, "<script"), 3u);
  EXPECT_EQ(count_of(page, "</script>"), 3u);
}

TEST(Html, EveryElementIsClosed) {
  const std::string page = to_html(full_report());
  for (const char* name : {"div", "section", "table", "details", "figure", "svg", "dl", "span",
                           "td", "tr", "main", "header", "body", "html"}) {
    const std::string open = "<" + std::string(name);
    EXPECT_EQ(count_of(page, open + ">") + count_of(page, open + " "),
              count_of(page, "</" + std::string(name) + ">"))
        << name;
  }
}

/// What stands between the tags is what the policy's hash is of.
TEST(Html, LetsABrowserRunItsOwnScriptAlone) {
  const std::string page = to_html(full_report());
  const size_t begin = page.rfind("<script>") + std::string("<script>").size();
  const std::string policy = content_policy(page.substr(begin, page.rfind("</script>") - begin));
  EXPECT_NE(page.find("<meta http-equiv=\"Content-Security-Policy\" content=\"" + policy),
            std::string::npos);
  EXPECT_EQ(policy.find("default-src 'none'; "), 0u);
  // The digest of the empty text, from RFC 6234's test vectors.
  EXPECT_NE(content_policy("").find("'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"),
            std::string::npos);
}

TEST(Html, SeveralTypesOfSpanHaveAHeatMap) {
  Report report;
  report.coverage = {
      {.name_space = "x", .attribute = "a", .span_type = "root", .present = 4, .total = 4},
      {.name_space = "x", .attribute = "a", .span_type = "queue", .present = 1, .total = 8},
      {.name_space = "x", .attribute = "b<", .span_type = "root", .total = 4}};
  const std::string page = to_html(report);
  EXPECT_NE(page.find("<td class=\"heat h4\" title=\"4 of 4\">100</td><td class=\"heat h0\" "
                      "title=\"1 of 8\">12.5</td>"),
            std::string::npos)
      << page.substr(page.find("class=\"map\""), 800);
  EXPECT_NE(page.find("<code>b&lt;</code></td><td class=\"heat h0\" title=\"0 of 4\">0</td><td "
                      "class=\"heat\">–</td>"),
            std::string::npos);
  report.coverage[1].name_space = "resource";
  EXPECT_EQ(to_html(report).find("class=\"map\""), std::string::npos) << "the table says it all";
}

TEST(Html, AnEmptyReportIsAPageToo) {
  const std::string page = to_html(Report());
  EXPECT_NE(page.find("UNKNOWN"), std::string::npos);
  EXPECT_EQ(page.find("<section id=\"charts\""), std::string::npos);
}

TEST(Html, ItsSizeIsBounded) {
  Report report = full_report();
  result::Series& line = report.charts[0].series[0];
  for (int i = 0; i < 1'000'000; ++i) {
    line.x.push_back(3 + i * 1e-3);
    line.y.push_back(i % 977);
  }
  const result::Finding finding = report.checks[2].findings[0];
  report.checks[2].findings.assign(100'000, finding);
  const std::string page = to_html(report);
  EXPECT_LT(page.size(), 3u << 20);
  EXPECT_NE(page.find("98,001 more findings"), std::string::npos);
}

TEST(Chart, ThinningKeepsThePeaks) {
  result::Chart chart{.title = "c",
                      .kind = result::Chart::Kind::kLine,
                      .x_label = "x",
                      .y_label = "y",
                      .series = {{.name = "s", .x = {}, .y = {}}}};
  for (int i = 0; i < 100'000; ++i) {
    chart.series[0].x.push_back(i);
    chart.series[0].y.push_back(i == 54'321 ? 1000 : 1);
  }
  const std::string drawn = svg_chart(chart);
  EXPECT_LT(drawn.size(), 60'000u);
  EXPECT_NE(drawn.find("1000"), std::string::npos);
  EXPECT_NE(drawn.find("54321"), std::string::npos);
}

TEST(Chart, OddDataIsDrawn) {
  result::Chart chart{.title = "c",
                      .kind = result::Chart::Kind::kCdf,
                      .x_label = "seconds",
                      .y_label = "y",
                      .series = {{.name = "s", .x = {0}, .y = {1}}}};
  EXPECT_NE(svg_chart(chart).find("<path"), std::string::npos) << "one point, at zero";
  chart.series[0] = {.name = "s", .x = {1, 2}, .y = {std::nan(""), std::nan("")}};
  EXPECT_NE(svg_chart(chart).find("no data"), std::string::npos);
  chart.series[0] = {.name = "s", .x = {0, 1e-9, 1e9}, .y = {0.1, 0.5, 1}};
  EXPECT_EQ(svg_chart(chart).find("nan"), std::string::npos);
  EXPECT_EQ(svg_chart(chart).find("inf"), std::string::npos);
  chart.kind = result::Chart::Kind::kLine;
  chart.series[0] = {.name = "s", .x = {5, 5}, .y = {-3, -3}};
  EXPECT_EQ(svg_chart(chart).find("nan"), std::string::npos);
}

TEST(Files, AllAreWritten) {
  const auto directory = TemporaryDirectory::make("reports-test");
  ASSERT_TRUE(directory.has_value());
  const auto paths = write_reports(full_report(), directory->path() + "/deep/out");
  ASSERT_TRUE(paths.has_value()) << paths.error().message;
  ASSERT_EQ(paths->size(), 5u);
  for (const std::string& path : *paths) {
    EXPECT_GT(std::filesystem::file_size(path), 1000u) << path;
  }
}

TEST(Files, AnUnwritablePlaceIsAnIoErrorThatNamesIt) {
  const auto directory = TemporaryDirectory::make("reports-test");
  ASSERT_TRUE(directory.has_value());
  const std::string file = directory->path() + "/taken";
  ASSERT_TRUE(write_file_atomic(file, "x").has_value());
  const auto paths = write_reports(full_report(), file);
  ASSERT_FALSE(paths.has_value());
  EXPECT_EQ(paths.error().code, ErrorCode::kIo);
  EXPECT_NE(paths.error().message.find(file), std::string::npos) << paths.error().message;
}

}  // namespace
}  // namespace touchstone::reports
