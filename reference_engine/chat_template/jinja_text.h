// Python's str methods on UTF-8 text. Positions and lengths are characters. Pure; thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace touchstone::chat_template {

enum class Side { kBoth, kLeft, kRight };

std::vector<std::string_view> characters(std::string_view text);
/// Without white space (or without the characters of `set`) at the ends.
std::string strip(std::string_view text, const std::optional<std::string>& set, Side side);
/// Without a separator: at runs of white space. `limit`: most cuts; -1: all.
std::vector<std::string> split(std::string_view text, const std::optional<std::string>& separator,
                               int64_t limit, Side from);
std::vector<std::string> split_lines(std::string_view text);
std::string replace(std::string_view text, std::string_view from, std::string_view to,
                    int64_t count);
std::string to_upper(std::string_view text);
std::string to_lower(std::string_view text);
/// First character upper, the others lower; `every_word`: of each word.
enum class Capitals { kFirstWord, kEveryWord };
std::string capitalize(std::string_view text, Capitals capitals);
std::string escape_html(std::string_view text);

}  // namespace touchstone::chat_template
