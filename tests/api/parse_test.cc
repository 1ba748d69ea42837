// Parsing rules that the recorded exchanges do not show.
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "base/files.h"
#include "reference_engine/server/api/chat_rendering.h"
#include "reference_engine/server/api/json_syntax.h"
#include "reference_engine/server/api/python_text.h"
#include "tests/api/parsing.h"
#include "tests/support/paths.h"

namespace touchstone::server::api {
namespace {

TEST_F(Parsing, DefaultsComeFromTheModelThenFromVllm) {
  EXPECT_EQ(completion({}).sampling.temperature, 1.0);
  context_.defaults = {.temperature = 0.8,
                       .top_p = 0.95,
                       .top_k = 40,
                       .min_p = 0.1,
                       .repetition_penalty = 1.2,
                       .max_new_tokens = 9};
  const auto defaulted = completion({});
  EXPECT_EQ(defaulted.sampling.temperature, 0.8);
  EXPECT_EQ(defaulted.sampling.top_p, 0.95);
  EXPECT_EQ(defaulted.sampling.top_k, 40);
  EXPECT_EQ(defaulted.sampling.min_p, 0.1);
  EXPECT_EQ(defaulted.sampling.repetition_penalty, 1.2);
  EXPECT_EQ(defaulted.prompts[0].max_tokens, 16) << "completions have their own default";
  EXPECT_EQ(chat({}).prompts[0].max_tokens, 9);
  EXPECT_EQ(completion({{"temperature", 0.5}}).sampling.temperature, 0.5);
}

TEST_F(Parsing, GreedyRequestsIgnoreTheOtherFilters) {
  const auto request =
      completion({{"temperature", 0}, {"top_p", 0.5}, {"top_k", 3}, {"min_p", 0.2}});
  EXPECT_EQ(request.sampling.top_p, 1.0);
  EXPECT_EQ(request.sampling.top_k, 0);
  EXPECT_EQ(request.sampling.min_p, 0.0);
  EXPECT_EQ(completion({{"temperature", 0.001}}).sampling.temperature, 0.01)
      << "raised to the floor";
  EXPECT_EQ(completion({{"temperature", 1}, {"top_k", -1}}).sampling.top_k, 0);
}

TEST_F(Parsing, ChatFillsTheContextWhenNoLimitIsGiven) {
  const auto request = chat({});
  EXPECT_EQ(request.prompts[0].max_tokens,
            512 - static_cast<int32_t>(request.prompts[0].token_ids.size()));
  EXPECT_EQ(chat({{"max_tokens", 7}, {"max_completion_tokens", 5}}).prompts[0].max_tokens, 5);
}

TEST_F(Parsing, EndsAndMinTokens) {
  context_.extra_eos_token_ids = {7};
  const auto request = completion({{"stop_token_ids", {20}}, {"min_tokens", 2}, {"stop", "x"}});
  EXPECT_EQ(request.eos_token_ids, std::vector<int32_t>{1});
  EXPECT_EQ(request.stop_token_ids, (std::vector<int32_t>{20, 7}));
  EXPECT_EQ(request.sampling.masked_before_min_tokens, (std::vector<int32_t>{1, 7, 20}));
  EXPECT_EQ(request.stop, std::vector<std::string>{"x"});
  const auto ignoring = completion({{"ignore_eos", true}, {"stop_token_ids", {20}}});
  EXPECT_TRUE(ignoring.eos_token_ids.empty());
  EXPECT_EQ(ignoring.stop_token_ids, std::vector<int32_t>{20});
  EXPECT_TRUE(ignoring.sampling.masked_before_min_tokens.empty());
}

TEST_F(Parsing, LenientTypesAsPydantic) {
  const auto request = completion({{"max_tokens", "5"},
                                   {"temperature", "0.5"},
                                   {"stream", 1},
                                   {"seed", -1},
                                   {"logprobs", true},
                                   {"min_tokens", 2.0}});
  EXPECT_EQ(request.prompts[0].max_tokens, 5);
  EXPECT_EQ(request.sampling.temperature, 0.5);
  EXPECT_TRUE(request.stream);
  EXPECT_EQ(request.seed, std::nullopt) << "-1 is none";
  EXPECT_EQ(request.logprobs, 1);
  EXPECT_EQ(request.min_tokens, 2);
  EXPECT_EQ(completion({{"max_tokens", nullptr}}).prompts[0].max_tokens, 16);
}

TEST_F(Parsing, EchoAloneGeneratesOneHiddenToken) {
  const auto request = completion({{"echo", true}, {"max_tokens", 0}, {"logprobs", 2}});
  EXPECT_TRUE(request.prompt_only);
  EXPECT_EQ(request.prompts[0].max_tokens, 1);
  EXPECT_EQ(request.prompt_logprobs, 2);
}

TEST_F(Parsing, HeadersWinOverTheBody) {
  RequestHeaders headers = json_headers();
  headers.x_request_id = "header";
  headers.x_vllm_priority = "-4";
  const std::string body = R"({"prompt":"x","request_id":"body","priority":3})";
  const auto request = accept(parse_completion(body, headers, context_));
  EXPECT_EQ(request.request_id_base, "header");
  EXPECT_EQ(request.priority, -4);
  headers.x_vllm_priority = "soon";
  EXPECT_EQ(accept(parse_completion(body, headers, context_)).priority, 3);
}

TEST_F(Parsing, UsageOptions) {
  const auto options = [&](json stream_options) {
    const auto request = completion({{"stream", true}, {"stream_options", stream_options}});
    return std::pair(request.include_usage, request.continuous_usage_stats);
  };
  EXPECT_EQ(options({{"include_usage", true}}), std::pair(true, false));
  EXPECT_EQ(options({{"include_usage", false}, {"continuous_usage_stats", true}}),
            std::pair(false, false));
  context_.enable_force_include_usage = true;
  EXPECT_EQ(options({{"include_usage", false}}), std::pair(true, true));
}

TEST_F(Parsing, TruncationKeepsTheEndUnlessToldOtherwise) {
  const json prompt = {5, 6, 7, 8};
  const auto ids = [&](json body) { return completion(std::move(body)).prompts[0].token_ids; };
  EXPECT_EQ(ids({{"prompt", prompt}, {"truncate_prompt_tokens", 2}}), (std::vector<int32_t>{7, 8}));
  EXPECT_EQ(ids({{"prompt", prompt}, {"truncate_prompt_tokens", 2}, {"truncation_side", "right"}}),
            (std::vector<int32_t>{5, 6}));
  EXPECT_EQ(ids({{"prompt", prompt}, {"truncate_prompt_tokens", -1}}).size(), 4u);
}

TEST_F(Parsing, ChatRolesEchoAndContinuation) {
  const json messages = {{{"role", "user"}, {"content", "Hi"}},
                         {{"role", "assistant"}, {"content", "Well, "}}};
  const auto request = chat({{"messages", messages},
                             {"add_generation_prompt", false},
                             {"echo", true},
                             {"continue_final_message", true}});
  EXPECT_EQ(request.response_role, "assistant");
  EXPECT_EQ(request.chat_echo, "Well, ");
  EXPECT_EQ(request.prompts[0].text, "user: Hi\nassistant: Well, ");
}

// The rest of the families' goldens is in tests/chat_template.
TEST_F(Parsing, AnUnfinishedMessageEndsWhereTransformersEndsIt) {
  const std::string folder = support::source_dir() + "/fixtures/templates/";
  const json golden = json::parse(read_file(folder + "families.json").value());
  context_.bos_token = "<s>";
  context_.eos_token = "</s>";
  int cases = 0;
  for (const json& each : golden["cases"]) {
    if (!each["continue_final_message"].get<bool>()) continue;
    const auto family = each["family"].get<std::string>();
    auto parsed =
        chat_template::ChatTemplate::of_argument(folder + "families/" + family + ".jinja");
    ASSERT_TRUE(parsed.has_value()) << parsed.error().message;
    context_.chat_template = parsed->get();
    const VirtualClock clock(golden["now"].get<int64_t>() * kNsPerSecond);
    context_.clock = &clock;
    ChatOptions options;
    options.add_generation_prompt = false;
    options.continue_final_message = true;
    options.template_arguments = each["arguments"];
    const auto text = render_chat(golden["conversations"][each["conversation"].get<std::string>()],
                                  options, context_);
    const auto* rendered = std::get_if<std::string>(&text);
    ASSERT_NE(rendered, nullptr) << family << ": " << std::get<ApiError>(text).message;
    EXPECT_EQ(*rendered, each["text"].get<std::string>()) << family;
    ++cases;
  }
  EXPECT_EQ(cases, 9);
  context_.clock = nullptr;
}

TEST_F(Parsing, TooLongPromptsNameTheirTokens) {
  const json prompt(std::vector<int>(510, 5));
  const ApiError error = refuse_completion({{"prompt", prompt}, {"max_tokens", 8}});
  EXPECT_EQ(error.param, "input_tokens");
  EXPECT_NE(error.message.find("your prompt contains 510 input tokens"), std::string::npos)
      << error.message;
  EXPECT_EQ(completion({{"prompt", prompt}, {"max_tokens", 2}}).prompts[0].max_tokens, 2);
}

TEST_F(Parsing, RefusalsNameWhatIsWrong) {
  struct Case {
    json body;
    int status;
    const char* type;
    std::optional<std::string> param;
    const char* message;
  };
  const std::vector<Case> cases = {
      {{{"top_p", -0.5}}, 400, "BadRequestError", "top_p", "top_p must be in (0, 1], got -0.5."},
      {{{"min_p", 2}}, 400, "BadRequestError", std::nullopt, "min_p must be in [0, 1], got 2.0."},
      {{{"repetition_penalty", 0}},
       400,
       "BadRequestError",
       std::nullopt,
       "greater than zero, got 0.0."},
      {{{"n", 20000}}, 400, "BadRequestError", std::nullopt, "n must be at most 16384"},
      {{{"stop", {""}}},
       400,
       "BadRequestError",
       std::nullopt,
       "stop cannot contain an empty string."},
      {{{"bad_words", {""}}}, 400, "BadRequestError", std::nullopt, "Got bad_words=['']"},
      {{{"logit_bias", {{"x", 1}}}}, 400, "BadRequestError", "logit_bias", "token IDs: ['x']"},
      {{{"stop_token_ids", {4000}}}, 400, "BadRequestError", "stop_token_ids", "[4000]"},
      {{{"prompt_logprobs", 21}},
       400,
       "BadRequestError",
       "prompt_logprobs",
       "Requested prompt logprobs of 21"},
      {{{"prompt_logprobs", 1}, {"stream", true}},
       400,
       "BadRequestError",
       "prompt_logprobs",
       "not available"},
      {{{"logprobs", "x"}}, 400, "BadRequestError", "logprobs", "`logprobs` must be an integer."},
      {{{"max_tokens", 1.5}}, 400, "Bad Request", "body.max_tokens", "fractional part"},
      {{{"max_tokens", {1}}},
       400,
       "Bad Request",
       "body.max_tokens",
       "'input': '<list of 1 items>'"},
      {{{"stream", "maybe"}}, 400, "Bad Request", "body.stream", "unable to interpret input"},
      {{{"echo", {1}}}, 400, "Bad Request", "body.echo", "Input should be a valid boolean"},
      {{{"n", nullptr}}, 400, "Bad Request", "body.n", "'input': 'None'"},
      {{{"user", 5}}, 400, "Bad Request", "body.user", "Input should be a valid string"},
      {{{"stop_token_ids", {"x"}}}, 400, "Bad Request", "body.stop_token_ids.0", "int_parsing"},
      {{{"truncation_side", "up"}},
       400,
       "Bad Request",
       "body.truncation_side",
       "'left' or 'right'"},
      {{{"stream_options", 5}, {"stream", true}},
       400,
       "Bad Request",
       "body.stream_options",
       "dictionary or object"},
      {{{"prompt", {"a", 5}}}, 400, "Bad Request", "body.prompt.0", "5 validation errors"},
      {{{"prompt", {{{"a", 1}}}}}, 400, "Bad Request", "body.prompt.0", "validation error"},
      {{{"prompt", {""}}}, 400, "BadRequestError", std::nullopt, "prompt cannot be empty"},
      {{{"watermarking", true}},
       501,
       "NotImplementedError",
       std::nullopt,
       "watermarking is not supported"},
      {{{"truncate_prompt_tokens", 600}},
       400,
       "BadRequestError",
       "truncate_prompt_tokens",
       "cannot be greater"},
  };
  for (const Case& each : cases) {
    const ApiError error = refuse_completion(each.body);
    EXPECT_EQ(error.status, each.status) << each.body;
    EXPECT_EQ(error.type, each.type) << each.body << error.message;
    EXPECT_EQ(error.param, each.param) << each.body << error.message;
    EXPECT_NE(error.message.find(each.message), std::string::npos) << each.body << error.message;
  }
  EXPECT_EQ(refuse_chat({{"tools", json::array()}}).param, "tools");
  EXPECT_EQ(refuse_chat({{"tool_choice", "auto"}}).param, "tool_choice");
  EXPECT_EQ(refuse_chat({{"messages", "x"}}).param, "body.messages");
  EXPECT_NE(refuse_chat({{"chat_template", "x"}}).message.find("untrusted"), std::string::npos);
  EXPECT_EQ(refuse_chat({{"continue_final_message", true}, {"add_generation_prompt", true}}).status,
            400);
}

TEST_F(Parsing, BodiesThatAreNoRequestAreRefused) {
  const auto message = [&](const std::string& body) {
    return refuse(parse_completion(body, json_headers(), context_)).message;
  };
  EXPECT_NE(message("null").find("Field required"), std::string::npos);
  EXPECT_NE(message("5").find("model_attributes_type"), std::string::npos);
  EXPECT_EQ(message("{\"prompt\":NaN}"), "There was an error parsing the body");
  EXPECT_EQ(message("{\"prompt\":\"\xFF\"}"), "There was an error parsing the body");
  EXPECT_EQ(message(std::string(5000, '[')), "There was an error parsing the body");
}

// Positions and words of CPython 3.12's json.loads.
TEST(JsonSyntax, SaysWhatPythonSays) {
  struct Case {
    const char* text;
    size_t position;
    const char* message;
  };
  for (const auto& [text, position, message] : {
           Case{"", 0, "Expecting value"},
           {"{", 1, "Expecting property name enclosed in double quotes"},
           {"{\"a\" 1}", 5, "Expecting ':' delimiter"},
           {"{\"a\":}", 5, "Expecting value"},
           {"{\"a\":1 2}", 7, "Expecting ',' delimiter"},
           {"[1,]", 3, "Expecting value"},
           {"[1 2]", 3, "Expecting ',' delimiter"},
           {"1 2", 2, "Extra data"},
           {"\"abc", 0, "Unterminated string starting at"},
           {"\"a\nb\"", 2, "Invalid control character at"},
           {"\"\\x\"", 1, "Invalid \\escape"},
           {"\"\\u12g4\"", 2, "Invalid \\uXXXX escape"},
           {"[\"\u00e9\u00e9\" x]", 6, "Expecting ',' delimiter"},
           {"nul", 0, "Expecting value"},
           {"-", 0, "Expecting value"},
           {"01", 1, "Extra data"},
       }) {
    const auto error = find_json_error(text);
    ASSERT_TRUE(error.has_value()) << text;
    EXPECT_EQ(error->position, position) << text;
    EXPECT_EQ(error->message, message) << text;
  }
  for (const char* good :
       {"{}", "[1, -2.5e+3, \"\\u00e9\"]", " NaN ", "-Infinity", "{\"a\": [true, null]}"}) {
    EXPECT_FALSE(find_json_error(good).has_value()) << good;
  }
}

TEST(PythonText, WritesValuesAsReprDoes) {
  EXPECT_EQ(python_repr(nlohmann::json({1, nullptr, true, "x"})), "[1, None, True, 'x']");
}

TEST_F(Parsing, AnEchoedPromptLeavesRoomForTheTokenThatIsComputed) {
  const auto echoed = [](int32_t tokens) {
    return json{{"prompt", std::vector<int32_t>(static_cast<size_t>(tokens), 5)},
                {"max_tokens", 0},
                {"echo", true}};
  };
  const GenerationRequest fits = completion(echoed(context_.max_model_len - 1));
  EXPECT_TRUE(fits.prompt_only);
  EXPECT_EQ(fits.prompts[0].max_tokens, 1);
  const ApiError full = refuse_completion(echoed(context_.max_model_len));
  EXPECT_EQ(full.status, 400);
  EXPECT_NE(full.message.find("maximum context length"), std::string::npos) << full.message;
}

TEST_F(Parsing, TheChoicesOfOneRequestHaveALimit) {
  context_.max_choices = 8;
  const std::vector<std::string> prompts(4, "a");
  EXPECT_EQ(completion({{"prompt", prompts}, {"n", 2}}).n, 2);
  const ApiError many = refuse_completion({{"prompt", prompts}, {"n", 3}});
  EXPECT_EQ(many.status, 400);
  EXPECT_EQ(many.param, "n");
  EXPECT_NE(many.message.find("4 prompts with n=3, for a total of 12 choices"), std::string::npos)
      << many.message;
  EXPECT_EQ(refuse_chat({{"n", 9}}).status, 400);
}

TEST_F(Parsing, IntegersBeyond64BitsAreErrorsOfTheirField) {
  for (const char* body :
       {R"({"prompt":"a","seed":1180591620717411303424})", R"({"prompt":"a","max_tokens":1e20})",
        R"({"prompt":"a","seed":9223372036854775808})", R"({"prompt":"a","top_k":-1e19})"}) {
    const ApiError error = refuse(parse_completion(body, json_headers(), context_));
    EXPECT_EQ(error.status, 400) << body;
    EXPECT_NE(error.message.find("than or equal to "), std::string::npos) << error.message;
    EXPECT_EQ(error.message.find("9200000000000000000"), std::string::npos) << error.message;
  }
  EXPECT_EQ(completion({{"seed", INT64_MAX}}).seed, INT64_MAX);
  EXPECT_EQ(completion({{"seed", INT64_MIN}}).seed, INT64_MIN);
}

TEST_F(Parsing, TokenIdsBeyond32BitsAreNamedAsGiven) {
  for (const json& prompt : {json{5, 1099511627776, 4294967296}, json{{5}, {1099511627776}}}) {
    const ApiError error = refuse_completion({{"prompt", prompt}, {"max_tokens", 1}});
    EXPECT_EQ(error.status, 400);
    EXPECT_EQ(error.message, "Token id 1099511627776 is out of vocabulary");
  }
}

TEST_F(Parsing, ManyMistakesAreCountedAndFewAreKept) {
  std::string body = R"({"messages":[1)";
  for (int i = 1; i < 2000; ++i) body += ",1";
  const ApiError error = refuse(parse_chat(body + "]}", json_headers(), context_));
  EXPECT_TRUE(error.message.starts_with("16000 validation errors:")) << error.message.substr(0, 80);
  EXPECT_TRUE(error.message.ends_with("...and 15990 more errors"));
  const ApiError large = refuse_chat({{"messages", std::string(1'000'000, 'm')}});
  EXPECT_LT(large.message.size(), 10'000u);
}

TEST_F(Parsing, BeamSearchIsReadAsPydanticReadsABool) {
  for (const json& no : {json("false"), json("no"), json(0), json(false)}) {
    EXPECT_FALSE(completion({{"use_beam_search", no}}).beams);
  }
  for (const json& yes : {json("true"), json("on"), json(1), json(true)}) {
    const auto beams = completion({{"use_beam_search", yes}, {"length_penalty", 0.5}}).beams;
    ASSERT_TRUE(beams) << yes;
    EXPECT_EQ(beams->length_penalty, 0.5);
  }
  EXPECT_EQ(refuse_completion({{"use_beam_search", "perhaps"}}).status, 400);
}

TEST_F(Parsing, ReasoningEffortReachesTheTemplate) {
  const auto chat_template =
      chat_template::ChatTemplate::parse("{{ reasoning_effort }}: {{ messages[0].content }}");
  ASSERT_TRUE(chat_template);
  context_.chat_template = chat_template->get();
  EXPECT_EQ(chat({{"reasoning_effort", "low"}}).prompts[0].text, "low: Hi");
  EXPECT_EQ(refuse_chat({{"reasoning_effort", "extreme"}}).status, 400);
}

TEST(JsonExtent, TheEstimateIsAboveWhatATreeTakes) {
  EXPECT_EQ(json_extent("[[{\"a\":[1]}]] \"[[[[\"").depth, 4);
  EXPECT_GE(json_extent("[1,1,1,1]").tree_bytes, static_cast<int64_t>(4 * sizeof(json)));
  EXPECT_GE(json_extent(R"({"a":1})").tree_bytes,
            static_cast<int64_t>(sizeof(std::string) + 2 * sizeof(json) + 4 * sizeof(void*)));
}

}  // namespace
}  // namespace touchstone::server::api
