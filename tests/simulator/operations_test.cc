// Models put together from measured operations, of small tables whose sums are known by hand.
#include "simulator/calibrate/operations.h"

#include <gtest/gtest.h>

#include "base/files.h"
#include "simulator/calibrate/operation_tables.h"
#include "simulator/calibrate/vllm_profile.h"

namespace touchstone::simulator {
namespace {

class OperationsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    write("card.yaml",
          "gpu: {mem_bw: 1.0e12, mem_bw_empirical_scaling_factor: 0.5,\n"
          "      mem_empirical_constant_latency: 0.000001}\n"
          "node: {intra_node_bw: 1.0e11, p2p_latency: 0.00001}\n");
    // A product takes its outputs times its inputs in nanoseconds, for 1 token or 100.
    std::string gemm = "m,n,k,latency\n";
    for (const int m : {1, 100}) {
      for (const int n : {10, 100}) {
        for (const int k : {10, 100}) {
          gemm += std::to_string(m) + "," + std::to_string(n) + "," + std::to_string(k) + "," +
                  std::to_string(m * n * k * 1e-6) + "\n";
        }
      }
    }
    write("card.gemm.bf16.csv", gemm);
    write("card.context_attention.bf16.csv",
          "batch_size,isl,step,num_heads,num_key_value_heads,head_dim,latency\n"
          "1,1,0,2,1,10,0.01\n1,100,0,2,1,10,0.11\n1,200,0,2,1,10,0.41\n9,1,0,2,1,10,99\n"
          "1,1,0,4,1,10,99\n");
    write("card.generation_attention.bf16.csv",
          "batch_size,isl,step,num_heads,num_key_value_heads,head_dim,latency\n"
          "1,1,0,2,1,10,0.01\n1,1,99,2,1,10,0.03\n8,1,0,2,1,10,0.01\n8,1,99,2,1,10,0.17\n");
    write("config.json",
          R"({"hidden_size":20,"intermediate_size":50,"num_hidden_layers":3,)"
          R"("num_attention_heads":2,"num_key_value_heads":1,"head_dim":10,"vocab_size":100})");
  }
  void write(const std::string& name, const std::string& text) {
    ASSERT_TRUE(write_file_atomic(directory_.path() + "/" + name, text).has_value());
  }
  OperationsOptions options() const {
    return {.folder = directory_.path(),
            .system = "card",
            .model_config = directory_.path() + "/config.json"};
  }
  TemporaryDirectory directory_ = TemporaryDirectory::make("touchstone-operations").value();
};

