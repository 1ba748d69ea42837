#include "reference_engine/chat_template/jinja_text.h"

#include <utf8proc.h>

#include <algorithm>

#include "base/utf8.h"

namespace touchstone::chat_template {
namespace {

bool is_python_space(std::string_view character) {
  const int32_t c = decode_character(character).value;
  return is_whitespace(c) || (c >= 0x1C && c <= 0x1F);
}

template <typename Convert>
std::string convert(std::string_view text, const Convert& convert_one) {
  std::string out;
  for (const std::string_view character : characters(text)) {
    append_character(convert_one(decode_character(character).value), out);
  }
  return out;
}

std::vector<std::string> split_at_space(std::string_view text, int64_t limit, Side from) {
  std::vector<std::string> parts;
  const auto all = characters(text);
  std::vector<std::pair<size_t, size_t>> words;  // byte ranges
  size_t at = 0;
  for (const std::string_view character : all) {
    if (!is_python_space(character)) {
      if (!words.empty() && words.back().second == at) {
        words.back().second += character.size();
      } else {
        words.emplace_back(at, at + character.size());
      }
    }
    at += character.size();
  }
  const size_t cuts = limit < 0 ? words.size() : static_cast<size_t>(limit);
  if (words.size() > cuts + 1 && from == Side::kLeft) {
    for (size_t i = 0; i < cuts; ++i) {
      parts.emplace_back(text.substr(words[i].first, words[i].second - words[i].first));
    }
    parts.emplace_back(text.substr(words[cuts].first));  // the rest stays one part
    return parts;
  }
  size_t first = 0;
  if (words.size() > cuts + 1) {
    first = words.size() - cuts;
    parts.emplace_back(text.substr(0, words[first - 1].second));
  }
  for (size_t i = first; i < words.size(); ++i) {
    parts.emplace_back(text.substr(words[i].first, words[i].second - words[i].first));
  }
  return parts;
}

}  // namespace

std::vector<std::string_view> characters(std::string_view text) {
  std::vector<std::string_view> result;
  while (!text.empty()) {
    const size_t size = next_sequence(text).size;
    result.push_back(text.substr(0, size));
    text.remove_prefix(size);
  }
  return result;
}

std::string strip(std::string_view text, const std::optional<std::string>& set, Side side) {
  const auto all = characters(text);
  const auto members = set ? characters(*set) : std::vector<std::string_view>();
  const auto goes = [&](std::string_view character) {
    if (!set) return is_python_space(character);
    return std::find(members.begin(), members.end(), character) != members.end();
  };
  size_t begin = 0;
  size_t end = all.size();
  if (side != Side::kRight) {
    while (begin < end && goes(all[begin])) ++begin;
  }
  if (side != Side::kLeft) {
    while (end > begin && goes(all[end - 1])) --end;
  }
  std::string out;
  for (size_t i = begin; i < end; ++i) out += all[i];
  return out;
}

std::vector<std::string> split(std::string_view text, const std::optional<std::string>& separator,
                               int64_t limit, Side from) {
  if (!separator) return split_at_space(text, limit, from);
  std::vector<std::string> parts;
  if (from == Side::kRight) {
    while (limit != 0) {
      const size_t position = text.rfind(*separator);
      if (position == std::string_view::npos) break;
      parts.emplace_back(text.substr(position + separator->size()));
      text = text.substr(0, position);
      --limit;
    }
    parts.emplace_back(text);
    std::reverse(parts.begin(), parts.end());
    return parts;
  }
  while (limit != 0) {
    const size_t position = text.find(*separator);
    if (position == std::string_view::npos) break;
    parts.emplace_back(text.substr(0, position));
    text.remove_prefix(position + separator->size());
    --limit;
  }
  parts.emplace_back(text);
  return parts;
}

std::vector<std::string> split_lines(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const size_t end = text.find_first_of("\r\n");
    lines.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) break;
    text.remove_prefix(text.substr(end, 2) == "\r\n" ? end + 2 : end + 1);
  }
  return lines;
}

std::string replace(std::string_view text, std::string_view from, std::string_view to,
                    int64_t count) {
  std::string out;
  if (from.empty()) {
    for (const std::string_view character : characters(text)) {
      if (count != 0) {
        out += to;
        --count;
      }
      out += character;
    }
    if (count != 0) out += to;
    return out;
  }
  while (count != 0) {
    const size_t position = text.find(from);
    if (position == std::string_view::npos) break;
    out += text.substr(0, position);
    out += to;
    text.remove_prefix(position + from.size());
    --count;
  }
  return out.append(text);
}

std::string to_upper(std::string_view text) { return convert(text, utf8proc_toupper); }
std::string to_lower(std::string_view text) { return convert(text, utf8proc_tolower); }

std::string capitalize(std::string_view text, Capitals capitals) {
  bool start = true;
  return convert(text, [&](int32_t c) {
    const bool letter = utf8proc_toupper(c) != c || utf8proc_tolower(c) != c;
    const int32_t converted = start ? utf8proc_toupper(c) : utf8proc_tolower(c);
    start = capitals == Capitals::kEveryWord && !letter;
    return converted;
  });
}

std::string escape_html(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&#34;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out.push_back(c);
    }
  }
  return out;
}

}  // namespace touchstone::chat_template
