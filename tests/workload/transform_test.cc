// Workloads made of workloads, and what one is like.
#include "workload/transform.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "base/random.h"
#include "workload/describe.h"
#include "workload/generate.h"

namespace touchstone::workload {
namespace {

using ::testing::HasSubstr;
using Reader = std::unique_ptr<RequestReader>;

class ListReader final : public RequestReader {
 public:
  explicit ListReader(std::vector<Request> requests) : requests_(std::move(requests)) {}
  Result<bool> next(Request& request) override {
    if (next_ == requests_.size()) return false;
    request = requests_[next_++];
    return true;
  }
  std::string where() const override { return "list"; }

 private:
  const std::vector<Request> requests_;
  size_t next_ = 0;
};

Request request(const char* name, int64_t arrival_ns, std::vector<uint64_t> blocks = {}) {
  Request r;
  r.name = name;
  r.arrival_ns = arrival_ns;
  r.prompt_tokens = 64;
  r.output_tokens = 10;
  r.prefix_block_ids = std::move(blocks);
  r.prefix_block_size = r.prefix_block_ids.empty() ? 0 : 16;
  return r;
}

Reader list(std::vector<Request> requests) {
  return std::make_unique<ListReader>(std::move(requests));
}

std::vector<Request> all_of(RequestReader& reader) {
  std::vector<Request> requests;
  Request r;
  while (reader.next(r).value()) requests.push_back(r);
  return requests;
}

TEST(Transform, ScaledIsFasterAndLonger) {
  auto scaled = make_scaled(list({request("a", 100, {1, 2, 3, 4}), request("b", 300)}),
                            {.rate = 2, .prompt_tokens = 0.5, .output_tokens = 3});
  const std::vector<Request> made = all_of(**scaled);
  EXPECT_EQ(made[0].arrival_ns, 50);
  EXPECT_EQ(made[1].arrival_ns, 150);
  EXPECT_EQ(made[0].prompt_tokens, 32);
  EXPECT_EQ(made[0].output_tokens, 30);
  EXPECT_EQ(made[0].prefix_block_ids, (std::vector<uint64_t>{1, 2})) << "those that still fit";
  Request with_text = request("c", 0);
  with_text.prompt = "text";
  auto refused = make_scaled(list({with_text}), {.prompt_tokens = 2});
  Request ignored;
  EXPECT_THAT((*refused)->next(ignored).error().message, HasSubstr("got a prompt of its own"));
}

TEST(Transform, ThinnedKeepsTheShareAndWholeSessions) {
  std::vector<Request> requests;
  for (int i = 0; i < 20'000; ++i) {
    requests.push_back(request(("r" + std::to_string(i)).c_str(), i));
    requests.back().session = "s" + std::to_string(i / 4);
  }
  const auto kept = all_of(**make_thinned(list(requests), 0.3, 7));
  EXPECT_NEAR(static_cast<double>(kept.size()), 6000, 300);
  std::map<std::string, int> turns;
  for (const Request& r : kept) ++turns[r.session];
  for (const auto& [session, count] : turns) EXPECT_EQ(count, 4) << session;
}

TEST(Transform, AWindowBeginsWhereItIsTold) {
  const auto made = all_of(
      **make_window(list({request("a", 5), request("b", 10), request("c", 19), request("d", 20)}),
                    {.from_ns = 10, .length_ns = 10, .at_ns = 100}));
  ASSERT_EQ(made.size(), 2u);
  EXPECT_EQ(made[0].name, "b");
  EXPECT_EQ(made[0].arrival_ns, 100);
  EXPECT_EQ(made[1].arrival_ns, 109);
}

TEST(Transform, SplicedWorkloadsShareNothing) {
  const std::vector<Request> one = {request("a", 5, {1, 2}), request("b", 20, {1})};
  std::vector<Reader> inputs;
  inputs.push_back(list(one));
  inputs.push_back(list(one));
  const auto together = all_of(**make_spliced(std::move(inputs), {}));
  ASSERT_EQ(together.size(), 4u);
  std::set<std::string> names;
  for (const Request& r : together) names.insert(r.name);
  EXPECT_EQ(names.size(), 4u);
  EXPECT_EQ(together[0].arrival_ns, 5);
  EXPECT_EQ(together[1].arrival_ns, 5);
  EXPECT_EQ(together[3].arrival_ns, 20);
  EXPECT_NE(together[0].prefix_block_ids[0], together[1].prefix_block_ids[0]);
  EXPECT_EQ(together[0].prefix_block_ids[0], together[2].prefix_block_ids[0])
      << "within an input they still do";
  inputs.clear();
  inputs.push_back(list(one));
  inputs.push_back(list(one));
  const auto in_turn =
      all_of(**make_spliced(std::move(inputs), {.one_after_another = true, .gap_ns = 100}));
  EXPECT_EQ(in_turn[2].arrival_ns, 20 + 100 + 5);
  EXPECT_EQ(in_turn[3].arrival_ns, 20 + 100 + 20);
}

TEST(Transform, BadOptionsAreRefused) {
  EXPECT_THAT(make_scaled(list({}), {.rate = 0}).error().message, HasSubstr("rate: got 0"));
  EXPECT_THAT(make_scaled(list({}), {.rate = NAN}).error().message, HasSubstr("rate: got nan"));
  EXPECT_THAT(make_thinned(list({}), 0, 1).error().message, HasSubstr("share: got 0"));
  EXPECT_THAT(make_thinned(list({}), 1.5, 1).error().message, HasSubstr("share: got 1.5"));
  EXPECT_THAT(make_window(list({}), {.from_ns = -1}).error().message, HasSubstr("negative"));
  std::vector<Reader> inputs;
  inputs.push_back(list({}));
  EXPECT_THAT(make_spliced(std::move(inputs), {.gap_ns = -1}).error().message,
              HasSubstr("negative"));
  Request r;
  auto late = make_scaled(list({request("a", INT64_MAX)}), {.rate = 0.5});
  EXPECT_THAT((*late)->next(r).error().message, HasSubstr("beyond 292 years"));
}

TEST(Describe, APoissonLoadLooksLikeOne) {
  Generator generator({.seed = 3, .requests = 40'000, .rate_per_s = 50});
  const auto d = describe(generator);
  ASSERT_TRUE(d.has_value());
  EXPECT_EQ(d->requests, 40'000);
  EXPECT_NEAR(d->rate_per_s(), 50, 1);
  EXPECT_NEAR(d->gap_variation, 1, 0.03);
  EXPECT_NEAR(d->dispersion.value(), 1, 0.2);
  EXPECT_NEAR(d->prompt_tokens.mean(), 320, 2);
  EXPECT_EQ(d->prompt_tokens.most(), 512);
  EXPECT_FALSE(d->reuse.share().has_value());
}

TEST(Describe, QuantilesOfTheSketchAreWithinItsError) {
  LengthSketch sketch;
  RandomStream random(4, "lengths");
  std::vector<double> values;
  for (int i = 0; i < 10'000; ++i) {
    values.push_back(std::ceil(random.exponential(700)));
    sketch.add(values.back());
  }
  std::sort(values.begin(), values.end());
  for (const double q : {0.0, 0.01, 0.5, 0.95, 0.999, 1.0}) {
    const double exact = values[static_cast<size_t>(q * 9999)];
    EXPECT_NEAR(sketch.quantile(q), exact, exact * LengthSketch::kError * 1.0001) << q;
  }
}

TEST(Describe, SharedBlocksAreCountedAndBeyondTheMemoryEstimated) {
  std::vector<Request> requests = {request("a", 0, {1, 2, 3, 4}), request("b", 1, {1, 2, 9})};
  const auto d = describe(*list(requests));
  EXPECT_DOUBLE_EQ(d->reuse.share().value(), 2.0 / 7);
  EXPECT_DOUBLE_EQ(d->reuse.share_of_tokens().value(), 2.0 / 7 * (7 * 16) / 128);
  EXPECT_FALSE(d->reuse.sampled());
  ReuseSketch many;
  Request r = request("c", 0, {0});
  // Three million ids, each twice: half of the blocks were seen before.
  for (uint64_t id = 0; id < 3'000'000; ++id) {
    r.prefix_block_ids[0] = id;
    many.add(r);
    many.add(r);
  }
  EXPECT_TRUE(many.sampled());
  EXPECT_DOUBLE_EQ(many.share().value(), 0.5);
}

TEST(Describe, SlotsGrowWithTheLength) {
  std::vector<Request> requests;
  for (int64_t i = 0; i <= 10'000; ++i) requests.push_back(request("r", i * 1'000'000'000));
  const auto d = describe(*list(requests));
  EXPECT_EQ(d->slot_ns, 4'000'000'000);
  EXPECT_LE(d->slots.size(), Description::kMostSlots);
  int64_t sum = 0;
  for (const int64_t count : d->slots) sum += count;
  EXPECT_EQ(sum, 10'001);
  EXPECT_EQ(d->slots[1], 4);
  EXPECT_THAT(describe(*list({})).error().message, HasSubstr("list: got no request"));
}

}  // namespace
}  // namespace touchstone::workload
