// Backends in shared objects: the CPU backend behind the C table equals the linked one bit by bit,
// and whatever is wrong with a plugin is said.
#include "reference_engine/backend/plugin.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "reference_engine/backend/plugin_backend.h"
#include "tests/backend/backend_fixture.h"
#include "tests/backend/runner.h"

namespace touchstone::backend {
namespace {

constexpr int32_t kBlocks = 128;
constexpr int32_t kVocab = 2048;

std::string plugin(const std::string& name) {
  return std::string(TOUCHSTONE_TEST_PLUGINS) + "/" + name + ".so";
}

const BackendFactory& cpu_plugin() {
  static const std::unique_ptr<BackendFactory> kFactory =
      std::move(load_plugin(TOUCHSTONE_CPU_PLUGIN)).value();
  return *kFactory;
}

std::unique_ptr<Backend> start(const BackendFactory& factory, const BackendOptions& options) {
  auto backend = factory.create(cpu::fixture("vllm-capture"), options).value();
  BASE_CHECK(backend->allocate_kv(kBlocks, 16).has_value());
  return backend;
}

TEST(Plugin, SaysTheSameOfItselfAsTheLinkedBackend) {
  const auto linked = cpu::cpu_factory();
  ASSERT_TRUE(cpu_plugin().probe());
  const Capabilities a = linked->capabilities().value();
  const Capabilities b = cpu_plugin().capabilities().value();
  EXPECT_EQ(a.dtypes, b.dtypes);
  EXPECT_EQ(a.default_block_size, b.default_block_size);
  EXPECT_EQ(a.block_size_multiple, b.block_size_multiple);
  EXPECT_EQ(a.max_block_size, b.max_block_size);
  EXPECT_EQ(a.default_max_num_seqs, b.default_max_num_seqs);
  EXPECT_EQ(a.default_max_num_batched_tokens, b.default_max_num_batched_tokens);
  EXPECT_EQ(a.default_kv_cache_bytes, b.default_kv_cache_bytes);
  EXPECT_EQ(a.max_plans_in_flight, b.max_plans_in_flight);
  EXPECT_EQ(a.max_adapters, b.max_adapters);
  const BackendOptions options{.settings = {{"threads", "1"}}};
  const auto own = start(*linked, options);
  const auto other = start(cpu_plugin(), options);
  EXPECT_EQ(own->model().architecture, other->model().architecture);
  EXPECT_EQ(own->model().num_parameters, other->model().num_parameters);
  EXPECT_EQ(own->model().weight_bytes, other->model().weight_bytes);
  EXPECT_EQ(own->model().kernels, other->model().kernels);
  EXPECT_EQ(own->model().dtype, other->model().dtype);
  const Limits limits{
      .max_num_batched_tokens = 512, .max_num_seqs = 8, .max_model_len = 256, .block_size = 16};
  const Sizes sizes = own->size(limits).value();
  const Sizes others = other->size(limits).value();
  EXPECT_EQ(sizes.weight_bytes, others.weight_bytes);
  EXPECT_EQ(sizes.workspace_bytes, others.workspace_bytes);
  EXPECT_EQ(sizes.kv_block_bytes, others.kv_block_bytes);
  EXPECT_GT(sizes.workspace_bytes, 0);
  EXPECT_GT(others.free_bytes, 0);
  EXPECT_GE(others.total_bytes, others.free_bytes);
}

TEST(Plugin, YieldsTheBitsOfTheLinkedBackend) {
  for (const char* dtype : {"float32", "bfloat16"}) {
    const BackendOptions options{.dtype = dtype, .settings = {{"threads", "2"}}};
    const auto linked = start(*cpu::cpu_factory(), options);
    const auto loaded = start(cpu_plugin(), options);
    for (uint64_t seed = 0; seed < 4; ++seed) {
      const std::vector<Job> jobs = random_jobs(seed, 1 + seed * 4, kVocab);
      const Pace pace = seed % 2 == 0 ? Pace::kOneByOne : Pace::kOneAhead;
      const auto expected = play(*linked, jobs, kBlocks, 16, Pace::kOneByOne, seed);
      const auto got = play(*loaded, jobs, kBlocks, 16, pace, seed + 100);
      for (size_t i = 0; i < jobs.size(); ++i) {
        ASSERT_FALSE(expected[i].tokens.empty());
        ASSERT_TRUE(same(expected[i], got[i])) << dtype << " seed " << seed << " job " << i;
      }
    }
  }
}

TEST(Plugin, ErrorsComeAcrossWithCodeTextAndHint) {
  const auto no_folder = cpu_plugin().create("/nowhere", {});
  ASSERT_FALSE(no_folder);
  EXPECT_EQ(no_folder.error().code, ErrorCode::kNotFound);
  EXPECT_NE(no_folder.error().message.find("/nowhere/config.json"), std::string::npos);
  EXPECT_NE(no_folder.error().hint.find("Hugging Face"), std::string::npos);
}

TEST(Plugin, AdaptersComeAcross) {
  const BackendOptions options{
      .adapter_slots = 1, .max_adapter_rank = 8, .settings = {{"threads", "1"}}};
  const auto config = model::load_config(cpu::fixture("vllm-capture")).value();
  const auto source = cpu::adapter_source("vllm-capture", config);
  std::vector<std::vector<int32_t>> texts;
  const std::unique_ptr<const BackendFactory> linked = cpu::cpu_factory();
  for (const BackendFactory* factory : {linked.get(), &cpu_plugin()}) {
    const auto backend = start(*factory, options);
    ASSERT_TRUE(backend->load_adapter(0, source));
    texts.push_back(cpu::greedy(*backend, {1, 2, 3}, 8, {}, 0));
    texts.push_back(cpu::greedy(*backend, {1, 2, 3}, 8));
    const Status missing = backend->load_adapter(0, {.folder = "/nowhere", .sha256 = {}});
    ASSERT_FALSE(missing);
    EXPECT_EQ(missing.error().code, ErrorCode::kNotFound);
  }
  EXPECT_EQ(texts[0], texts[2]);
  EXPECT_EQ(texts[1], texts[3]);
  EXPECT_NE(texts[0], texts[1]);
}

struct Bad {
  std::string path;
  ErrorCode code;
  std::string part;
};

TEST(Plugin, WhatIsNoPluginIsRefusedWithTheReason) {
  const std::vector<Bad> rows = {
      {"/nowhere/x.so", ErrorCode::kNotFound, "no such backend plugin"},
      {support::source_dir() + "/README.md", ErrorCode::kUnavailable, "cannot be loaded"},
      {plugin("no_symbol"), ErrorCode::kUnsupported, "got no symbol touchstone_backend_plugin"},
      {plugin("wrong_abi"), ErrorCode::kUnsupported,
       "ABI version: got " + std::to_string(TOUCHSTONE_BACKEND_ABI_VERSION + 1) + ", expected " +
           std::to_string(TOUCHSTONE_BACKEND_ABI_VERSION)},
      {plugin("incomplete"), ErrorCode::kUnsupported, "got a null pointer"}};
  for (const Bad& row : rows) {
    const auto loaded = load_plugin(row.path);
    ASSERT_FALSE(loaded) << row.path;
    EXPECT_EQ(loaded.error().code, row.code) << loaded.error().message;
    EXPECT_NE(loaded.error().message.find(row.part), std::string::npos) << loaded.error().message;
    EXPECT_NE(loaded.error().message.find(row.path), std::string::npos) << loaded.error().message;
  }
}

TEST(Plugin, AFailingCreateAndAMissingDeviceAreErrorsOfTheirOwn) {
  auto loaded = load_plugin(plugin("broken"));
  ASSERT_TRUE(loaded) << loaded.error().message;
  const auto failed = (*loaded)->create("model", {});
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(failed.error().message, plugin("broken") + ": --dtype: got fp4, expected fp8");
  EXPECT_EQ(failed.error().hint, "plug it in");
  EXPECT_FALSE((*loaded)->create("model", {.dtype = "BREAK"}));
  Registry registry = linked_backends();
  registry.add_first(*std::move(loaded));
  EXPECT_EQ(registry.names(), (std::vector<std::string>{"broken", "cpu"}));
  EXPECT_EQ(registry.choose("auto").value()->name(), "cpu") << "what cannot run is passed over";
  const auto chosen = registry.choose("broken");
  ASSERT_FALSE(chosen);
  EXPECT_EQ(chosen.error().code, ErrorCode::kUnavailable);
  EXPECT_NE(chosen.error().message.find("no such device"), std::string::npos);
  const auto unknown = registry.choose("abacus");
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().message,
            "--device: got \"abacus\", expected auto or one of broken, cpu");
}

}  // namespace
}  // namespace touchstone::backend
