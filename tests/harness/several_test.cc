#include "harness/several.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/files.h"

namespace touchstone::harness {
namespace {

class Several : public ::testing::Test {
 protected:
  SuiteRun shell(const std::string& name, const std::string& script) const {
    return {.name = name,
            .argv = {"sh", "-c", script},
            .environment = {{"FOLDER", folder_.path()}},
            .output = folder_.path() + "/" + name};
  }
  Result<std::vector<SuiteEnd>> run(const std::vector<SuiteRun>& runs, size_t jobs) {
    return run_several(
        runs, jobs, [this](const SuiteEnd& end) { in_order_.push_back(end.name); }, supervision_);
  }

  const RealClock clock_;
  const Supervision supervision_{clock_};
  TemporaryDirectory folder_ = TemporaryDirectory::make("several").value();
  std::vector<std::string> in_order_;
};

TEST_F(Several, EachEndsWithItsStatusAndItsSummary) {
  const auto ends =
      run({shell("good", "echo first; echo last"),
           shell("bad", "echo '{\"summary\": \"3 spans lost\"}' > $FOLDER/bad/report.json; exit 1"),
           shell("open", "exit 3")},
          1);
  ASSERT_TRUE(ends) << ends.error().message;
  ASSERT_EQ(ends->size(), 3u);
  EXPECT_EQ(ends->at(0).summary, "last");
  EXPECT_EQ(ends->at(1).summary, "3 spans lost");
  EXPECT_EQ(ends->at(2).status.code, 3);
  EXPECT_EQ(in_order_, (std::vector<std::string>{"good", "bad", "open"}));
  EXPECT_EQ(exit_code_of(*ends), 1);
  EXPECT_EQ(exit_code_of({ends->at(0), ends->at(2)}), 3);
  EXPECT_EQ(exit_code_of({ends->at(0)}), 0);
}

/// Each waits until the other has begun: one at a time would wait for ever.
TEST_F(Several, SoManyRunAtATime) {
  const char* script =
      "touch $FOLDER/$0.begun; until [ -e $FOLDER/a.begun ] && [ -e $FOLDER/b.begun ]; do sleep "
      "0.05; done";
  SuiteRun a = shell("a", script);
  SuiteRun b = shell("b", script);
  a.argv.emplace_back("a");
  b.argv.emplace_back("b");
  const auto ends = run({a, b}, 2);
  ASSERT_TRUE(ends) << ends.error().message;
  EXPECT_EQ(exit_code_of(*ends), 0);
}

TEST_F(Several, OneThatCannotStartEndsAll) {
  SuiteRun none = shell("none", "");
  none.argv = {"/no/such/program"};
  const auto ends = run({shell("long", "exec sleep 1000"), none}, 2);
  ASSERT_FALSE(ends);
  EXPECT_NE(ends.error().message.find("/no/such/program"), std::string::npos);
}

}  // namespace
}  // namespace touchstone::harness
