#include "records/trace_context.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "tests/support/generators.h"

namespace touchstone::records {
namespace {

using namespace touchstone::testing;  // NOLINT

constexpr char kTrace[] = "0af7651916cd43dd8448eb211c80319c";
constexpr char kParent[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

TEST(Traceparent, ReadsValidForms) {
  const std::string good = kParent;
  const std::string rows[] = {
      good,
      "  " + good + "\t",
      "01" + good.substr(2),
      "cc" + good.substr(2) + "-what-the-future-will-be-like",
      "fe" + good.substr(2) + "-",
  };
  for (const std::string& row : rows) {
    const auto context = parse_traceparent(row);
    ASSERT_TRUE(context) << row;
    EXPECT_EQ(context->trace_id.hex(), kTrace) << row;
    EXPECT_EQ(context->parent_span_id.hex(), "b7ad6b7169203331") << row;
    EXPECT_TRUE(context->sampled()) << row;
    EXPECT_TRUE(context->remote) << row;
  }
  EXPECT_FALSE(parse_traceparent(good.substr(0, 53) + "00")->sampled());
  EXPECT_EQ(parse_traceparent(good.substr(0, 53) + "fe")->flags, 0xfe);
}

TEST(Traceparent, RefusesEveryInvalidForm) {
  const std::string good = kParent;
  std::vector<std::string> rows = {
      "",
      "00-xyz",
      good + "-",
      good + "-extra",
      good + ".",
      "01" + good.substr(2) + ".extra",
      "ff" + good.substr(2),
      "0" + good,
      "0x" + good.substr(2),
      "00-00000000000000000000000000000000-b7ad6b7169203331-01",
      "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
      "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
      "00-0af7651916cd43dd8448eb211c80319c-B7ad6b7169203331-01",
      "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0A",
      "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-.0",
      "00_0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331_01",
      "00-0af7651916cd43dd8448eb211c80319-cb7ad6b7169203331-01",
  };
  for (size_t size = 0; size < good.size(); ++size) rows.push_back(good.substr(0, size));
  for (const std::string& row : rows) EXPECT_FALSE(parse_traceparent(row)) << row;
}

RC_GTEST_PROP(Traceparent, WhatIsFormattedIsRead, ()) {
  const TraceId trace = *gen_id<TraceId>();
  const SpanId span = *gen_id<SpanId>();
  const uint8_t flags = *rc::gen::arbitrary<uint8_t>();
  RC_PRE(trace.is_valid() && span.is_valid());
  const auto context = parse_traceparent(format_traceparent(trace, span, flags));
  RC_ASSERT(context.has_value());
  RC_ASSERT(context->trace_id == trace);
  RC_ASSERT(context->parent_span_id == span);
  RC_ASSERT(context->flags == flags);
}

TEST(Tracestate, NormalisesOrDropsTheList) {
  std::string many;
  for (int i = 0; i < 33; ++i) many += "k" + std::to_string(i) + "=v,";
  const std::string at_most = many.substr(0, many.size() - 7);
  const std::string long_key(257, 'a');
  const std::pair<std::string, std::string> rows[] = {
      {"vendor=1", "vendor=1"},
      {" a=1 ,\tb=2,, c= 3 4", "a=1,b=2,c= 3 4"},
      {"tenant@system=x", "tenant@system=x"},
      {"0tenant@system=x", "0tenant@system=x"},
      {at_most, at_most},
      {"", ""},
      {many, ""},
      {"a=1,a=2", ""},
      {"A=1", ""},
      {"0a=1", "0a=1"},
      {"_a=1", ""},
      {"@a=1", ""},
      {"a=1,b", ""},
      {"a=", ""},
      {"=1", ""},
      {"a=b=c", ""},
      {"a=\x01", ""},
      {"t@=x", "t@=x"},
      {"t@0s=x", "t@0s=x"},
      {long_key + "=1", ""},
      {"a=" + std::string(257, 'v'), ""},
  };
  for (const auto& [header, expected] : rows)
    EXPECT_EQ(parse_tracestate(header), expected) << header;
}

TEST(TraceContext, ABadTracestateLeavesTheTraceparent) {
  const auto context = parse_trace_context(kParent, "BAD");
  ASSERT_TRUE(context);
  EXPECT_EQ(context->trace_state, "");
  EXPECT_EQ(parse_trace_context(kParent, "vendor=1")->trace_state, "vendor=1");
  EXPECT_FALSE(parse_trace_context("00-xyz", "vendor=1"));
}

TEST(TraceContext, IsReadFromTheEnvironment) {
  const std::string other = "00-11111111111111111111111111111111-2222222222222222-01";
  const std::string upper = std::string("TRACEPARENT=") + kParent;
  const std::string lower = "traceparent=" + other;
  const char* entries[] = {upper.c_str(), "TRACESTATE=a=1", "NOTHING", nullptr};
  const auto context = trace_context_of(read_environment(entries));
  ASSERT_TRUE(context);
  EXPECT_EQ(context->trace_id.hex(), kTrace);
  EXPECT_EQ(context->trace_state, "a=1");
  EXPECT_FALSE(context->remote);
  const char* both[] = {upper.c_str(), lower.c_str(), nullptr};
  EXPECT_EQ(trace_context_of(read_environment(both))->trace_id.hex(), other.substr(3, 32));
  EXPECT_FALSE(trace_context_of({}));
  EXPECT_FALSE(trace_context_of({{"TRACEPARENT", ""}}));
}

}  // namespace
}  // namespace touchstone::records
