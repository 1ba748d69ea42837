// Lines of a terminal: colours, columns, cutting and wrapping. Pure; thread-compatible.
#pragma once

#include <string>
#include <vector>

#include "reports/reports.h"

namespace touchstone::reports {

enum class Color { kGreen, kRed, kYellow, kGray, kBold };

/// Filled up with spaces on the right (`padded`) or the left (`right`) to `width` characters.
std::string padded(const std::string& text, size_t width);
std::string right(const std::string& text, size_t width);

class TextWriter {
 public:
  explicit TextWriter(const TextOptions& options) : options_(options) {}

  const TextOptions& options() const { return options_; }
  std::string painted(const std::string& text, Color color) const;

  /// An empty line and `title`; `rest` follows on the same line, as the heads of columns do.
  void heading(const std::string& title, const std::string& rest = "");
  /// `line` must be safe already; it is written whole.
  void line(const std::string& line) { text_ += line + "\n"; }
  /// A label and items behind it, on as many lines as the width needs; nothing without items.
  void flow(const std::string& label, const std::vector<std::string>& items, Color color);

  /// Outside text made safe and cut at the right edge of a line indented by `indent`.
  std::string cut(const std::string& text, size_t indent) const;
  /// The same on at most `lines_max` lines broken between words, the last cut. At least one line.
  std::vector<std::string> wrapped(const std::string& text, size_t indent, size_t lines_max) const;

  std::string take() { return std::move(text_); }

 private:
  size_t room(size_t indent) const;

  const TextOptions& options_;
  std::string text_;
};

}  // namespace touchstone::reports
