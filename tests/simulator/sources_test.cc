#include "simulator/sources.h"

#include <gtest/gtest.h>

#include "reference_engine/scheduler/block_hash.h"
#include "tests/simulator/support.h"

namespace touchstone::simulator {
namespace {

workload::Request request(int64_t prompt, int64_t output) {
  workload::Request r;
  r.name = "x";
  r.prompt_tokens = prompt;
  r.output_tokens = output;
  return r;
}

std::vector<scheduler::BlockHash> hashes(const scheduler::NewRequest& request) {
  std::vector<scheduler::BlockHash> made;
  request.hash_source->extend(made, request.hash_source->size());
  return made;
}

std::vector<scheduler::BlockHash> hashes(const workload::Request& r, uint64_t id,
                                         int32_t block_size) {
  scheduler::Config config = small_config();
  config.block_size = block_size;
  return hashes(simulated_requests(r, id, config)->front().request);
}

size_t shared(const std::vector<scheduler::BlockHash>& a,
              const std::vector<scheduler::BlockHash>& b) {
  size_t n = 0;
  while (n < std::min(a.size(), b.size()) && a[n] == b[n]) ++n;
  return n;
}

TEST(Sources, PrefixIdsShareBlocksWhateverTheBlockSize) {
  workload::Request a = request(100, 10);
  a.prefix_block_size = 16;
  a.prefix_block_ids = {1, 2, 3};
  workload::Request b = a;
  b.prefix_block_ids = {1, 2, 4};
  // 32 tokens are equal: as many full blocks as fit into them.
  for (const auto& [block_size, blocks] :
       {std::pair{16, 2u}, {8, 4u}, {4, 8u}, {32, 1u}, {12, 2u}, {64, 0u}}) {
    const auto first = hashes(a, 1, block_size);
    EXPECT_EQ(shared(first, hashes(b, 2, block_size)), blocks) << block_size;
    EXPECT_EQ(first.size(), static_cast<size_t>(110 / block_size));
    EXPECT_EQ(shared(first, hashes(a, 3, block_size)), static_cast<size_t>(48 / block_size))
        << "after the known prefix nothing is shared";
  }
}

TEST(Sources, TokenIdsAreHashedAsTheEngineDoes) {
  workload::Request r = request(10, 6);
  for (int32_t t = 0; t < 10; ++t) r.prompt_token_ids.push_back(t);
  const auto got = hashes(r, 1, 4);
  const auto expected = scheduler::hash_blocks({}, r.prompt_token_ids, 4);
  EXPECT_EQ(shared(got, expected), 2u);
  EXPECT_EQ(got.size(), 4u);
}

TEST(Sources, ARequestThatWaitsHoldsNoHashesAndMakesThemPieceByPiece) {
  workload::Request r = request(100, 10);
  r.prefix_block_size = 16;
  r.prefix_block_ids = {1, 2, 3};
  const scheduler::NewRequest made = simulated_requests(r, 1, small_config())->front().request;
  EXPECT_TRUE(made.block_hashes.empty());
  std::vector<scheduler::BlockHash> pieces;
  for (size_t count = 0; count <= made.hash_source->size(); count += 5) {
    made.hash_source->extend(pieces, count);
    EXPECT_EQ(pieces.size(), count);
  }
  EXPECT_EQ(shared(pieces, hashes(made)), pieces.size());
}

TEST(Sources, ChoicesShareThePromptOnly) {
  workload::Request r = request(12, 8);
  r.sampling.n = 3;
  const auto made = simulated_requests(r, 7, small_config()).value();
  ASSERT_EQ(made.size(), 3u);
  EXPECT_EQ(made[2].request.id, 9u);
  EXPECT_EQ(made[1].name, "x-1");
  EXPECT_EQ(shared(hashes(made[0].request), hashes(made[2].request)), 3u);
}

TEST(Sources, AHangUpEndsTheRequestThere) {
  workload::Request r = request(12, 8);
  r.stream = true;
  r.hang_up_after_chunks = 3;
  const auto made = simulated_requests(r, 1, small_config()).value();
  EXPECT_EQ(made[0].request.max_tokens, 3);
  EXPECT_EQ(made[0].outcome, records::Outcome::kAbort);
}

TEST(Sources, WhatTheServerRefusesIsNotSimulatedAndWhatIsUnknownIsAnError) {
  workload::Request r = request(12, 8);
  r.expect_status = 400;
  EXPECT_TRUE(simulated_requests(r, 1, small_config())->empty());
  for (const auto& [prompt, output, expected] :
       {std::tuple{0, 8, "prompt_tokens: got none"},
        {12, 0, "output_tokens: got 0"},
        {200, 8, "prompt_tokens: got 200, expected at most 199"}}) {
    const auto made = simulated_requests(request(prompt, output), 1, small_config());
    ASSERT_FALSE(made.has_value()) << expected;
    EXPECT_NE(made.error().message.find(expected), std::string::npos) << made.error().message;
  }
}

TEST(Sources, BlockHashesAreReadAsTheyAreWritten) {
  const scheduler::BlockHash hash{{0x0123456789abcdefu, 0xfedcba9876543210u}};
  records::RequestRecord record;
  record.block_hashes = {to_hex(hash)};
  EXPECT_EQ(parse_block_hashes(record)->front(), hash);
  for (const char* bad : {"", "01", "0123456789abcdeffedcba987654321g"}) {
    record.block_hashes = {bad};
    EXPECT_FALSE(parse_block_hashes(record).has_value()) << bad;
  }
}

TEST(Sources, RecordsArriveInOrderFromZero) {
  std::vector<records::RequestRecord> records(3);
  for (size_t i = 0; i < 3; ++i) {
    records[i].id = i + 1;
    records[i].arrival_ns = 1000 - static_cast<int64_t>(i) * 100;
    records[i].prompt_tokens = 5;
    records[i].completion_tokens = 2;
  }
  records[0].outcome = records::Outcome::kRefused;
  records[1].completion_tokens = 0;
  records[1].outcome = records::Outcome::kAbort;
  records[1].finished_ns = 950;
  const auto source = make_record_source(records);
  SimulatedRequest r;
  ASSERT_TRUE(source->next(r).value());
  EXPECT_EQ(r.request.id, 3u);
  EXPECT_EQ(r.request.arrival_ns, 0);
  ASSERT_TRUE(source->next(r).value());
  EXPECT_EQ(r.request.id, 2u);
  EXPECT_EQ(r.request.arrival_ns, 100);
  EXPECT_EQ(r.abort_ns, 150);
  EXPECT_FALSE(source->next(r).value());
}

}  // namespace
}  // namespace touchstone::simulator
