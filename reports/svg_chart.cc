#include "reports/svg_chart.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/text.h"
#include "reports/escape.h"

namespace touchstone::reports {
namespace {

using result::Chart;
using result::Series;

constexpr double kWidth = 640, kHeight = 260;
constexpr double kLeft = 52, kRight = 628, kTop = 12, kBottom = 222;
constexpr size_t kColors = 8;
// Two points for each pixel column keep every peak.
constexpr size_t kColumns = 300;

struct Scale {
  double low = 0, high = 1;
  double from = 0, to = 1;  // pixels
  bool log = false;

  double pixel(double value) const {
    const double share = log ? std::log(std::max(value, low) / low) / std::log(high / low)
                             : (value - low) / (high - low);
    return from + std::clamp(share, 0.0, 1.0) * (to - from);
  }
};

std::string px(double value) { return format_fixed(value, 1); }

/// The finite points of a series, thinned: of each column the first, lowest, highest and last.
Series thinned(const Series& series) {
  Series points{.name = series.name, .x = {}, .y = {}};
  for (size_t i = 0; i < series.x.size(); ++i) {
    if (std::isfinite(series.x[i]) && std::isfinite(series.y[i])) {
      points.x.push_back(series.x[i]);
      points.y.push_back(series.y[i]);
    }
  }
  if (points.x.size() <= 4 * kColumns) return points;
  Series result{.name = series.name, .x = {}, .y = {}};
  const size_t size = points.x.size();
  for (size_t column = 0; column < kColumns; ++column) {
    const size_t first = column * size / kColumns;
    const size_t last = (column + 1) * size / kColumns - 1;
    const auto begin = points.y.begin();
    const auto at = [&](size_t i) { return begin + static_cast<std::ptrdiff_t>(i); };
    const auto [low, high] = std::minmax_element(at(first), at(last) + 1);
    std::vector<size_t> kept = {first, static_cast<size_t>(low - begin),
                                static_cast<size_t>(high - begin), last};
    std::sort(kept.begin(), kept.end());
    kept.erase(std::unique(kept.begin(), kept.end()), kept.end());
    for (const size_t i : kept) {
      result.x.push_back(points.x[i]);
      result.y.push_back(points.y[i]);
    }
  }
  return result;
}

/// 1, 2 or 5 times a power of ten, at most `parts` of them in the range.
double tick_step(double range, int parts) {
  const double rough = range / parts;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= rough) return factor * power;
  }
  return 10 * power;
}

std::string tick_text(double value, bool seconds) {
  if (seconds && value > 0) {
    if (value < 0.9995e-3) return format_double(std::round(value * 1e8) / 100) + " µs";
    if (value < 0.9995) return format_double(std::round(value * 1e5) / 100) + " ms";
    return format_double(value) + " s";
  }
  if (std::fabs(value) >= 10'000 && value == std::floor(value)) {
    return format_count(static_cast<int64_t>(value));
  }
  // Steps are sums of 0.1 and the like: cut what rounding added.
  return format_double(std::round(value * 1e9) / 1e9);
}

std::vector<double> ticks_of(const Scale& scale, int parts) {
  std::vector<double> ticks;
  if (scale.log) {
    const double first = std::ceil(std::log10(scale.low) - 1e-9);
    const double last = std::floor(std::log10(scale.high) + 1e-9);
    const double step = std::max(1.0, std::ceil((last - first) / parts));
    for (double power = first; power <= last; power += step) {
      ticks.push_back(std::pow(10, power));
    }
    return ticks;
  }
  const double step = tick_step(scale.high - scale.low, parts);
  for (double tick = std::ceil(scale.low / step) * step; tick <= scale.high + step / 1000;
       tick += step) {
    ticks.push_back(tick);
  }
  return ticks;
}

struct Extent {
  double x_low = std::numeric_limits<double>::infinity(), x_high = -x_low;
  double y_low = std::numeric_limits<double>::infinity(), y_high = -y_low;
  double x_positive = std::numeric_limits<double>::infinity();
};

Extent extent_of(const std::vector<Series>& lines) {
  Extent extent;
  for (const Series& line : lines) {
    for (size_t i = 0; i < line.x.size(); ++i) {
      extent.x_low = std::min(extent.x_low, line.x[i]);
      extent.x_high = std::max(extent.x_high, line.x[i]);
      extent.y_low = std::min(extent.y_low, line.y[i]);
      extent.y_high = std::max(extent.y_high, line.y[i]);
      if (line.x[i] > 0) extent.x_positive = std::min(extent.x_positive, line.x[i]);
    }
  }
  return extent;
}

Scale x_scale(const Chart& chart, const Extent& extent) {
  Scale scale{.low = extent.x_low, .high = extent.x_high, .from = kLeft, .to = kRight};
  // Phases of one request differ by orders of magnitude; on a linear axis the short ones vanish.
  constexpr double kLogFrom = 50;
  scale.log = chart.kind == Chart::Kind::kCdf && std::isfinite(extent.x_positive) &&
              extent.x_high > extent.x_positive * kLogFrom;
  if (scale.log) scale.low = extent.x_positive;
  if (!(scale.high > scale.low)) scale.high = scale.low + 1;
  return scale;
}

Scale y_scale(const Chart& chart, const Extent& extent) {
  Scale scale{
      .low = std::min(0.0, extent.y_low), .high = extent.y_high, .from = kBottom, .to = kTop};
  if (chart.kind == Chart::Kind::kCdf) scale.high = 1;
  if (!(scale.high > scale.low)) scale.high = scale.low + 1;
  return scale;
}

