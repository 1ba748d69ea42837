// What the server's checks let through and the scheduler cannot run.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "reference_engine/engine/engine.h"
#include "tests/engine/engine_fixture.h"

namespace touchstone::engine {
namespace {

TEST(EngineRefusal, ASubmissionThatTheSchedulerRefusesCostsNobodyElseAnything) {
  EngineUnderTest engine({.scheduler = roomy_config(), .max_num_queued_reqs = 3});
  const auto other = engine.start(greedy(kQuestion, 100));
  other.sink->wait_for_outputs(1);
  std::string endless;
  while (endless.size() < 4000) endless += kQuestion;
  Submission refused = greedy(endless, 5);
  refused.n = 3;
  const auto started = engine.start(refused);
  started.sink->wait();
  EXPECT_NE(started.sink->failure().find("expected 1 to max_model_len - 1 (255)"),
            std::string::npos)
      << started.sink->failure();
  EXPECT_EQ(started.sink->num_outputs(), 0u);
  // Its choices are not counted as queued any more, and the engine goes on.
  EXPECT_EQ(other.sink->wait()[0].token_ids.size(), 100u);
  Submission three = greedy(kQuestion, 1);
  three.n = 3;
  EXPECT_EQ(engine.run(three)[2].finish_reason, "length");
  const KeepingObserver& seen = engine.end();
  EXPECT_FALSE(engine.engine().failed());
  std::map<records::Outcome, int> outcomes;
  for (const auto& record : seen.records) ++outcomes[record.outcome];
  EXPECT_EQ(outcomes, (std::map<records::Outcome, int>{{records::Outcome::kLength, 4},
                                                       {records::Outcome::kError, 1},
                                                       {records::Outcome::kAbort, 2}}));
  const auto error =
      std::ranges::find(seen.records, records::Outcome::kError, &records::RequestRecord::outcome);
  EXPECT_EQ(error->http_status, 500);
  EXPECT_EQ(error->error_type, "InternalServerError");
  EXPECT_EQ(seen.stats.back().waiting, 0);
}

}  // namespace
}  // namespace touchstone::engine
