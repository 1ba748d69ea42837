#include "reference_engine/server/api/parsers/json_call.h"

#include <nlohmann/json.hpp>

namespace touchstone::server::api {
namespace {

bool is_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

// A name longer than this is none.
constexpr size_t kNameBytesMax = 4096;

}  // namespace

JsonValueEnd::Step JsonValueEnd::add(char c) {
  if (quoted_) {
    if (escaped_) {
      escaped_ = false;
    } else if (c == '\\') {
      escaped_ = true;
    } else if (c == '"') {
      quoted_ = false;
      if (depth_ == 0) return Step::kLast;
    }
    return Step::kInside;
  }
  const bool scalar = started_ && depth_ == 0;
  if (scalar && (is_space(c) || c == ',' || c == '}' || c == ']' || c == ';')) return Step::kPast;
  started_ = true;
  if (c == '"') {
    quoted_ = true;
  } else if (c == '{' || c == '[') {
    ++depth_;
  } else if (c == '}' || c == ']') {
    --depth_;
    if (depth_ <= 0) return Step::kLast;
  }
  return Step::kInside;
}

size_t JsonCall::add(std::string_view text, ParsedText& out) {
  size_t taken = 0;
  while (taken < text.size() && state_ != State::kDone && state_ != State::kBroken) {
    step(text[taken++], out);
  }
  return taken;
}

void JsonCall::step(char c, ParsedText& out) {
  switch (state_) {
    case State::kStart:
      if (is_space(c)) return;
      state_ = c == '{' ? State::kKeyOrEnd : State::kBroken;
      return;
    case State::kKeyOrEnd:
      if (is_space(c)) return;
      key_.clear();
      state_ = c == '"' ? State::kKey : c == '}' ? State::kDone : State::kBroken;
      return;
    case State::kKey:
      return in_key(c);
    case State::kColon:
      if (is_space(c)) return;
      end_ = {};
      value_.clear();
      state_ = c == ':' ? State::kValue : State::kBroken;
      return;
    case State::kValue:
      return in_value(c, out);
    case State::kAfterValue:
      if (is_space(c)) return;
      state_ = c == ',' ? State::kKeyOrEnd : c == '}' ? State::kDone : State::kBroken;
      return;
    case State::kDone:
    case State::kBroken:
      return;
  }
}

void JsonCall::in_key(char c) {
  if (!escaped_ && c == '"') {
    meaning_ = key_ == "name"                                ? Meaning::kName
               : key_ == "arguments" || key_ == "parameters" ? Meaning::kArguments
                                                             : Meaning::kOther;
    // A call has its arguments once.
    if (meaning_ == Meaning::kArguments && has_arguments_) meaning_ = Meaning::kOther;
    if (meaning_ == Meaning::kArguments) has_arguments_ = true;
    state_ = State::kColon;
    return;
  }
  escaped_ = !escaped_ && c == '\\';
  if (key_.size() < kNameBytesMax) key_ += c;
}

void JsonCall::in_value(char c, ParsedText& out) {
  if (!end_.started() && is_space(c)) return;
  switch (end_.add(c)) {
    case JsonValueEnd::Step::kInside:
      return take(c, out);
    case JsonValueEnd::Step::kLast:
      take(c, out);
      return value_ended(out);
    case JsonValueEnd::Step::kPast:
      value_ended(out);
      return step(c, out);
  }
}

void JsonCall::take(char c, ParsedText& out) {
  if (meaning_ == Meaning::kName) {
    if (value_.size() < kNameBytesMax) value_ += c;
  } else if (meaning_ == Meaning::kArguments) {
    if (told_) {
      out.add_arguments(index_, {&c, 1});
    } else {
      pending_ += c;
    }
  }
}

void JsonCall::value_ended(ParsedText& out) {
  state_ = State::kAfterValue;
  if (meaning_ != Meaning::kName || told_) return;
  const nlohmann::json name = nlohmann::json::parse(value_, nullptr, false);
  if (!name.is_string() || name.get_ref<const std::string&>().empty()) {
    state_ = State::kBroken;
    return;
  }
  told_ = true;
  out.calls.push_back({.index = index_, .name = name.get<std::string>(), .arguments = pending_});
  pending_.clear();
}

}  // namespace touchstone::server::api