/// Lines bend at points; steps and distributions keep their value until the next point.
std::string path_of(const Chart& chart, const Series& line, const Scale& x, const Scale& y) {
  std::string path;
  if (chart.kind == Chart::Kind::kCdf && !line.x.empty()) {
    path = "M" + px(x.pixel(line.x[0])) + " " + px(y.pixel(0)) + "V" + px(y.pixel(line.y[0]));
  }
  for (size_t i = 0; i < line.x.size(); ++i) {
    const std::string at_x = px(x.pixel(line.x[i]));
    const std::string at_y = px(y.pixel(line.y[i]));
    if (path.empty()) {
      path = "M" + at_x + " " + at_y;
    } else if (chart.kind == Chart::Kind::kLine) {
      path += "L" + at_x + " " + at_y;
    } else {
      path += "H" + at_x + "V" + at_y;
    }
  }
  if (chart.kind == Chart::Kind::kCdf) path += "H" + px(x.to);
  return path;
}

/// Six digits are more than a screen shows; numbers only, so nothing needs escaping.
std::string json_numbers(const std::vector<double>& values) {
  std::string text = "[";
  for (size_t i = 0; i < values.size(); ++i) {
    const double power =
        values[i] == 0 ? 1 : std::pow(10, 5 - std::floor(std::log10(std::fabs(values[i]))));
    const double rounded = std::round(values[i] * power) / power;
    text += (i == 0 ? "" : ",") + format_double(std::isfinite(rounded) ? rounded : values[i]);
  }
  return text + "]";
}

std::string data_of(const Chart& chart, const std::vector<Series>& lines, const Scale& x) {
  std::string text =
      "{\"box\":[" + px(kLeft) + "," + px(kRight) + "],\"x\":" + json_numbers({x.low, x.high}) +
      ",\"log\":" + (x.log ? "true" : "false") +
      ",\"cdf\":" + (chart.kind == Chart::Kind::kCdf ? "true" : "false") +
      ",\"seconds\":" + (chart.x_label == "seconds" ? "true" : "false") + ",\"series\":[";
  for (size_t i = 0; i < lines.size(); ++i) {
    text += std::string(i == 0 ? "" : ",") + "{\"x\":" + json_numbers(lines[i].x) +
            ",\"y\":" + json_numbers(lines[i].y) + "}";
  }
  return text + "]}";
}

std::string axes(const Chart& chart, const Scale& x, const Scale& y) {
  std::string out;
  const bool seconds = chart.x_label == "seconds";
  for (const double tick : ticks_of(y, 5)) {
    const std::string at = px(y.pixel(tick));
    out += "<line class=\"axis\" x1=\"" + px(kLeft) + "\" x2=\"" + px(kRight) + "\" y1=\"" + at +
           "\" y2=\"" + at + "\"/><text x=\"" + px(kLeft - 6) + "\" y=\"" + px(y.pixel(tick) + 4) +
           "\" text-anchor=\"end\">" + tick_text(tick, false) + "</text>";
  }
  for (const double tick : ticks_of(x, 7)) {
    const std::string at = px(x.pixel(tick));
    out += "<line class=\"axis\" x1=\"" + at + "\" x2=\"" + at + "\" y1=\"" + px(kBottom) +
           "\" y2=\"" + px(kBottom + 4) + "\"/><text x=\"" + at + "\" y=\"" + px(kBottom + 16) +
           "\" text-anchor=\"middle\">" + tick_text(tick, seconds) + "</text>";
  }
  const std::string x_title = chart.x_label + (x.log ? " (logarithmic)" : "");
  out += "<text x=\"" + px((kLeft + kRight) / 2) + "\" y=\"" + px(kHeight - 6) +
         "\" text-anchor=\"middle\">" + escape_markup(x_title) + "</text>";
  out += "<text transform=\"translate(11 " + px((kTop + kBottom) / 2) +
         ") rotate(-90)\" text-anchor=\"middle\">" + escape_markup(chart.y_label) + "</text>";
  return out;
}

}  // namespace

std::string svg_chart(const Chart& chart) {
  std::vector<Series> lines;
  for (const Series& series : chart.series) lines.push_back(thinned(series));
  const Extent extent = extent_of(lines);
  std::string out = "<figure class=\"card\" data-chart><h3>" + escape_markup(chart.title) + "</h3>";
  if (!std::isfinite(extent.x_low) || !std::isfinite(extent.y_low)) {
    return out + "<p class=\"none\">no data</p></figure>";
  }
  const Scale x = x_scale(chart, extent);
  const Scale y = y_scale(chart, extent);
  out += "<svg viewBox=\"0 0 " + px(kWidth) + " " + px(kHeight) + "\" role=\"img\" aria-label=\"" +
         escape_markup(chart.title) + "\">" + axes(chart, x, y);
  std::string legend;
  for (size_t i = 0; i < lines.size(); ++i) {
    const std::string color = std::to_string(i % kColors);
    out += "<path class=\"series c" + color + "\" d=\"" + path_of(chart, lines[i], x, y) + "\"/>";
    legend +=
        "<span><i class=\"b" + color + "\"></i>" + escape_markup(lines[i].name) + " <b></b></span>";
  }
  out += "<line class=\"cursor\" y1=\"" + px(kTop) + "\" y2=\"" + px(kBottom) + "\"/></svg>";
  out += "<div class=\"legend\">" + legend + "<span class=\"at\"></span></div>";
  out += "<script type=\"application/json\">" + data_of(chart, lines, x) + "</script></figure>";
  return out;
}

}  // namespace touchstone::reports
