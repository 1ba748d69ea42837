#include "simulator/steptime/model_file.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/files.h"
#include "simulator/steptime/grid.h"
#include "simulator/steptime/least_squares.h"
#include "simulator/steptime/parse.h"
#include "simulator/steptime/roofline.h"
#include "simulator/steptime/terms_shape.h"
#include "tests/support/paths.h"

namespace touchstone::simulator {
namespace {

TEST(Grid, InterpolatesWithinAndGoesOnBeyond) {
  const auto grid = Grid::make({1, 3}, {10, 20, 40}, {1, 2, 6, 5, 6, 10});
  ASSERT_TRUE(grid.has_value()) << grid.error().message;
  EXPECT_DOUBLE_EQ(grid->at(1, 20), 2);
  EXPECT_DOUBLE_EQ(grid->at(2, 30), 6) << "the middle of 2, 6, 6 and 10";
  EXPECT_DOUBLE_EQ(grid->at(1, 60), 10) << "the last line goes on";
  EXPECT_DOUBLE_EQ(grid->at(5, 10), 9);
  EXPECT_DOUBLE_EQ(grid->at(0, 0), 1) << "the first value holds";
  EXPECT_DOUBLE_EQ(Grid().at(7, 7), 0);
  EXPECT_FALSE(Grid::make({1, 1}, {1}, {1, 1}).has_value());
  EXPECT_FALSE(Grid::make({1}, {1, 2}, {1}).has_value());
  EXPECT_FALSE(Grid::make({1}, {1}, {std::nan("")}).has_value());
  EXPECT_FALSE(Grid::make({1}, {1}, {-1}).has_value());
}

TEST(LeastSquares, IsExactNonNegativeAndRobust) {
  LeastSquares problem;
  for (int i = 1; i <= 40; ++i) {
    const double x = i % 7;
    problem.add({1.0, x, -x}, 5 + 2 * x + (i == 20 ? 1000 : 0), 1);
  }
  EXPECT_EQ(identified_columns(problem), 0b011u) << "the third is the second again";
  const auto fit = fit_non_negative(problem, 0b111, {.finest = 1e-6});
  ASSERT_TRUE(fit.has_value());
  EXPECT_NEAR((*fit)[0], 5, 1e-4);
  EXPECT_NEAR((*fit)[1], 2, 1e-4);
  EXPECT_EQ((*fit)[2], 0);
}

/// Chance moves single steps, lasts for a while, and leaves the mean alone.
TEST(LearnedStepTime, NoiseHasMeanOneAndTheGivenSpreadAndCorrelation) {
  const auto model = make_learned_step_time({.shape = make_terms_shape({1e7, 0, 0, 0, 0}, {}),
                                             .noise = {.sigma = 0.2, .correlation = 0.7}});
  StepNoise noise(5, "steps");
  constexpr int kSteps = 40'000;
  double sum = 0;
  std::vector<double> logs;
  for (int i = 0; i < kSteps; ++i) {
    const double time = static_cast<double>(model->duration_ns({}, noise)) / 1e7;
    sum += time;
    logs.push_back(std::log(time) + 0.02);
  }
  double square = 0;
  double product = 0;
  for (int i = 1; i < kSteps; ++i) {
    square += logs[i] * logs[i];
    product += logs[i] * logs[i - 1];
  }
  EXPECT_NEAR(sum / kSteps, 1, 0.01);
  EXPECT_NEAR(std::sqrt(square / kSteps), 0.2, 0.01);
  EXPECT_NEAR(product / square, 0.7, 0.02);
}

class ModelFileTest : public ::testing::Test {
 protected:
  Result<ModelFile> read(const std::string& text) {
    EXPECT_TRUE(write_file_atomic(path(), text).has_value());
    return read_model_file(path());
  }
  std::string path() const { return directory_.path() + "/model.json"; }
  TemporaryDirectory directory_ = TemporaryDirectory::make("touchstone-model").value();
};

ModelFile example() {
  ModelFile file;
  file.shape = StepTerms{12.5e6, 41'000, 22'000.25, 92, 0};
  file.validity.high = {.step = INT64_MAX,
                        .prefill_requests = 9,
                        .prefill_tokens = 2048,
                        .decode_requests = 128,
                        .sampled_requests = 130,
                        .context_tokens = 300'000,
                        .prefill_attention = 5'000'000};
  file.anchor = {1.14, 0.97, true};
  file.noise = {0.06, 0.6};
  file.frontend = {6e6, 1000, 2e6, 300};
  file.unidentified = {"attention pair"};
  file.held_out = {{"tpot_mean_error", -0.001}};
  file.origins = {{.name = "c1",
                   .engine = "vllm 0.32.0",
                   .model = "m",
                   .hardware = "h",
                   .role = "shape and anchor",
                   .requests = 300,
                   .fitted = 150,
                   .digests = {{"requests.jsonl", "ab"}}}};
  file.notes = {"a note"};
  return file;
}

TEST_F(ModelFileTest, IsReadAsItWasWritten) {
  ModelFile file = example();
  auto again = read(model_file_json(file));
  ASSERT_TRUE(again.has_value()) << again.error().message;
  EXPECT_EQ(model_file_json(*again), model_file_json(file));
  StepNoise noise(0, "n");
  file.noise = again->noise = {};
  const StepFeatures f{.prefill_tokens = 100, .decode_requests = 8, .context_tokens = 900};
  EXPECT_EQ(make_step_time(*again)->duration_ns(f, noise),
            std::llround(1.14 * (12.5e6 + 8 * 22'000.25 + 900 * 92) + 0.97 * 100 * 41'000));
  EXPECT_EQ(make_step_time(*again)->frontend().in_ns, 6e6);
  EXPECT_TRUE(make_step_time(*again)->validity().contains(f));
  EXPECT_FALSE(make_step_time(*again)->validity().contains({.decode_requests = 129}));

  StepTable table{.step_ns = 100, .request_ns = 10, .what = "a card"};
  table.dense = *Grid::make({0}, {1, 1000}, {1000, 2000});
  table.decode_attention = *Grid::make({1, 8}, {1, 100}, {1, 100, 8, 800});
  file.shape = table;
  again = read(model_file_json(file));
  ASSERT_TRUE(again.has_value()) << again.error().message;
  EXPECT_EQ(model_file_json(*again), model_file_json(file));
}

TEST_F(ModelFileTest, IsWhatSteptimeReads) {
  ASSERT_TRUE(write_file_atomic(path(), model_file_json(example())).has_value());
  const auto model = parse_step_time(path(), {});
  ASSERT_TRUE(model.has_value()) << model.error().message;
  EXPECT_NE((*model)->describe().find("decode x 1.140"), std::string::npos);
  EXPECT_NE((*model)->describe().find("vary by 6.0 %"), std::string::npos);
}

TEST_F(ModelFileTest, BadFilesSayWhatAndWhere) {
  const std::string good = model_file_json(example());
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    const size_t place = text.find(from);
    EXPECT_NE(place, std::string::npos) << from;
    return text.replace(place, from.size(), to);
  };
  const std::pair<std::string, const char*> rows[] = {
      {"{}", "got no touchstone step-time model"},
      {"[", "model.json"},
      {with("\"version\": 1", "\"version\": 2"), "version: got 2, expected 1"},
      {with("\"step\": 12500000.0", "\"step\": -1"), "step: got -1"},
      {with("\"sigma\": 0.06", "\"sigma\": \"much\""), "sigma"},
      {with("\"correlation\": 0.6", "\"correlation\": 1"), "correlation"},
      {with("\"anchor\"", "\"anker\""), "anchor"},
      {with("128\n", "-1\n"), "expected [lowest, highest]"},
  };
  for (const auto& [text, expected] : rows) {
    const auto file = read(text);
    ASSERT_FALSE(file.has_value()) << expected;
    EXPECT_NE(file.error().message.find(expected), std::string::npos) << file.error().message;
  }
  EXPECT_EQ(parse_step_time("/nowhere/model.json", {}).error().code, ErrorCode::kNotFound);
}

/// By hand: the weights of an 8-billion-parameter model in 16 bits over four fifths of 3.35 TB/s.
TEST(Roofline, AStepOfOneReadsTheWeights) {
  const std::string config = support::source_dir() + "/fixtures/models/shapes/llama-8b/config.json";
  const auto model = parse_step_time("roofline:h100_sxm," + config, {});
  ASSERT_TRUE(model.has_value()) << model.error().message;
  StepNoise noise(0, "n");
  const double one_ms = 1e-6 * static_cast<double>((*model)->duration_ns(
                                   {.decode_requests = 1, .sampled_requests = 1}, noise));
  constexpr double kParameters =
      32.0 * (4096 * 6144 + 4096 * 4096 + 3.0 * 4096 * 14336) + 4096.0 * 128256;
  const double host_ms = 0.126 + 32 * 0.032 + 0.0044;
  EXPECT_NEAR(one_ms, 2 * kParameters / (0.8 * 3.35e12) * 1e3 + host_ms, 0.001);
  // A long prompt computes: 2 operations a parameter and token at 45 % of 989 TFLOPS.
  const double long_ms = 1e-6 * static_cast<double>((*model)->duration_ns(
                                    {.prefill_requests = 1, .prefill_tokens = 4000}, noise));
  EXPECT_NEAR(long_ms, 2 * (kParameters - 4096.0 * 128256) * 4000 / (0.45 * 989e12) * 1e3 + host_ms,
              0.001);
  for (const char* bad :
       {"roofline:h100_sxm", "roofline:tpu,x.json", "roofline:h100_sxm,/no.json"}) {
    EXPECT_FALSE(parse_step_time(bad, {}).has_value()) << bad;
  }
  EXPECT_FALSE(parse_step_time("roofline:h100_sxm," + config + ",int3", {}).has_value());
  EXPECT_FALSE(parse_step_time("roofline:h100_sxm," + config + ",fp8,0", {}).has_value());
}

}  // namespace
}  // namespace touchstone::simulator
