#include "reports/text_writer.h"

#include <algorithm>

#include "base/text.h"
#include "reports/escape.h"

namespace touchstone::reports {
namespace {

constexpr int kNarrowest = 40;
constexpr size_t kLabelWidth = 16;

}  // namespace

std::string padded(const std::string& text, size_t width) {
  const size_t length = width_of(text);
  return length >= width ? text : text + std::string(width - length, ' ');
}

std::string right(const std::string& text, size_t width) {
  const size_t length = width_of(text);
  return length >= width ? text : std::string(width - length, ' ') + text;
}

size_t TextWriter::room(size_t indent) const {
  return static_cast<size_t>(std::max(options_.width, kNarrowest)) - indent;
}

std::string TextWriter::painted(const std::string& text, Color color) const {
  if (!options_.color) return text;
  static constexpr const char* kCodes[] = {"32", "31", "33", "90", "1"};
  return std::string("\x1b[") + kCodes[static_cast<int>(color)] + "m" + text + "\x1b[0m";
}

void TextWriter::heading(const std::string& title, const std::string& rest) {
  text_ += "\n" + painted(title, Color::kBold) + rest + "\n";
}

void TextWriter::flow(const std::string& label, const std::vector<std::string>& items,
                      Color color) {
  if (items.empty()) return;
  const size_t indent = kLabelWidth + 2;
  std::vector<std::string> lines = {""};
  for (size_t i = 0; i < items.size(); ++i) {
    const std::string item = plain_line(items[i]) + (i + 1 < items.size() ? ", " : "");
    if (!lines.back().empty() && width_of(lines.back()) + width_of(item) > room(indent)) {
      lines.emplace_back();
    }
    lines.back() += item;
  }
  for (size_t i = 0; i < lines.size(); ++i) {
    std::string text = shortened(lines[i], room(indent));
    while (text.ends_with(' ')) text.pop_back();
    line("  " + padded(i == 0 ? label : "", kLabelWidth) + painted(text, color));
  }
}

std::string TextWriter::cut(const std::string& text, size_t indent) const {
  return shortened(plain_line(text), room(indent));
}

std::vector<std::string> TextWriter::wrapped(const std::string& text, size_t indent,
                                             size_t lines_max) const {
  std::vector<std::string> lines = {""};
  for (const std::string& word : split(plain_line(text), ' ')) {
    const bool fits = width_of(lines.back()) + width_of(word) + 1 <= room(indent);
    if (!fits && !lines.back().empty() && lines.size() < lines_max) lines.emplace_back();
    lines.back() += (lines.back().empty() ? "" : " ") + word;
  }
  for (std::string& line : lines) line = shortened(line, room(indent));
  return lines;
}

}  // namespace touchstone::reports
