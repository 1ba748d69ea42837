#include "reference_engine/server/api/parsers/python_literal.h"

#include <cctype>

#include "base/text.h"
#include "base/utf8.h"

namespace touchstone::server::api {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kDepthMax = 64;

bool is_letter(char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0 || c == '_'; }
bool is_digit(char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; }

}  // namespace

void PythonReader::skip_space() {
  while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_])) != 0) ++at_;
}

bool PythonReader::take(char c) {
  skip_space();
  if (at_ == text_.size() || text_[at_] != c) return false;
  ++at_;
  return true;
}

bool PythonReader::at_end() {
  skip_space();
  return at_ == text_.size();
}

std::optional<std::string> PythonReader::name() {
  skip_space();
  const size_t first = at_;
  while (at_ < text_.size() && (is_letter(text_[at_]) || (at_ > first && is_digit(text_[at_])))) {
    ++at_;
  }
  if (at_ == first) return std::nullopt;
  return std::string(text_.substr(first, at_ - first));
}

std::optional<PythonReader::Call> PythonReader::call() {
  auto function = name();
  while (function && take('.')) {
    const auto part = name();
    if (!part) return std::nullopt;
    *function += "." + *part;
  }
  if (!function || !take('(')) return std::nullopt;
  Call read{.name = *function, .arguments = Json::object()};
  while (!take(')')) {
    const auto key = name();
    if (!key || !take('=')) return std::nullopt;
    auto value = literal();
    if (!value) return std::nullopt;
    read.arguments[*key] = *std::move(value);
    if (take(')')) break;
    if (!take(',')) return std::nullopt;
  }
  return read;
}

std::optional<Json> PythonReader::literal(int depth) {
  skip_space();
  if (at_ == text_.size() || depth > kDepthMax) return std::nullopt;
  const char c = text_[at_];
  if (c == '"' || c == '\'') {
    auto text = string();
    if (!text) return std::nullopt;
    return Json(*std::move(text));
  }
  if (take('[')) return list(']', depth + 1);
  if (take('(')) return list(')', depth + 1);
  if (take('{')) return dict(depth + 1);
  if (is_digit(c) || c == '-' || c == '+' || c == '.') return number();
  const auto word = name();
  if (word == "True" || word == "true") return Json(true);
  if (word == "False" || word == "false") return Json(false);
  if (word == "None" || word == "null") return Json(nullptr);
  return std::nullopt;
}

std::optional<Json> PythonReader::list(char close, int depth) {
  Json items = Json::array();
  while (!take(close)) {
    auto item = literal(depth);
    if (!item) return std::nullopt;
    items.push_back(*std::move(item));
    if (take(close)) break;
    if (!take(',')) return std::nullopt;
  }
  return items;
}

std::optional<Json> PythonReader::dict(int depth) {
  Json object = Json::object();
  while (!take('}')) {
    const auto key = literal(depth);
    if (!key || !key->is_string() || !take(':')) return std::nullopt;
    auto value = literal(depth);
    if (!value) return std::nullopt;
    object[key->get<std::string>()] = *std::move(value);
    if (take('}')) break;
    if (!take(',')) return std::nullopt;
  }
  return object;
}

std::optional<Json> PythonReader::number() {
  const size_t first = at_;
  while (at_ < text_.size() &&
         (is_digit(text_[at_]) || text_[at_] == '.' || text_[at_] == '-' || text_[at_] == '+' ||
          text_[at_] == 'e' || text_[at_] == 'E' || text_[at_] == '_')) {
    ++at_;
  }
  std::string digits;
  for (const char c : text_.substr(first, at_ - first)) {
    if (c != '_') digits += c;
  }
  if (const auto whole = parse_int(digits)) return Json(*whole);
  if (const auto value = parse_double(digits)) return Json(*value);
  return std::nullopt;
}

std::optional<std::string> PythonReader::string() {
  const char quote = text_[at_++];
  std::string out;
  while (at_ < text_.size() && text_[at_] != quote) {
    if (text_[at_] == '\\') {
      ++at_;
      if (!escape(out)) return std::nullopt;
    } else {
      out += text_[at_++];
    }
  }
  if (at_ == text_.size()) return std::nullopt;
  ++at_;
  return out;
}

/// The character behind a backslash.
bool PythonReader::escape(std::string& out) {
  if (at_ == text_.size()) return false;
  const char c = text_[at_++];
  constexpr std::string_view kNames = "ntrbfav0\\'\"";
  constexpr std::string_view kValues("\n\t\r\b\f\a\v\0\\'\"", 11);
  if (const size_t which = kNames.find(c); which != std::string_view::npos) {
    out += kValues[which];
    return true;
  }
  const size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
  if (digits == 0) {  // no escape: both stand for themselves
    out += '\\';
    out += c;
    return true;
  }
  if (text_.size() - at_ < digits) return false;
  uint32_t code = 0;
  for (size_t i = 0; i < digits; ++i) {
    const char digit = text_[at_++];
    if (std::isxdigit(static_cast<unsigned char>(digit)) == 0) return false;
    code =
        code * 16 + static_cast<uint32_t>(is_digit(digit) ? digit - '0' : (digit | 32) - 'a' + 10);
  }
  if (code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) return false;
  append_character(static_cast<int32_t>(code), out);
  return true;
}

}  // namespace touchstone::server::api
