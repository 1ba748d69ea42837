#include "tests/support/exchange_compare.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/api/recorded_context.h"

namespace touchstone::test {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Exchange recorded(const std::string& name) {
  for (Exchange& each : server::api::recorded_exchanges()) {
    if (each.name == name) return each;
  }
  ADD_FAILURE() << "no exchange " << name;
  return {};
}

Answer same_answer(const Exchange& exchange) {
  const auto type = exchange.response_headers.find("content-type");
  return {exchange.status, type == exchange.response_headers.end() ? "" : type->second,
          exchange.response};
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(CompareExchange, EachRecordedAnswerHasItsOwnShape) {
  const auto all = server::api::recorded_exchanges();
  ASSERT_EQ(all.size(), 121u);
  for (const Exchange& exchange : all) {
    EXPECT_THAT(compare_exchange(exchange, same_answer(exchange)), IsEmpty()) << exchange.name;
  }
}

TEST(CompareExchange, TextsIdsAndTimesAreFree) {
  const Exchange exchange = recorded("completion greedy");
  Answer answer = same_answer(exchange);
  json tree = json::parse(answer.body);
  tree["id"] = "other";
  tree["created"] = 1;
  tree["choices"][0]["text"] = "";
  answer.body = tree.dump();
  EXPECT_THAT(compare_exchange(exchange, answer), IsEmpty());
}

TEST(CompareExchange, StatusTypeKeysAndNullsAreNot) {
  const Exchange exchange = recorded("completion greedy");
  Answer answer = same_answer(exchange);
  answer.status = 500;
  answer.content_type = "text/html";
  json tree = json::parse(answer.body);
  tree["choices"][0]["stop_reason"] = 5;
  tree["choices"][0]["extra"] = 1;
  tree["usage"].erase("total_tokens");
  tree["created"] = 1.5;
  answer.body = tree.dump();
  EXPECT_THAT(compare_exchange(exchange, answer),
              ElementsAre(HasSubstr("status: got 500"), HasSubstr("content type"),
                          HasSubstr("choices[0].stop_reason: got integer, expected null"),
                          HasSubstr("choices[0]: unexpected key \"extra\""),
                          HasSubstr("created: got number, expected integer"),
                          HasSubstr("usage: no key \"total_tokens\"")));
}

TEST(CompareExchange, ErrorsCompareByTypeParamAndCodeNotByMessage) {
  const Exchange exchange = recorded("err top_p");
  Answer answer = same_answer(exchange);
  json tree = json::parse(answer.body);
  tree["error"]["message"] = "no";
  answer.body = tree.dump();
  EXPECT_THAT(compare_exchange(exchange, answer), IsEmpty());
  EXPECT_EQ(error_message(answer.body), "no");
  tree["error"]["type"] = "Bad Request";
  tree["error"]["param"] = "top_k";
  answer.body = tree.dump();
  EXPECT_THAT(compare_exchange(exchange, answer),
              ElementsAre(HasSubstr("error.type"), HasSubstr("error.param")));
}

TEST(CompareExchange, TokensMayDifferInLogprobs) {
  const Exchange exchange = recorded("logprobs 3");
  Answer answer = same_answer(exchange);
  answer.body = replaced(answer.body, "\"OR\":-6", "\"other\":-6");
  EXPECT_THAT(compare_exchange(exchange, answer), IsEmpty());
  answer.body = replaced(answer.body, "\"other\":-6.895262718200684", "\"other\":\"x\"");
  EXPECT_THAT(compare_exchange(exchange, answer),
              ElementsAre(HasSubstr("got string, expected number")));
}

TEST(CompareExchange, StreamsCompareByTheSequenceOfShapes) {
  const Exchange exchange = recorded("stream usage");
  const Answer good = same_answer(exchange);
  const auto events = stream_events(good.body);
  ASSERT_EQ(events.size(), 10u);
  const auto joined = [](const std::vector<std::string>& each) {
    std::string body;
    for (const auto& event : each) body += "data: " + event + "\n\n";
    return body;
  };
  const auto differences = [&](std::vector<std::string> changed) {
    Answer answer = good;
    answer.body = joined(changed);
    return compare_exchange(exchange, answer);
  };
  std::vector<std::string> fewer = events;
  fewer.erase(fewer.begin() + 2);
  EXPECT_THAT(differences(fewer), IsEmpty()) << "how many tokens came is content";
  std::vector<std::string> no_usage = events;
  no_usage.erase(no_usage.end() - 2);
  EXPECT_THAT(differences(no_usage), ElementsAre("events of choice -: none"));
  std::vector<std::string> no_done(events.begin(), events.end() - 1);
  EXPECT_THAT(differences(no_done), ElementsAre("stream: no [DONE] at the end"));
  std::vector<std::string> never_finished = events;
  never_finished.erase(never_finished.end() - 3);
  EXPECT_THAT(differences(never_finished),
              ElementsAre(HasSubstr("got 1 shapes in a row, expected 2")));
  std::vector<std::string> no_json = events;
  no_json[1] = "{";
  EXPECT_THAT(differences(no_json), ElementsAre(HasSubstr("not JSON")));
  Answer unframed = good;
  unframed.body.pop_back();
  EXPECT_FALSE(compare_exchange(exchange, unframed).empty());
}

TEST(CompareExchange, AnAbortedStreamMayGoOn) {
  const Exchange exchange = recorded("abort stream");
  ASSERT_TRUE(exchange.aborted);
  Answer answer = same_answer(exchange);
  answer.body.resize(answer.body.rfind("\n\n") + 2);
  answer.body += same_answer(recorded("stream")).body;
  EXPECT_THAT(compare_exchange(exchange, answer), IsEmpty());
}

}  // namespace
}  // namespace touchstone::test
