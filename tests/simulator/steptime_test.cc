#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"
#include "simulator/measured_run.h"
#include "simulator/steptime/constant.h"
#include "simulator/steptime/fitted.h"
#include "simulator/steptime/linear.h"
#include "simulator/steptime/parse.h"
#include "simulator/steptime/recorded.h"

namespace touchstone::simulator {
namespace {

TEST(StepTime, FeaturesAreThoseOfTheWork) {
  records::StepRecord step;
  step.step = 3;
  step.requests = {{.id = 1, .computed = 10, .scheduled = 1, .samples = true},
                   {.id = 2, .computed = 4, .scheduled = 3, .samples = true},
                   {.id = 3, .computed = 0, .scheduled = 2}};
  const StepFeatures f = features_of(step);
  EXPECT_EQ(f.step, 3);
  EXPECT_EQ(f.decode_requests, 1);
  EXPECT_EQ(f.context_tokens, 11);
  EXPECT_EQ(f.longest_context, 11);
  EXPECT_EQ(f.prefill_requests, 2);
  EXPECT_EQ(f.sampled_requests, 2);
  EXPECT_EQ(f.prefill_tokens, 5);
  EXPECT_EQ(f.prefill_attention, (5 + 6 + 7) + (1 + 2));
}

TEST(StepTime, ConstantLinearAndRecordedSayWhatTheyAre) {
  const StepFeatures f{.step = 1, .prefill_tokens = 10, .decode_requests = 3};
  StepNoise noise(0, "noise");
  EXPECT_EQ(make_constant_step_time(7)->duration_ns(f, noise), 7);
  EXPECT_EQ(make_linear_step_time({100, 5, 2})->duration_ns(f, noise), 156);
  EXPECT_EQ(make_linear_step_time({0, 0, 2})->duration_ns({}, noise), 1) << "time must go on";
  const auto recorded = make_recorded_step_time({10, 20, 60});
  EXPECT_EQ(recorded->duration_ns(f, noise), 20);
  EXPECT_EQ(recorded->duration_ns({.step = 9}, noise), 30) << "the mean beyond the end";
}

TEST(StepTime, ATimeThatDoesNotFitIsTheLongestThereIs) {
  StepNoise noise(0, "noise");
  const StepFeatures huge{.prefill_tokens = INT32_MAX, .decode_requests = 1};
  EXPECT_EQ(make_linear_step_time({0, INT64_MAX / 1000, 0})->duration_ns(huge, noise), INT64_MAX);
  EXPECT_EQ(make_linear_step_time({INT64_MAX, 0, 1})->duration_ns(huge, noise), INT64_MAX);
  EXPECT_EQ(make_fitted_step_time({.ns = {0, 1e10, 0, 0, 0}})->duration_ns(huge, noise), INT64_MAX);
  StepNoise unused(0, "noise");
  EXPECT_EQ(make_recorded_step_time({INT64_MAX, INT64_MAX})->duration_ns({.step = 2}, unused),
            INT64_MAX)
      << "the mean";
}

TEST(StepTime, AModelSaysForWhichStepsItWasMade) {
  EXPECT_TRUE(make_constant_step_time(7)->validity().contains({.step = 9, .prefill_tokens = 99}));
  const Validity recorded = make_recorded_step_time({10, 20, 60})->validity();
  EXPECT_TRUE(recorded.contains({.step = 2, .prefill_tokens = 99}));
  EXPECT_FALSE(recorded.contains({.step = 3}));
  std::vector<StepSample> samples;
  for (int i = 0; i < 50; ++i) {
    samples.push_back({{.step = i, .decode_requests = 1 + i % 8, .context_tokens = 100 + i},
                       1'000'000 + 10'000 * (i % 8)});
  }
  const Validity fitted = make_fitted_step_time(fit_step_times(samples).value())->validity();
  EXPECT_TRUE(fitted.contains({.step = 9999, .decode_requests = 8, .context_tokens = 149}));
  EXPECT_FALSE(fitted.contains({.decode_requests = 9, .context_tokens = 149}));
  EXPECT_FALSE(fitted.contains({.decode_requests = 8, .context_tokens = 99}));
  EXPECT_FALSE(
      fitted.contains({.prefill_requests = 1, .decode_requests = 8, .context_tokens = 149}));
}

TEST(StepTime, TheTableAcceptsAndRefuses) {
  const std::vector<StepSample> none;
  for (const char* good : {"constant:20ms", "linear:5ms,100us,500us", "linear:0ns,0ns,1ns"}) {
    EXPECT_TRUE(parse_step_time(good, none).has_value()) << good;
  }
  const std::pair<const char*, const char*> bad[] = {
      {"", "expected one of"},
      {"constant", "steptime"},
      {"constant:0ms", "1ns to 1h"},
      {"constant:1000000000s", "got 1000000000s, expected 1ns to 1h"},
      {"linear:5ms,2h,0us", "got 2h, expected 0ns to 1h"},
      {"constant:20", "steptime"},
      {"constant:-1ms", "a duration such as"},
      {"linear:5ms,1us", "BASE,PER_PREFILL_TOKEN"},
      {"linear:0ms,0us,0us", "zeros"},
      {"linear:1ms,-1us,0us", "a duration such as"},
      {"hyperbola", "constant:20ms"},
      {"fitted", "--run"},
      {"recorded", "--run"},
      {"recorded:x", "without anything after"},
  };
  for (const auto& [text, expected] : bad) {
    const auto model = parse_step_time(text, none);
    ASSERT_FALSE(model.has_value()) << text;
    EXPECT_NE((model.error().message + model.error().hint).find(expected), std::string::npos)
        << text << ": " << model.error().message;
  }
}

/// Steps of a plausible server whose times follow `ns`, times 1 + noise.
records::StepRecord busy_step(int64_t number, int64_t start_ns, int64_t running) {
  records::StepRecord step;
  step.step = number;
  step.start_ns = start_ns;
  step.duration_ns = 100;
  step.requests.push_back({.id = 1, .computed = 9, .scheduled = 1, .samples = true});
  step.running = running;
  return step;
}

/// A step's time runs to the next step's start, unless the engine may have had nothing to do.
TEST(StepSamples, TimeRunsToTheNextStepWhileThereIsWork) {
  records::StepLog log;
  log.steps = {busy_step(1, 0, 2), busy_step(2, 150, 2), busy_step(3, 260, 1),
               busy_step(4, 9000, 1), busy_step(5, 20000, 1)};
  log.steps[1].finished.push_back({2, "length"});                        // one is left
  log.steps[3].inputs.push_back({records::StepInput::Kind::kAbort, 1});  // none was left
  log.steps[3].finished.push_back({3, "length"});
  const std::vector<StepSample> samples = step_samples(log);
  std::vector<int64_t> times;
  for (const StepSample& sample : samples) times.push_back(sample.duration_ns);
  EXPECT_EQ(times, (std::vector<int64_t>{150, 110, 100, 100, 100}));
}

/// The second was planned during the first and yields a token that nobody wants; then nothing came
/// for a long time.
TEST(StepSamples, TimeOfStepsPlannedAheadIsTheLoggedOne) {
  records::StepLog log;
  log.header.config["async_scheduling"] = true;
  log.steps = {busy_step(1, 0, 1), busy_step(2, 100, 1), busy_step(3, 9000, 1)};
  log.steps[0].finished.push_back({1, "stop"});
  for (const StepSample& sample : step_samples(log)) EXPECT_EQ(sample.duration_ns, 100);
}

std::vector<StepSample> make_samples(const std::array<double, kStepTerms>& ns, int count,
                                     double noise, uint64_t slow_percent = 0) {
  RandomStream random(11, "step samples");
  std::vector<StepSample> samples;
  for (int i = 0; i < count; ++i) {
    StepFeatures f;
    f.decode_requests = random.between(0, 32);
    f.context_tokens = f.decode_requests * random.between(50, 900);
    if (random.chance(1, 3)) {
      f.prefill_tokens = random.between(2, 512);
      f.prefill_attention = f.prefill_tokens * random.between(1, 600);
    }
    double time = ns[0] + ns[1] * static_cast<double>(f.prefill_tokens) +
                  ns[2] * static_cast<double>(f.decode_requests) +
                  ns[3] * static_cast<double>(f.context_tokens) +
                  ns[4] * static_cast<double>(f.prefill_attention);
    time *= 1 + noise * random.normal();
    if (random.chance(slow_percent, 100)) time *= 8;
    samples.push_back({f, std::llround(time)});
  }
  return samples;
}

constexpr std::array<double, kStepTerms> kTrue = {4e6, 9e4, 3e5, 400, 60};

TEST(FittedStepTime, RecoversWhatMadeTheSteps) {
  const auto fit = fit_step_times(make_samples(kTrue, 400, 0));
  ASSERT_TRUE(fit.has_value());
  for (size_t i = 0; i < kStepTerms; ++i) EXPECT_NEAR(fit->ns[i], kTrue[i], kTrue[i] * 1e-3) << i;
  EXPECT_LT(fit->held_out_median_error, 1e-5);
  EXPECT_TRUE(fit->unidentified.empty());
}

TEST(FittedStepTime, AFewSlowStepsBendTheScaleButNotTheShape) {
  const auto fit = fit_step_times(make_samples(kTrue, 3000, 0.05, 2));
  ASSERT_TRUE(fit.has_value());
  // 2 % of the steps take 8 times as long: the total is 14 % more.
  const double shape = kTrue[1] / kTrue[0];
  EXPECT_NEAR(fit->ns[1] / fit->ns[0], shape, 0.1 * shape);
  EXPECT_NEAR(fit->ns[1], 1.14 * kTrue[1], 0.06 * kTrue[1]);
  EXPECT_LT(std::abs(fit->held_out_total_error), 0.02);
}

TEST(FittedStepTime, NothingGetsCheaperByMoreWork) {
  const auto fit = fit_step_times(make_samples({4e6, 9e4, 0, 0, 0}, 60, 0.3));
  ASSERT_TRUE(fit.has_value());
  for (const double ns : fit->ns) EXPECT_GE(ns, 0);
}

TEST(FittedStepTime, TermsThatNeverVaryAreNamed) {
  std::vector<StepSample> samples;
  for (int i = 0; i < 50; ++i) {
    samples.push_back({{.decode_requests = 1 + i % 8, .context_tokens = 100 * (1 + i % 8)},
                       1'000'000 + 10'000 * (i % 8)});
  }
  const auto fit = fit_step_times(samples);
  ASSERT_TRUE(fit.has_value());
  EXPECT_EQ(fit->unidentified,
            (std::vector<std::string>{"prefill token", "context token", "attention pair"}));
}

TEST(FittedStepTime, RefusesWhatIdentifiesNothing) {
  EXPECT_FALSE(fit_step_times(make_samples(kTrue, 19, 0)).has_value());
  const std::vector<StepSample> same(100, {{.decode_requests = 1, .context_tokens = 50}, 1000});
  const auto fit = fit_step_times(same);
  ASSERT_FALSE(fit.has_value());
  EXPECT_NE(fit.error().message.find("same work"), std::string::npos);
}

}  // namespace
}  // namespace touchstone::simulator
