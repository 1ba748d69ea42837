// The HTML report in a real browser: its script runs, no other does, and its buttons do what they
// say. Skipped aloud where there is no Chromium.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "base/clock.h"
#include "base/files.h"
#include "harness/process/capture.h"
#include "harness/process/program.h"
#include "reports/content_policy.h"
#include "reports/reports.h"
#include "tests/result/full_report.h"

namespace touchstone::reports {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class Browser : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"chromium", "chromium-browser", "google-chrome"}) {
      if (const auto found = harness::find_program(name, "")) program_ = *found;
    }
    if (program_.empty()) GTEST_SKIP() << "no Chromium here: the page was not opened";
  }

  /// The page with `script` at its end; the policy knows it when `allowed`.
  std::string with_script(const std::string& script, bool allowed) const {
    std::string page = to_html(result::full_report());
    page.insert(page.rfind("</body>"), "<script>" + script + "</script>");
    if (!allowed) return page;
    const std::string policy = content_policy(script);
    const size_t begin = policy.find("'sha256-");
    const size_t at = page.find("'sha256-");
    page.insert(at, policy.substr(begin, policy.find('\'', begin + 1) + 1 - begin) + " ");
    return page;
  }

  /// What the browser makes of the page once its scripts have run.
  std::string opened(const std::string& page) {
    const std::string file = folder_.path() + "/report.html";
    EXPECT_TRUE(write_file_atomic(file, page));
    const auto ran = harness::run_and_capture(
        {.name = "chromium",
         .argv = {program_, "--headless", "--no-sandbox", "--disable-gpu",
                  "--disable-dev-shm-usage", "--no-first-run",
                  "--user-data-dir=" + folder_.path() + "/profile", "--virtual-time-budget=5000",
                  "--dump-dom", "file://" + file}},
        supervision_, 120 * kNsPerSecond);
    EXPECT_TRUE(ran) << ran.error().message;
    EXPECT_TRUE(ran && ran->status.good()) << (ran ? ran->errors : "");
    return ran ? ran->output : "";
  }

  const RealClock clock_;
  const harness::Supervision supervision_{clock_};
  TemporaryDirectory folder_ = TemporaryDirectory::make("browser").value();
  std::string program_;
};

TEST_F(Browser, RunsThePagesScriptAndNoOther) {
  const std::string page = opened(with_script("document.body.id = 'taken-over';", false));
  EXPECT_THAT(page, HasSubstr("<button id=\"theme\" type=\"button\">")) << "ours has shown it";
  EXPECT_THAT(page, Not(HasSubstr("<body id=\"taken-over\">")));
}

TEST_F(Browser, ItsButtonsAndSearchDoWhatTheySay) {
  const std::string script = R"(
    const said = [];
    const shown = () => [...document.querySelectorAll('.finding')].filter(f => !f.hidden);
    const all = shown().length;
    const must = document.querySelector('[data-level-filter="must"]');
    must.click();
    said.push('must', shown().length > 0 && shown().every(f => f.dataset.level === 'must'));
    must.click();
    said.push('all', shown().length === all);
    const search = document.getElementById('search');
    search.value = 'no such words';
    search.dispatchEvent(new Event('input'));
    said.push('none', shown().length === 0, document.getElementById('shown').textContent);
    const failing = document.getElementById('only-failing');
    failing.click();
    const rows = [...document.querySelectorAll('tr[data-verdict="pass"]')];
    said.push('failing', rows.length > 0 && rows.every(row => row.hidden));
    document.getElementById('theme').click();
    said.push('theme', document.documentElement.dataset.theme);
    for (const e of document.querySelectorAll('button, input, summary, nav a')) {
      if (e.tabIndex < 0) said.push('not by keyboard: ' + e.outerHTML.slice(0, 60));
    }
    document.body.dataset.said = said.join(' ');
  )";
  const std::string page = opened(with_script(script, true));
  EXPECT_THAT(page, testing::ContainsRegex("data-said=\"must true all true none true 0 of [0-9]+ "
                                           "failing true theme (dark|light)\""))
      << page.substr(page.find("<body"), 300);
}

}  // namespace
}  // namespace touchstone::reports
