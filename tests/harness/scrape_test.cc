#include "harness/scrape.h"

#include <gtest/gtest.h>

namespace touchstone::harness {
namespace {

TEST(Scrape, TheCacheOfAServerIsInItsMetrics) {
  const auto page = telemetry::parse_prometheus_text(
      "page",
      "# TYPE vllm:cache_config_info gauge\n"
      "vllm:cache_config_info{block_size=\"32\",enable_prefix_caching=\"True\","
      "num_gpu_blocks=\"200\",num_gpu_blocks_override=\"None\"} 1.0\n");
  ASSERT_TRUE(page);
  EXPECT_EQ(cache_settings(*page), (records::Settings{{"num_gpu_blocks_override", int64_t{200}},
                                                      {"block_size", int64_t{32}},
                                                      {"enable_prefix_caching", true}}));
  EXPECT_TRUE(cache_settings({}).empty());
}

TEST(Scrape, AUrlIsUnderstoodAsClientsOfTheApiAreGivenIt) {
  EXPECT_EQ(*server_base("http://host:8000"), "http://host:8000");
  EXPECT_EQ(*server_base("http://host:8000/"), "http://host:8000");
  EXPECT_EQ(*server_base("http://host:8000/v1"), "http://host:8000");
  EXPECT_EQ(*server_base("https://host/llm/v1/"), "https://host:443/llm");
  EXPECT_FALSE(server_base("host:8000"));
}

}  // namespace
}  // namespace touchstone::harness
