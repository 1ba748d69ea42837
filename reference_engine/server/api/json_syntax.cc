#include "reference_engine/server/api/json_syntax.h"

#include <algorithm>

#include "base/text.h"

namespace touchstone::server::api {
namespace {

// A recursive-descent reader that only looks for the first mistake.
class Checker {
 public:
  Checker(std::string_view text, int depth_max) : text_(text), depth_max_(depth_max) {}

  std::optional<JsonSyntaxError> run() {
    skip_space();
    if (!value(0)) return report();
    skip_space();
    if (at_ < text_.size()) {
      fail(at_, "Extra data");
      return report();
    }
    return std::nullopt;
  }

 private:
  std::optional<JsonSyntaxError> report() const {
    if (too_deep_) return std::nullopt;
    const std::string_view before = text_.substr(0, error_at_);
    const auto characters = std::count_if(before.begin(), before.end(), [](char c) {
      return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
    });
    return JsonSyntaxError{static_cast<size_t>(characters), message_};
  }
  bool fail(size_t at, const char* message) {
    error_at_ = at;
    message_ = message;
    return false;
  }
  bool peek(char c) const { return at_ < text_.size() && text_[at_] == c; }
  void skip_space() {
    while (at_ < text_.size() &&
           std::string_view(" \t\n\r").find(text_[at_]) != std::string_view::npos) {
      ++at_;
    }
  }

  bool value(int depth) {
    if (depth > depth_max_) {
      too_deep_ = true;
      return false;
    }
    if (peek('"')) return string();
    if (peek('{')) return object(depth);
    if (peek('[')) return array(depth);
    for (const std::string_view word : {"null", "true", "false", "NaN", "Infinity", "-Infinity"}) {
      if (text_.substr(at_, word.size()) == word) {
        at_ += word.size();
        return true;
      }
    }
    return number() || fail(at_, "Expecting value");
  }

  bool digits() {
    const size_t begin = at_;
    while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9') ++at_;
    return at_ > begin;
  }

  bool number() {
    const size_t begin = at_;
    if (peek('-')) ++at_;
    if (peek('0')) {
      ++at_;
    } else if (!digits()) {
      at_ = begin;
      return false;
    }
    const auto optional_part = [&](auto&& part) {
      const size_t mark = at_;
      if (!part()) at_ = mark;
    };
    optional_part([&] { return peek('.') && (++at_, digits()); });
    optional_part([&] {
      if (!peek('e') && !peek('E')) return false;
      ++at_;
      if (peek('+') || peek('-')) ++at_;
      return digits();
    });
    return true;
  }

  bool string() {
    const size_t begin = at_++;
    while (at_ < text_.size()) {
      const auto c = static_cast<unsigned char>(text_[at_]);
      if (c == '"') {
        ++at_;
        return true;
      }
      if (c < 0x20) return fail(at_, "Invalid control character at");
      if (c != '\\') {
        ++at_;
        continue;
      }
      if (at_ + 1 == text_.size()) break;
      const char escaped = text_[at_ + 1];
      if (escaped == 'u') {
        const std::string_view hex = text_.substr(at_ + 2, 4);
        if (hex.size() < 4 || hex.find_first_not_of("0123456789abcdefABCDEF") != hex.npos) {
          return fail(at_ + 1, "Invalid \\uXXXX escape");
        }
        at_ += 6;
      } else if (std::string_view("\"\\/bfnrt").find(escaped) == std::string_view::npos) {
        return fail(at_, "Invalid \\escape");
      } else {
        at_ += 2;
      }
    }
    return fail(begin, "Unterminated string starting at");
  }

  bool array(int depth) {
    ++at_;
    skip_space();
    if (peek(']')) return ++at_, true;
    while (true) {
      if (!value(depth + 1)) return false;
      skip_space();
      if (peek(']')) return ++at_, true;
      if (!peek(',')) return fail(at_, "Expecting ',' delimiter");
      ++at_;
      skip_space();
    }
  }

  bool object(int depth) {
    ++at_;
    skip_space();
    if (peek('}')) return ++at_, true;
    while (true) {
      if (!peek('"')) return fail(at_, "Expecting property name enclosed in double quotes");
      if (!string()) return false;
      skip_space();
      if (!peek(':')) return fail(at_, "Expecting ':' delimiter");
      ++at_;
      skip_space();
      if (!value(depth + 1)) return false;
      skip_space();
      if (peek('}')) return ++at_, true;
      if (!peek(',')) return fail(at_, "Expecting ',' delimiter");
      ++at_;
      skip_space();
    }
  }

  std::string_view text_;
  int depth_max_;
  size_t at_ = 0;
  size_t error_at_ = 0;
  std::string message_;
  bool too_deep_ = false;
};

}  // namespace

std::optional<JsonSyntaxError> find_json_error(std::string_view text, int depth_max) {
  return Checker(text, depth_max).run();
}

JsonExtent json_extent(std::string_view text) {
  // A value in an array that has just grown, a member of an object, an array or object itself, a
  // string beyond its bytes: sizes of nlohmann::json with the C++ library's vector, map and string.
  constexpr int64_t kElementBytes = 32;
  constexpr int64_t kMemberBytes = 112;
  constexpr int64_t kContainerBytes = 80;
  constexpr int64_t kStringBytes = 48;
  JsonExtent extent;
  extent.tree_bytes = static_cast<int64_t>(text.size());
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
      extent.tree_bytes += kStringBytes;
    } else if (c == '[' || c == '{') {
      extent.depth = std::max(extent.depth, ++depth);
      extent.tree_bytes += kContainerBytes;
    } else if (c == ']' || c == '}') {
      --depth;
    } else if (c == ',') {
      extent.tree_bytes += kElementBytes;
    } else if (c == ':') {
      extent.tree_bytes += kMemberBytes;
    }
  }
  return extent;
}

}  // namespace touchstone::server::api
