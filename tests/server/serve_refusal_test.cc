// What serve() refuses before a model is loaded.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "base/clock.h"
#include "reference_engine/backend/registry.h"
#include "reference_engine/server/serve.h"

namespace touchstone::server {
namespace {

/// A backend that computes one plan at a time, as far as serve() comes to know it.
class OnePlanFactory final : public backend::BackendFactory {
 public:
  std::string name() const override { return "one-plan"; }
  Status probe() const override { return {}; }
  Result<backend::Capabilities> capabilities() const override {
    return backend::Capabilities{.dtypes = {"float32"},
                                 .default_block_size = 16,
                                 .block_size_multiple = 1,
                                 .max_block_size = 128,
                                 .default_max_num_seqs = 8,
                                 .default_max_num_batched_tokens = 64,
                                 .max_plans_in_flight = 1};
  }
  Result<std::unique_ptr<backend::Backend>> create(const std::string&,
                                                   const backend::BackendOptions&) const override {
    return unavailable("it would start");
  }
};

TEST(ServeRefusal, AsynchronousSchedulingNeedsABackendThatTakesTwoPlans) {
  backend::Registry backends;
  backends.add(std::make_unique<OnePlanFactory>());
  const RealClock clock;
  ServeOptions options;
  const ServerLog::Write no_log = [](const std::string&) { return true; };
  const auto started = [&] { return serve(options, backends, clock, no_log); };
  EXPECT_EQ(started().error().message, "it would start");
  options.scheduler["async_scheduling"] = true;
  const auto refused = started();
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::kUnsupported);
  EXPECT_THAT(refused.error().message, ::testing::HasSubstr("--async-scheduling: got a backend that"
                                                            " takes 1 plan at a time"));
}

}  // namespace
}  // namespace touchstone::server
