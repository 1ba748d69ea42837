#include "tests/support/exchange_compare.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "base/files.h"
#include "base/text.h"

namespace touchstone::test {
namespace {

using nlohmann::json;
using Differences = std::vector<std::string>;

const char* type_name(const json& value) {
  if (value.is_number_integer()) return "integer";
  return value.type_name();
}

// Members of these objects are named by tokens, so their names are content.
bool has_content_keys(const std::string& path) {
  const auto ends = [&](std::string_view part) {
    const size_t at = path.rfind(part);
    return at != std::string::npos && path.find('[', at) != std::string::npos &&
           path.find('.', at + part.size()) == std::string::npos;
  };
  return ends("logprobs.top_logprobs") || ends("prompt_logprobs");
}

void compare_value(const json& recorded, const json& actual, const std::string& path,
                   Differences& out);

void compare_object(const json& recorded, const json& actual, const std::string& path,
                    Differences& out) {
  if (has_content_keys(path)) {
    if (recorded.empty()) return;
    for (const auto& [key, value] : actual.items()) {
      compare_value(recorded.begin().value(), value, path + "." + key, out);
    }
    return;
  }
  for (const auto& [key, value] : recorded.items()) {
    if (actual.contains(key)) {
      compare_value(value, actual[key], path + "." + key, out);
    } else {
      out.push_back(path + ": no key " + quote(key));
    }
  }
  for (const auto& [key, value] : actual.items()) {
    if (!recorded.contains(key)) out.push_back(path + ": unexpected key " + quote(key));
  }
}

// Lists of objects must be as long as recorded; lists of scalars are as long as their text.
void compare_array(const json& recorded, const json& actual, const std::string& path,
                   Differences& out) {
  const bool objects = !recorded.empty() && recorded[0].is_object();
  if (recorded.empty() != actual.empty() || (objects && recorded.size() != actual.size())) {
    out.push_back(path + ": got " + std::to_string(actual.size()) + " elements, expected " +
                  std::to_string(recorded.size()));
    return;
  }
  for (size_t i = 0; i < actual.size(); ++i) {
    const json& model = recorded[std::min(i, recorded.size() - 1)];
    compare_value(model, actual[i], path + "[" + std::to_string(i) + "]", out);
  }
}

void compare_value(const json& recorded, const json& actual, const std::string& path,
                   Differences& out) {
  if (std::string_view(type_name(recorded)) != type_name(actual)) {
    out.push_back(path + ": got " + type_name(actual) + ", expected " + type_name(recorded));
  } else if (recorded.is_object()) {
    compare_object(recorded, actual, path, out);
  } else if (recorded.is_array()) {
    compare_array(recorded, actual, path, out);
  }
}

// Errors carry facts, not only shapes.
void compare_error(const json& recorded, const json& actual, Differences& out) {
  const auto member = [](const json& tree, const char* outer, const char* inner) {
    const json object = tree.is_object() ? tree.value(outer, json()) : json();
    return object.is_object() ? object.value(inner, json()) : object;
  };
  for (const char* key : {"type", "param", "code"}) {
    const json expected = member(recorded, "error", key);
    const json got = member(actual, "error", key);
    if (expected != got) {
      out.push_back(std::string("error.") + key + ": got " + got.dump() + ", expected " +
                    expected.dump());
    }
  }
  const json detail = member(actual, "detail", "");
  if (member(recorded, "detail", "") != detail) out.push_back("detail: got " + detail.dump());
}

void compare_json(const std::string& recorded, const std::string& actual, Differences& out) {
  if (recorded.empty() || actual.empty()) {
    if (recorded.empty() != actual.empty()) {
      out.push_back("body: got " + quote(actual) + ", expected " + quote(recorded));
    }
    return;
  }
  const json expected = json::parse(recorded, nullptr, false);
  const json got = json::parse(actual, nullptr, false);
  if (got.is_discarded()) {
    out.push_back("body: not JSON: " + quote(actual));
    return;
  }
  compare_value(expected, got, "body", out);
  compare_error(expected, got, out);
}

// A text that is equal for two events of one shape.
std::string signature(const json& value, const std::string& path) {
  if (value.is_object() && !has_content_keys(path)) {
    std::string out = "{";
    for (const auto& [key, member] : value.items()) {
      out += key + ":" + signature(member, path + "." + key) + ",";
    }
    return out + "}";
  }
  if (value.is_array()) {
    return value.empty() ? "[]" : "[" + signature(value[0], path + "[0]") + "]";
  }
  return type_name(value);
}

struct Stream {
  /// Per choice index ("-" for events without choices): its events, of which consecutive ones of
  /// one shape are kept once.
  std::map<std::string, std::vector<json>> shapes;
  bool done = false;
  size_t events = 0;
};

std::string choice_of(const json& event) {
  const json choices = event.is_object() ? event.value("choices", json()) : json();
  if (!choices.is_array() || choices.empty() || !choices[0].is_object()) return "-";
  return choices[0].value("index", json()).dump();
}

std::optional<Stream> read_stream(const std::string& body, const char* whose, Differences& out) {
  Stream stream;
  for (const std::string& event : stream_events(body)) {
    if (stream.done) {
      out.push_back(std::string(whose) + ": an event after [DONE]");
      return std::nullopt;
    }
    if (event == "[DONE]") {
      stream.done = true;
      continue;
    }
    const json tree = json::parse(event, nullptr, false);
    if (tree.is_discarded()) {
      out.push_back(std::string(whose) + ": an event is not JSON: " + quote(event));
      return std::nullopt;
    }
    ++stream.events;
    auto& shapes = stream.shapes[choice_of(tree)];
    if (shapes.empty() || signature(shapes.back(), "event") != signature(tree, "event")) {
      shapes.push_back(tree);
    }
  }
  return stream;
}

bool is_framed(std::string_view body) {
  return body.size() >= 2 && body.substr(body.size() - 2) == "\n\n" && body.find('\r') == body.npos;
}

void compare_stream(const Exchange& recorded, const std::string& actual, Differences& out) {
  const auto expected = read_stream(recorded.response, "recording", out);
  const auto got = read_stream(actual, "stream", out);
  if (!expected || !got) return;
  if (!recorded.aborted) {
    if (!is_framed(actual)) out.push_back("stream: events do not end with an empty line");
    if (expected->done != got->done) out.push_back("stream: no [DONE] at the end");
  }
  for (const auto& [choice, shapes] : expected->shapes) {
    const std::string where = "events of choice " + choice;
    const auto found = got->shapes.find(choice);
    if (found == got->shapes.end()) {
      out.push_back(where + ": none");
      continue;
    }
    const auto& answer = found->second;
    const bool fits =
        recorded.aborted ? answer.size() >= shapes.size() : answer.size() == shapes.size();
    if (!fits) {
      out.push_back(where + ": got " + std::to_string(answer.size()) +
                    " shapes in a row, expected " + std::to_string(shapes.size()));
    }
    for (size_t i = 0; i < std::min(shapes.size(), answer.size()); ++i) {
      compare_value(shapes[i], answer[i], where + ", shape " + std::to_string(i), out);
    }
  }
  for (const auto& [choice, shapes] : got->shapes) {
    if (!expected->shapes.contains(choice))
      out.push_back("events of choice " + choice + ": unexpected");
  }
}

std::map<std::string, std::string> read_headers(const json& headers) {
  std::map<std::string, std::string> result;
  for (const auto& [name, value] : headers.items())
    result[to_lower(name)] = value.get<std::string>();
  return result;
}

}  // namespace

std::vector<std::string> stream_events(std::string_view body) {
  constexpr std::string_view kPrefix = "data: ";
  std::vector<std::string> events;
  size_t end = body.find("\n\n");
  while (end != std::string_view::npos) {
    std::string_view event = body.substr(0, end);
    if (event.substr(0, kPrefix.size()) == kPrefix) event.remove_prefix(kPrefix.size());
    events.emplace_back(event);
    body.remove_prefix(end + 2);
    end = body.find("\n\n");
  }
  return events;
}

std::string error_message(std::string_view body) {
  const json tree = json::parse(body, nullptr, false);
  if (!tree.is_object()) return {};
  const json error = tree.value("error", json());
  return error.is_object() ? error.value("message", "") : std::string();
}

Result<std::vector<Exchange>> load_exchanges(const std::string& path) {
  std::vector<Exchange> exchanges;
  const Status read = for_each_line(path, [&](int64_t line, std::string_view text) -> Status {
    const json tree = json::parse(text, nullptr, false);
    if (!tree.is_object() || !tree.contains("name") || !tree.contains("status")) {
      return malformed(path + ":" + std::to_string(line) + ": expected an exchange");
    }
    Exchange exchange;
    exchange.name = tree["name"].get<std::string>();
    exchange.method = tree["method"].get<std::string>();
    exchange.path = tree["path"].get<std::string>();
    exchange.headers = read_headers(tree["headers"]);
    const json& body = tree["body"];
    if (body.is_string()) {
      exchange.body = body.get<std::string>();
    } else if (!body.is_null()) {
      exchange.body = body.dump();
    }
    exchange.status = tree["status"].get<int>();
    exchange.response_headers = read_headers(tree["response_headers"]);
    exchange.aborted = tree.value("aborted", false);
    exchange.response = tree.value(exchange.aborted ? "response_prefix" : "response", "");
    exchanges.push_back(std::move(exchange));
    return {};
  });
  if (!read) return read.error();
  return exchanges;
}

std::vector<std::string> compare_exchange(const Exchange& recorded, const Answer& actual) {
  Differences out;
  if (recorded.status != actual.status) {
    out.push_back("status: got " + std::to_string(actual.status) + ", expected " +
                  std::to_string(recorded.status));
  }
  const auto type = recorded.response_headers.find("content-type");
  const std::string expected_type = type == recorded.response_headers.end() ? "" : type->second;
  if (expected_type != actual.content_type) {
    out.push_back("content type: got " + quote(actual.content_type) + ", expected " +
                  quote(expected_type));
  }
  if (expected_type.find("event-stream") != std::string::npos) {
    compare_stream(recorded, actual.body, out);
  } else {
    compare_json(recorded.response, actual.body, out);
  }
  return out;
}

}  // namespace touchstone::test
