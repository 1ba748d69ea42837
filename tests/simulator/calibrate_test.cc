// What calibrate learns from times of requests, against servers whose costs are known: loads that
// the simulator itself "measured".
#include "simulator/calibrate/calibrate.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/clock.h"
#include "base/files.h"
#include "simulator/calibrate/judge.h"
#include "simulator/calibrate/learn.h"
#include "simulator/steptime/terms_shape.h"
#include "tests/support/paths.h"

namespace touchstone::simulator {
namespace {

constexpr StepTerms kCosts = {20e6, 1e6, 2e6, 2'000, 300};

scheduler::Config server() {
  return {.num_blocks = 800,
          .block_size = 16,
          .max_num_seqs = 16,
          .max_num_batched_tokens = 512,
          .max_model_len = 1024};
}

/// Requests of a load that starts lightly and ends in overload, as `model` serves them.
MeasuredLoad measure(const StepTimeModel& model, int requests, uint64_t seed) {
  MeasuredLoad load{.path = "simulated", .config = server()};
  RandomStream random(seed, "load");
  int64_t arrival_ns = 0;
  for (int i = 0; i < requests; ++i) {
    MeasuredRequest request;
    request.request.name = "r" + std::to_string(i);
    request.request.arrival_ns = arrival_ns;
    request.request.prompt_tokens = random.between(10, 600);
    request.request.output_tokens = random.between(20, 80);
    load.requests.push_back(std::move(request));
    const double mean_s = i % 60 < 30 ? 4 : 0.4;
    arrival_ns += static_cast<int64_t>(random.exponential(mean_s) * 1e9);
  }
  const auto trial = simulate_load(load, load.config, model, seed);
  EXPECT_TRUE(trial.has_value());
  for (size_t i = 0; i < load.requests.size(); ++i) {
    const SimulatedTimes& t = trial->requests[i];
    load.requests[i].times = {.ttft_s = t.ttft_s(),
                              .tpot_s = t.tpot_s(),
                              .e2e_s = t.e2e_s(),
                              .queue_s = to_seconds(t.scheduled_ns - t.queued_ns),
                              .prefill_s = to_seconds(t.first_token_ns - t.scheduled_ns),
                              .decode_s = to_seconds(t.last_token_ns - t.first_token_ns)};
  }
  return load;
}

std::unique_ptr<StepTimeModel> true_model(NoiseLevel noise = {}, Anchor anchor = {}) {
  return make_learned_step_time(
      {.shape = make_terms_shape(kCosts, {}), .anchor = anchor, .noise = noise});
}

double distance(double got, double expected) { return std::abs(got / expected - 1); }

Errors predict(const MeasuredLoad& load, const ModelFile& file) {
  ModelFile quiet = file;
  quiet.noise = {};
  return judge(load, *simulate_load(load, load.config, *make_step_time(quiet), 0), 0);
}

TEST(Learn, FindsTheCostsThatMadeTheTimes) {
  const MeasuredLoad load = measure(*true_model(), 120, 3);
  const FitLoad fit{&load, load.requests.size()};
  const auto learned = learn({&fit, 1}, nullptr);
  ASSERT_TRUE(learned.has_value()) << learned.error().message;
  const auto& terms = std::get<StepTerms>(learned->file.shape);
  for (size_t i = 0; i < 3; ++i) EXPECT_LT(distance(terms[i], kCosts[i]), 0.1) << i;
  const Errors same = predict(load, learned->file);
  EXPECT_LT(std::abs(same.tpot->mean), 0.005);
  EXPECT_LT(std::abs(same.ttft->mean), 0.01);
}

/// A server whose steps vary by 10 %, from one run; another run of it is predicted.
TEST(Learn, PredictsAnotherRunOfANoisyServer) {
  const NoiseLevel noise{.sigma = 0.1, .correlation = 0.6};
  const MeasuredLoad seen = measure(*true_model(noise), 150, 3);
  const MeasuredLoad other = measure(*true_model(noise), 150, 4);
  const FitLoad fit{&seen, seen.requests.size()};
  const auto learned = learn({&fit, 1}, nullptr);
  ASSERT_TRUE(learned.has_value()) << learned.error().message;
  const Errors errors = predict(other, learned->file);
  ModelFile truth;
  truth.shape = kCosts;
  const Errors own = predict(other, truth);  // what chance alone did to that run
  EXPECT_NEAR(errors.tpot->mean, own.tpot->mean, 0.02);
  EXPECT_NEAR(errors.ttft->mean, own.ttft->mean, 0.05);
  EXPECT_NEAR(errors.e2e->mean, own.e2e->mean, 0.03);
  EXPECT_GT(learned->file.noise.sigma, 0.03);
  EXPECT_LT(learned->file.noise.sigma, 0.2);
}

/// Another process of the same server: 14 % slower in decoding, 5 % faster in prompts.
TEST(Learn, AnAnchorScalesAKnownShape) {
  const MeasuredLoad load = measure(*true_model({}, {1.14, 0.95, true}), 80, 5);
  ModelFile base;
  base.shape = kCosts;
  const FitLoad fit{&load, load.requests.size()};
  const auto learned = learn({&fit, 1}, &base);
  ASSERT_TRUE(learned.has_value()) << learned.error().message;
  EXPECT_EQ(std::get<StepTerms>(learned->file.shape), kCosts);
  EXPECT_NEAR(learned->file.anchor.decode, 1.14, 0.01);
  EXPECT_NEAR(learned->file.anchor.prefill, 0.95, 0.02);
  EXPECT_TRUE(learned->file.anchor.fitted);
}

/// What lies before the engine is told apart from its work.
TEST(Learn, TheFrontendIsFoundBesideTheCosts) {
  const auto slow =
      make_learned_step_time({.shape = make_terms_shape(kCosts, {}),
                              .frontend = {.in_ns = 12e6, .in_ns_per_prompt_token = 40e3}});
  const MeasuredLoad load = measure(*slow, 120, 6);
  const FitLoad fit{&load, load.requests.size()};
  const auto learned = learn({&fit, 1}, nullptr);
  ASSERT_TRUE(learned.has_value()) << learned.error().message;
  const FrontendLatency& found = learned->file.frontend;
  const double of_300_ns =
      found.in_ns + 300 * found.in_ns_per_prompt_token + found.out_ns + found.out_ns_per_stream;
  EXPECT_NEAR(of_300_ns, 24e6, 4e6);
}

/// The times of later requests are not looked at: whatever they are, the model is the same.
TEST(Learn, HeldOutTimesDoNotMatter) {
  MeasuredLoad load = measure(*true_model(), 120, 7);
  const FitLoad half{&load, 60};
  const auto learned = learn({&half, 1}, nullptr);
  ASSERT_TRUE(learned.has_value()) << learned.error().message;
  for (size_t i = 60; i < load.requests.size(); ++i) load.requests[i].times = {.ttft_s = 99};
  const auto again = learn({&half, 1}, nullptr);
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(model_file_json(learned->file), model_file_json(again->file));
}

TEST(Learn, RefusesALoadThatTellsNothingApart) {
  MeasuredLoad lonely = measure(*true_model(), 60, 8);
  for (size_t i = 0; i < lonely.requests.size(); ++i) {  // always alone, always alike
    workload::Request& request = lonely.requests[i].request;
    request.arrival_ns = static_cast<int64_t>(i) * 100 * kNsPerSecond;
    request.prompt_tokens = 100;
    request.output_tokens = 50;
    lonely.requests[i].times = {.ttft_s = 0.12,
                                .tpot_s = 0.022,
                                .e2e_s = 1.2,
                                .queue_s = 0,
                                .prefill_s = 0.12,
                                .decode_s = 1.08};
  }
  const FitLoad fit{&lonely, lonely.requests.size()};
  const auto learned = learn({&fit, 1}, nullptr);
  ASSERT_FALSE(learned.has_value());
  EXPECT_NE(learned.error().message.find("decode request"), std::string::npos)
      << learned.error().message;
  EXPECT_NE(learned.error().hint.find("several rates"), std::string::npos) << learned.error().hint;

  const FitLoad few{&lonely, 5};
  const auto too_few = learn({&few, 1}, nullptr);
  ASSERT_FALSE(too_few.has_value());
  EXPECT_NE(too_few.error().message.find("got 5 requests"), std::string::npos);
}

/// vLLM 0.19 on an RTX PRO 6000 (fixtures/traces): learned from the first half of the requests,
/// judged by the second half, which it has not seen.
TEST(Calibrate, PredictsTheHeldOutHalfOfARealRun) {
  const auto directory = TemporaryDirectory::make("touchstone-calibrate");
  CalibrateOptions options{
      .runs = {support::source_dir() + "/fixtures/traces/vllm-0.19-rtxpro6000-llama-3.1-8b"},
      .fit_share = 0.5,
      .output = directory->path() + "/model.json"};
  const auto report = calibrate(options);
  ASSERT_TRUE(report.has_value()) << report.error().message;
  EXPECT_LT(std::abs(report->figures.at("tpot_mean_error")), 0.005);
  EXPECT_LT(std::abs(report->figures.at("ttft_mean_error")), 0.02);
  EXPECT_LT(std::abs(report->figures.at("e2e_mean_error")), 0.01);
  const auto file = read_model_file(options.output);
  ASSERT_TRUE(file.has_value()) << file.error().message;
  ASSERT_EQ(file->origins.size(), 1u);
  EXPECT_EQ(file->origins[0].requests, 300);
  EXPECT_EQ(file->origins[0].fitted, 150);
  EXPECT_EQ(requests_learned_from(*file, file->origins[0].digests), 150u);
  EXPECT_EQ(requests_learned_from(*file, {{"requests.jsonl", "another"}}), 0u);
}

/// The same run, predicted from measured operations of the card (fixtures/operations): no time of
/// the run is used.
TEST(Calibrate, MeasuredOperationsPredictARunThatNobodySaw) {
  const auto file = compose_operations(
      {.folder = support::source_dir() + "/fixtures/operations",
       .system = "rtx_pro_6000_server",
       .model_config = support::source_dir() + "/fixtures/models/shapes/llama-8b/config.json"});
  ASSERT_TRUE(file.has_value()) << file.error().message;
  const auto load = read_measured_load(support::source_dir() +
                                       "/fixtures/traces/vllm-0.19-rtxpro6000-llama-3.1-8b");
  ASSERT_TRUE(load.has_value()) << load.error().message;
  const Errors errors = predict(*load, *file);
  EXPECT_EQ(errors.requests, 300);
  EXPECT_LT(std::abs(errors.tpot->mean), 0.06);
  EXPECT_LT(std::abs(errors.ttft->mean), 0.13);
  EXPECT_LT(std::abs(errors.e2e->mean), 0.08);
}

/// vLLM 0.32 on a CPU (fixtures/traces), from spans and arrivals alone: the light run predicts the
/// overloaded one of the same server process.
TEST(Calibrate, SpansOfALightRunPredictAnOverloadedOne) {
  const std::string folder = support::source_dir() + "/fixtures/traces/vllm-0.32-cpu/";
  const auto light = read_measured_load(folder + "c1/spans.otlp.jsonl.gz");
  const auto overload = read_measured_load(folder + "c2/spans.otlp.jsonl.gz");
  ASSERT_TRUE(light.has_value()) << light.error().message;
  ASSERT_TRUE(overload.has_value()) << overload.error().message;
  ASSERT_EQ(overload->requests.size(), 200u);
  const FitLoad fit{&*light, light->requests.size()};
  const auto learned = learn({&fit, 1}, nullptr);
  ASSERT_TRUE(learned.has_value()) << learned.error().message;
  const Errors errors = predict(*overload, learned->file);
  EXPECT_LT(std::abs(errors.tpot->mean), 0.03);
  EXPECT_LT(std::abs(errors.ttft->mean), 0.05);
  EXPECT_LT(std::abs(errors.e2e->mean), 0.05);
  // From the overload alone nothing is known of light loads, and it is said.
  const FitLoad heavy{&*overload, overload->requests.size()};
  const auto blind = learn({&heavy, 1}, nullptr);
  ASSERT_TRUE(blind.has_value()) << blind.error().message;
  ASSERT_FALSE(blind->file.notes.empty());
  EXPECT_NE(blind->file.notes.front().find("never lightly loaded"), std::string::npos);
}

TEST(Calibrate, BadOptionsAreOneClearMessage) {
  const auto message = [](const CalibrateOptions& options) {
    const auto report = calibrate(options);
    return report ? std::string() : report.error().message;
  };
  EXPECT_NE(message({}).find("got no run"), std::string::npos);
  EXPECT_NE(message({.runs = {"x"}, .fit_share = 0}).find("--fit-share"), std::string::npos);
  EXPECT_NE(message({.runs = {"/nowhere"}, .output = "x"}).find("/nowhere"), std::string::npos);
  EXPECT_NE(message({.runs = {"x"}, .profile = "y"}).find("--profile"), std::string::npos);
}

}  // namespace
}  // namespace touchstone::simulator
