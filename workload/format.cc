// Reading and writing the workload format.
#include <nlohmann/json.hpp>
#include <utility>

#include "base/document.h"
#include "base/files.h"
#include "base/text.h"
#include "workload/reader.h"
#include "workload/workload.h"

namespace touchstone::workload {
namespace {

constexpr const char* kVersionKey = "workload";

int64_t non_negative(const Fields& fields, const std::string& key, int64_t fallback = 0) {
  return fields.int_in(key, fallback, 0, INT64_MAX);
}

Sampling read_sampling(const Fields& fields) {
  Sampling sampling;
  sampling.temperature = fields.optional_double("temperature");
  sampling.top_p = fields.optional_double("top_p");
  sampling.top_k = fields.optional_int("top_k");
  sampling.seed = fields.optional_int("seed");
  if (fields.has("n")) sampling.n = fields.int_in("n", 1, 1, 1024);
  if (fields.has("min_tokens")) sampling.min_tokens = non_negative(fields, "min_tokens");
  sampling.ignore_eos = fields.optional_bool("ignore_eos");
  sampling.stop = fields.strings("stop");
  return sampling;
}

void read_prompt(const Fields& root, Request& request) {
  request.prompt = root.optional_string("prompt");
  for (const int64_t id : root.ints("prompt_token_ids")) {
    if (id < 0 || id > INT32_MAX) {
      root.fail("prompt_token_ids", "got " + std::to_string(id) + ", expected token ids >= 0");
      return;
    }
    request.prompt_token_ids.push_back(static_cast<int32_t>(id));
  }
  for (const Fields& message : root.objects("messages")) {
    request.messages.push_back(
        {message.required_string("role"), message.required_string("content")});
  }
  const int descriptions = (request.prompt ? 1 : 0) + (request.prompt_token_ids.empty() ? 0 : 1) +
                           (request.messages.empty() ? 0 : 1);
  if (descriptions > 1) {
    root.fail("", "got " + std::to_string(descriptions) + " of prompt, prompt_token_ids and " +
                      "messages, expected one");
  }
  const bool chat = request.endpoint == Endpoint::kChat;
  if (chat && (request.prompt || !request.prompt_token_ids.empty())) {
    root.fail("endpoint", "got \"chat\" with a prompt, expected messages");
  }
  if (!chat && !request.messages.empty()) {
    root.fail("endpoint", "got messages for \"completions\", expected endpoint \"chat\"");
  }
  request.prompt_tokens = non_negative(root, "prompt_tokens");
  const int64_t ids = std::ssize(request.prompt_token_ids);
  if (ids > 0 && request.prompt_tokens == 0) request.prompt_tokens = ids;
  if (ids > 0 && request.prompt_tokens != ids) {
    root.fail("prompt_tokens", "got " + std::to_string(request.prompt_tokens) + ", expected " +
                                   std::to_string(ids) + " as there are prompt_token_ids");
  }
  if (descriptions == 0 && request.prompt_tokens == 0 && !root.has("raw_body")) {
    root.fail("",
              "got no prompt, expected one of prompt, prompt_token_ids, messages, "
              "prompt_tokens and raw_body");
  }
}

void read_prefix(const Fields& root, Request& request) {
  for (const int64_t id : root.ints("prefix_block_ids")) {
    if (id < 0) {
      root.fail("prefix_block_ids", "got " + std::to_string(id) + ", expected ids >= 0");
      return;
    }
    request.prefix_block_ids.push_back(static_cast<uint64_t>(id));
  }
  request.prefix_block_size = non_negative(root, "prefix_block_size");
  if (request.prefix_block_ids.empty()) return;
  if (request.prefix_block_size < 1) {
    root.fail("prefix_block_size", "got " + std::to_string(request.prefix_block_size) +
                                       ", expected the tokens of one prefix block");
    return;
  }
  const int64_t ids = std::ssize(request.prefix_block_ids);
  if (request.prompt_tokens > 0 && ids > request.prompt_tokens / request.prefix_block_size) {
    root.fail("prefix_block_ids",
              "got " + std::to_string(ids) + " full blocks of " +
                  std::to_string(request.prefix_block_size) + " tokens, expected at most " +
                  std::to_string(request.prompt_tokens / request.prefix_block_size) + " in " +
                  std::to_string(request.prompt_tokens) + " prompt tokens");
  }
}

Request read_request(const Fields& root, int64_t index) {
  Request request;
  std::string number = std::to_string(index);
  number.insert(0, number.size() < 4 ? 4 - number.size() : 0, '0');
  request.name = root.optional_string("name").value_or("r" + number);
  root.accept("arrival_ns");
  request.arrival_ns = non_negative(root, "arrival_ns");
  request.endpoint =
      root.optional_enum<Endpoint>(
              "endpoint", {{"completions", Endpoint::kCompletions}, {"chat", Endpoint::kChat}})
          .value_or(Endpoint::kCompletions);
  request.stream = root.optional_bool("stream").value_or(false);
  read_prompt(root, request);
  request.output_tokens = non_negative(root, "output_tokens");
  read_prefix(root, request);
  request.session = root.optional_string("session").value_or("");
  request.turn = non_negative(root, "turn");
  if (root.has("think_ns")) {
    request.think_ns = non_negative(root, "think_ns");
    if (request.session.empty()) {
      root.fail("think_ns", "got it without a session, expected \"session\"",
                "it is counted from the end of the session's turn before");
    }
  }
  if (root.has("timeout_ns")) request.timeout_ns = root.int_in("timeout_ns", 1, 1, INT64_MAX);
  request.adapter = root.optional_string("adapter").value_or("");
  request.tenant = root.optional_string("tenant").value_or("");
  request.priority = root.optional_int("priority").value_or(0);
  if (root.has("sampling")) request.sampling = read_sampling(root.object("sampling"));
  if (root.has("hang_up_after_chunks")) {
    request.hang_up_after_chunks = non_negative(root, "hang_up_after_chunks");
    if (!request.stream) {
      root.fail("hang_up_after_chunks", "got it without stream, expected \"stream\": true",
                "only a streamed answer has chunks");
    }
  }
  request.raw_body = root.optional_string("raw_body");
  request.expect_status = root.int_in("expect_status", 200, 100, 599);
  return request;
}

nlohmann::ordered_json to_json(const Sampling& sampling) {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  const auto put = [&json](const char* key, const auto& value) {
    if (value) json[key] = *value;
  };
  put("temperature", sampling.temperature);
  put("top_p", sampling.top_p);
  put("top_k", sampling.top_k);
  put("seed", sampling.seed);
  put("n", sampling.n);
  put("min_tokens", sampling.min_tokens);
  put("ignore_eos", sampling.ignore_eos);
  if (!sampling.stop.empty()) json["stop"] = sampling.stop;
  return json;
}

}  // namespace

Result<std::unique_ptr<WorkloadReader>> WorkloadReader::open(const std::string& path) {
  auto lines = LineReader::open(path);
  if (!lines) return std::move(lines).error();
  return std::unique_ptr<WorkloadReader>(new WorkloadReader(std::move(*lines)));
}

std::string WorkloadReader::where() const {
  return lines_->path() + ":" + std::to_string(lines_->number());
}

Result<bool> WorkloadReader::next(Request& request) {
  for (;;) {
    const auto line = lines_->next();
    if (!line) return line.error();
    if (!*line) {
      if (made_ > 0) return false;
      return invalid_argument(lines_->path() + ": got no request, expected one JSON object a line");
    }
    Result<Document> document = Document::parse_json_line(lines_->path(), lines_->number(), **line);
    if (!document) return invalid_argument(document.error().message, document.error().hint);
    const Fields root = document->root();
    if (lines_->number() == 1 && root.has(kVersionKey)) {
      const int64_t version = root.required_int(kVersionKey);
      if (version != kSchemaVersion) {
        root.fail(kVersionKey, "got version " + std::to_string(version) + ", expected " +
                                   std::to_string(kSchemaVersion));
      }
      RETURN_IF_ERROR(document->finish());
      continue;
    }
    request = read_request(root, made_);
    if (request.arrival_ns < last_arrival_ns_) {
      root.fail("arrival_ns",
                "got " + std::to_string(request.arrival_ns) + ", expected at least " +
                    std::to_string(last_arrival_ns_) + " as of the request before",
                "sort the requests by arrival_ns");
    }
    if (!names_.insert(request.name)) {
      root.fail("name", "got " + quote(request.name) + " twice, expected names that are unique",
                "the answers to two requests of one name could not be told apart");
    }
    RETURN_IF_ERROR(document->finish());
    ++made_;
    last_arrival_ns_ = request.arrival_ns;
    return true;
  }
}

Result<Workload> read_workload(const std::string& path) {
  const auto reader = WorkloadReader::open(path);
  if (!reader) return reader.error();
  Workload workload;
  Request request;
  for (;;) {
    const Result<bool> there = (*reader)->next(request);
    if (!there) return there.error();
    if (!*there) return workload;
    workload.requests.push_back(std::move(request));
  }
}

std::string to_json_line(const Request& request) {
  nlohmann::ordered_json json;
  json["name"] = request.name;
  json["arrival_ns"] = request.arrival_ns;
  if (request.endpoint == Endpoint::kChat) json["endpoint"] = "chat";
  if (request.stream) json["stream"] = true;
  if (request.prompt) json["prompt"] = *request.prompt;
  if (!request.prompt_token_ids.empty()) json["prompt_token_ids"] = request.prompt_token_ids;
  for (const Message& message : request.messages) {
    json["messages"].push_back({{"role", message.role}, {"content", message.content}});
  }
  if (request.prompt_tokens != 0) json["prompt_tokens"] = request.prompt_tokens;
  if (request.output_tokens != 0) json["output_tokens"] = request.output_tokens;
  if (!request.prefix_block_ids.empty()) json["prefix_block_ids"] = request.prefix_block_ids;
  if (request.prefix_block_size != 0) json["prefix_block_size"] = request.prefix_block_size;
  if (!request.session.empty()) json["session"] = request.session;
  if (request.turn != 0) json["turn"] = request.turn;
  if (request.think_ns) json["think_ns"] = *request.think_ns;
  if (request.timeout_ns) json["timeout_ns"] = *request.timeout_ns;
  if (!request.adapter.empty()) json["adapter"] = request.adapter;
  if (!request.tenant.empty()) json["tenant"] = request.tenant;
  if (request.priority != 0) json["priority"] = request.priority;
  nlohmann::ordered_json sampling = to_json(request.sampling);
  if (!sampling.empty()) json["sampling"] = std::move(sampling);
  if (request.hang_up_after_chunks) json["hang_up_after_chunks"] = *request.hang_up_after_chunks;
  if (request.raw_body) json["raw_body"] = *request.raw_body;
  if (request.expect_status != 200) json["expect_status"] = request.expect_status;
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

Status write_workload(const Workload& workload, const std::string& path) {
  Result<std::unique_ptr<LineWriter>> writer = LineWriter::open(path);
  if (!writer) return std::move(writer).error();
  RETURN_IF_ERROR((*writer)->write(nlohmann::json{{kVersionKey, kSchemaVersion}}.dump()));
  for (const Request& request : workload.requests) {
    RETURN_IF_ERROR((*writer)->write(to_json_line(request)));
  }
  return (*writer)->close();
}

}  // namespace touchstone::workload