TEST_F(OperationsTest, AStepIsTheSumOfItsOperations) {
  const auto file = compose_operations(options());
  ASSERT_TRUE(file.has_value()) << file.error().message;
  const auto& table = std::get<StepTable>(file->shape);
  // One token: qkv 40 x 20, out 20 x 20, gate and up 100 x 20, down 20 x 50 in nanoseconds.
  const double gemm = 40 * 20 + 20 * 20 + 100 * 20 + 20 * 50;
  // Bytes at 500 a nanosecond: norms, rotation, cache, activation.
  const double moved = 2.0 * (2 * 4 * 20 + 2 * 30 + 2 * 20 + 3 * 50) / 500;
  const double embedding = 2.0 * 2 * 20 / 500;
  EXPECT_NEAR(table.dense.at(0, 1), 3 * (gemm + moved + 10'000 + 32'000) + embedding, 0.01);
  EXPECT_NEAR(table.head.at(0, 1), 20 * 100 + 3 * 1000 + 3.0 * 100 * 4 / 500, 0.01);
  // Beyond the launch of 10 us, for three layers.
  EXPECT_NEAR(table.decode_attention.at(8, 100), 3 * 160'000, 1);
  EXPECT_NEAR(table.decode_attention.at(1, 1), 0, 1e-6);
  EXPECT_NEAR(table.prefill_attention.at(100, 0), 3 * 100'000, 1);
  EXPECT_NEAR(table.prefill_attention.at(100, 100), 3 * 300'000, 1) << "200 less the first 100";
  EXPECT_EQ(file->origins.front().digests.size(), 4u);

  StepNoise noise(0, "n");
  const StepFeatures decode{
      .decode_requests = 8, .sampled_requests = 8, .context_tokens = 800, .longest_context = 100};
  EXPECT_NEAR(static_cast<double>(make_step_time(*file)->duration_ns(decode, noise)),
              126e3 + 8 * 4.4e3 + table.dense.at(0, 8) + table.head.at(0, 8) + 3 * 160'000, 2);
  StepFeatures uneven = decode;
  uneven.longest_context = 199;
  EXPECT_NEAR(static_cast<double>(make_step_time(*file)->duration_ns(uneven, noise) -
                                  make_step_time(*file)->duration_ns(decode, noise)),
              0.045 * 3 * 160'000, 2)
      << "a part of what all of them that long would add";
}

TEST_F(OperationsTest, SeveralCardsShareTheWorkAndExchange) {
  OperationsOptions two = options();
  two.tensor_parallel = 2;
  write("card.context_attention.bf16.csv",
        "batch_size,isl,step,num_heads,num_key_value_heads,head_dim,latency\n"
        "1,1,0,1,1,10,0.01\n1,100,0,1,1,10,0.06\n");
  write("card.generation_attention.bf16.csv",
        "batch_size,isl,step,num_heads,num_key_value_heads,head_dim,latency\n"
        "1,1,0,1,1,10,0.01\n1,1,99,1,1,10,0.02\n8,1,0,1,1,10,0.01\n8,1,99,1,1,10,0.09\n");
  const auto file = compose_operations(two);
  ASSERT_TRUE(file.has_value()) << file.error().message;
  const auto one = std::get<StepTable>(file->shape).dense.at(0, 1);
  const double exchange = 2 * (10'000 + 2 * 0.5 * 20 * 2 / 100);
  const double gemm = 20 * 20 + 20 * 10 + 50 * 20 + 20 * 25;
  EXPECT_NEAR(one, 3 * (gemm + 42'000 + exchange), 5);
  two.tensor_parallel = 3;
  EXPECT_NE(compose_operations(two).error().message.find("--tp: got 3"), std::string::npos);
}

TEST_F(OperationsTest, WhatIsMissingIsNamed) {
  OperationsOptions other = options();
  other.system = "tpu";
  EXPECT_EQ(compose_operations(other).error().code, ErrorCode::kNotFound);
  write("config.json", R"({"hidden_size":20,"num_experts":8})");
  EXPECT_EQ(compose_operations(options()).error().code, ErrorCode::kUnsupported);
  write("config.json", R"({"hidden_size":20,"intermediate_size":50,"num_hidden_layers":3,)"
                       R"("num_attention_heads":5,"num_key_value_heads":5,"vocab_size":100})");
  const auto heads = compose_operations(options());
  ASSERT_FALSE(heads.has_value());
  EXPECT_NE(heads.error().message.find("5 heads and 5 key-value heads of 4"), std::string::npos);
  SetUp();
  write("card.gemm.bf16.csv", "m,n,k,latency\n1,2,x,4\n");
  const auto number = compose_operations(options());
  EXPECT_NE(number.error().message.find("card.gemm.bf16.csv:2: k: got \"x\""), std::string::npos)
      << number.error().message;
  write("card.gemm.bf16.csv", "m,n,latency\n");
  EXPECT_NE(compose_operations(options()).error().message.find("without k, expected m,n,k,latency"),
            std::string::npos);
}

TEST_F(OperationsTest, AProfileOfLayersIsATableToo) {
  write("dense.csv",
        "layer,tokens,time_us\nembedding,1,7\nembedding,10,7\nlayernorm,1,2\nlayernorm,10,4\n"
        "qkv_proj,1,10\nqkv_proj,10,20\n");
  write("per_sequence.csv",
        "layer,sequences,time_us\nlm_head,1,5\nlm_head,2,6\nsampler,1,1\n"
        "sampler,2,2\n");
  write("attention.csv",
        "prefill_chunk,kv_prefill,n_decode,kv_decode,time_us\n0,0,1,16,8\n0,0,1,32,9\n0,0,2,16,9\n"
        "0,0,2,32,12\n16,0,0,0,10\n16,16,0,0,12\n32,0,0,0,20\n32,16,0,0,24\n16,0,1,16,15\n");
  write("skew_fit.csv", "pc,alpha,n_samples\n0,0.1,3\n0,0.3,1\n9,0.9,5\n");
  const auto file = compose_vllm_profile(directory_.path(), directory_.path() + "/config.json");
  ASSERT_TRUE(file.has_value()) << file.error().message;
  const auto& table = std::get<StepTable>(file->shape);
  EXPECT_DOUBLE_EQ(table.dense.at(0, 1), (7 + 3 * (2 * 2 + 10)) * 1e3) << "two norms in a block";
  EXPECT_DOUBLE_EQ(table.head.at(0, 2), 8e3);
  EXPECT_DOUBLE_EQ(table.skew, 0.15);
  EXPECT_DOUBLE_EQ(table.decode_attention.at(2, 32), 3 * 12e3);
  EXPECT_DOUBLE_EQ(table.prefill_attention.at(32, 16), 3 * 24e3);
}

}  // namespace
}  // namespace touchstone::simulator
