#include "reports/waterfall_text.h"

#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "reports/escape.h"
#include "reports/wording.h"

namespace touchstone::reports {
namespace {

constexpr size_t kLabelMax = 40;
constexpr size_t kTimeWidth = 11;

/// The axis from `start` to `end` of the whole, `width` characters.
std::string drawn(const result::WaterfallBar& bar, double start, double whole, size_t width) {
  const auto place = [&](double at) {
    if (!(whole > 0)) return size_t{0};
    const double share = std::clamp((at - start) / whole, 0.0, 1.0);
    return static_cast<size_t>(std::llround(share * static_cast<double>(width - 1)));
  };
  std::string line(width, ' ');
  const size_t first = place(bar.start_s);
  const size_t last = std::max(first, place(bar.end_s));
  for (size_t i = first; i <= last; ++i) line[i] = '=';
  if (bar.start_s == bar.end_s) line[first] = '|';
  return line;
}

}  // namespace

void write_waterfall(const result::Waterfall& waterfall, TextWriter& writer) {
  writer.heading(plain_line(waterfall.title));
  double start = 0;
  double end = 0;
  size_t label_width = 0;
  for (const result::WaterfallBar& bar : waterfall.bars) {
    start = std::min(start, bar.start_s);
    end = std::max(end, bar.end_s);
    const size_t indent = 2 * static_cast<size_t>(bar.depth);
    label_width = std::max(label_width, std::min(kLabelMax, bar.label.size() + indent));
  }
  const size_t used = 2 + label_width + 2 * kTimeWidth + 3;
  const auto all = static_cast<size_t>(std::max(writer.options().width, 0));
  const size_t axis = std::max<size_t>(12, all > used ? all - used : 0);
  for (const result::WaterfallBar& bar : waterfall.bars) {
    const std::string indent(2 * static_cast<size_t>(bar.depth), ' ');
    const std::string label = (indent + plain_line(bar.label)).substr(0, label_width);
    const double length = bar.end_s - bar.start_s;
    writer.line("  " + padded(label, label_width) +
                right("+" + seconds_text(bar.start_s), kTimeWidth) +
                right(length == 0 ? "" : seconds_text(length), kTimeWidth) + "  " +
                writer.painted(drawn(bar, start, end - start, axis), Color::kGreen));
    for (const auto& [key, value] : bar.attributes) {
      writer.line(writer.cut("    " + indent + plain_line(key) + ": " + plain_line(value), 0));
    }
  }
}

}  // namespace touchstone::reports
