#include "telemetry/prometheus/text.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/text.h"

namespace touchstone::telemetry {
namespace {

bool is_blank(char c) { return c == ' ' || c == '\t'; }

bool is_name_char(char c, bool first, bool colon) {
  const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  return letter || (colon && c == ':') || (!first && c >= '0' && c <= '9');
}

bool includes(const Labels& labels, const Labels& wanted) {
  return std::all_of(wanted.begin(), wanted.end(), [&](const auto& pair) {
    const auto found = labels.find(pair.first);
    return found != labels.end() && found->second == pair.second;
  });
}

/// One line, read from left to right.
class Line final {
 public:
  explicit Line(std::string_view text) : rest_(text) {}

  bool at_end() const { return rest_.empty(); }
  std::string_view rest() const { return rest_; }
  void skip_blanks() {
    while (!rest_.empty() && is_blank(rest_.front())) rest_.remove_prefix(1);
  }
  bool accept(char c) {
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  /// Empty when there is no name here.
  std::string_view name(bool colon) {
    size_t size = 0;
    while (size < rest_.size() && is_name_char(rest_[size], size == 0, colon)) ++size;
    return take(size);
  }
  /// Up to the next blank.
  std::string_view word() {
    size_t size = 0;
    while (size < rest_.size() && !is_blank(rest_[size])) ++size;
    return take(size);
  }
  /// A quoted label value, unescaped; nullopt when it does not end or has a bad escape.
  std::optional<std::string> quoted() {
    if (!accept('"')) return std::nullopt;
    std::string value;
    for (size_t i = 0; i < rest_.size(); ++i) {
      if (rest_[i] == '"') {
        take(i + 1);
        return value;
      }
      if (rest_[i] != '\\') {
        value += rest_[i];
        continue;
      }
      if (++i == rest_.size()) break;
      if (rest_[i] != '\\' && rest_[i] != '"' && rest_[i] != 'n') return std::nullopt;
      value += rest_[i] == 'n' ? '\n' : rest_[i];
    }
    return std::nullopt;
  }

 private:
  std::string_view take(size_t size) {
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }
  std::string_view rest_;
};

std::string unescape_help(std::string_view text) {
  std::string help;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size() && (text[i + 1] == '\\' || text[i + 1] == 'n')) {
      help += text[++i] == 'n' ? '\n' : '\\';
    } else {
      help += text[i];
    }
  }
  return help;
}

std::optional<double> parse_value(std::string_view text) {
  if (text.starts_with('+') && !text.starts_with("+-")) text.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool belongs(const MetricFamily& family, std::string_view sample) {
  if (!sample.starts_with(family.name)) return false;
  const std::string_view suffix = sample.substr(family.name.size());
  if (suffix.empty()) return true;
  const bool sum = suffix == "_sum" || suffix == "_count" || suffix == "_created";
  const bool gauge_sum = suffix == "_gsum" || suffix == "_gcount" || suffix == "_bucket";
  return (family.type == "histogram" && (sum || suffix == "_bucket")) ||
         (family.type == "summary" && sum) ||
         (family.type == "counter" && (suffix == "_total" || suffix == "_created")) ||
         (family.type == "info" && suffix == "_info") ||
         (family.type == "gaugehistogram" && gauge_sum);
}

/// Reads a page line by line; each method returns what is wrong, empty when nothing is.
class PageReader final {
 public:
  std::string read(std::string_view text) {
    if (!text.empty() && text.back() == '\r') text.remove_suffix(1);
    Line line(text);
    line.skip_blanks();
    if (line.at_end()) return {};
    return line.accept('#') ? read_comment(line) : read_sample(line);
  }
  MetricsPage take() { return std::move(page_); }

 private:
  MetricFamily& family(std::string_view name) {
    const auto found = std::find_if(page_.families.rbegin(), page_.families.rend(),
                                    [&](const MetricFamily& each) { return each.name == name; });
    if (found != page_.families.rend()) return *found;
    page_.families.push_back({std::string(name), "untyped", "", {}});
    return page_.families.back();
  }

  std::string read_comment(Line line) {
    line.skip_blanks();
    const std::string_view keyword = line.word();
    if (keyword != "HELP" && keyword != "TYPE") return {};
    line.skip_blanks();
    const std::string name = name_or_quoted(line, true);
    if (name.empty() || (!line.at_end() && !is_blank(line.rest().front()))) {
      return "got " + quote(line.rest()) + ", expected a metric name after " + std::string(keyword);
    }
    if (!line.at_end()) line.accept(line.rest().front());
    if (keyword == "HELP") {
      family(name).help = unescape_help(line.rest());
      return {};
    }
    return read_type(name, trim(line.rest()));
  }

  std::string read_type(const std::string& name, std::string_view type) {
    static constexpr std::string_view kTypes[] = {"counter", "gauge",    "histogram",
                                                  "summary", "untyped",  "gaugehistogram",
                                                  "info",    "stateset", "unknown"};
    if (std::find(std::begin(kTypes), std::end(kTypes), type) == std::end(kTypes)) {
      return "got type " + quote(type) +
             ", expected counter, gauge, histogram, summary, untyped "
             "or one of OpenMetrics";
    }
    MetricFamily& group = family(name);
    if (!group.samples.empty() || group.type != "untyped") {
      return "got a TYPE line for " + name +
             " after its samples or its first TYPE line, expected one, before the samples";
    }
    group.type = type;
    return {};
  }

  /// Names beyond ASCII stand in quotes (UTF-8 names of Prometheus 3).
  static std::string name_or_quoted(Line& line, bool colon) {
    if (line.rest().starts_with('"')) return line.quoted().value_or("");
    return std::string(line.name(colon));
  }

  std::string read_labels(Line& line, std::string& metric, Labels& labels) {
    for (;;) {
      line.skip_blanks();
      if (line.accept('}')) return {};
      const bool is_quoted = line.rest().starts_with('"');
      const std::string name = name_or_quoted(line, false);
      if (name.empty()) return "got " + quote(line.rest()) + ", expected a label name or }";
      line.skip_blanks();
      // A quoted name without a value is the metric's own.
      if (is_quoted && metric.empty() && !line.rest().starts_with('=')) {
        metric = name;
        if (line.accept(',')) continue;
        if (line.accept('}')) return {};
      }
      if (!line.accept('=')) return "got " + quote(line.rest()) + ", expected = after a label name";
      line.skip_blanks();
      const std::string_view before = line.rest();
      std::optional<std::string> value = line.quoted();
      if (!value) return "got " + quote(before) + ", expected a quoted label value";
      if (!labels.emplace(name, *std::move(value)).second) {
        return "got label " + quote(name) + " twice, expected it once";
      }
      line.skip_blanks();
      if (line.accept(',')) continue;
      if (line.accept('}')) return {};
      return "got " + quote(line.rest()) + ", expected , or } after a label";
    }
  }

  std::string read_sample(Line line) {
    Sample sample;
    sample.name = line.name(true);
    const std::string nameless(line.rest());
    line.skip_blanks();
    if (line.accept('{')) {
      std::string problem = read_labels(line, sample.name, sample.labels);
      if (!problem.empty()) return problem;
      line.skip_blanks();
    }
    if (sample.name.empty()) return "got " + quote(nameless) + ", expected a metric name";
    const std::string_view number = line.word();
    const std::optional<double> value = parse_value(number);
    if (!value) return "got " + quote(number) + ", expected the value of " + sample.name;
    sample.value = *value;
    // An exemplar stands behind it.
    const std::string_view timestamp = trim(line.rest().substr(0, line.rest().find('#')));
    // OpenMetrics has seconds with decimals.
    if (!timestamp.empty() && !parse_double(timestamp)) {
      return "got " + quote(timestamp) + ", expected a timestamp or nothing";
    }
    add(std::move(sample));
    return {};
  }

  void add(Sample sample) {
    if (page_.families.empty() || !belongs(page_.families.back(), sample.name)) {
      const auto owner =
          std::find_if(page_.families.begin(), page_.families.end(),
                       [&](const MetricFamily& each) { return belongs(each, sample.name); });
      MetricFamily& group = owner != page_.families.end() ? *owner : family(sample.name);
      group.samples.push_back(std::move(sample));
      return;
    }
    page_.families.back().samples.push_back(std::move(sample));
  }

  MetricsPage page_;
};

}  // namespace

const MetricFamily* MetricsPage::family(std::string_view name) const {
  const auto found = std::find_if(families.begin(), families.end(),
                                  [&](const MetricFamily& each) { return each.name == name; });
  return found == families.end() ? nullptr : &*found;
}

std::optional<double> MetricsPage::value(std::string_view name, const Labels& labels) const {
  std::optional<double> value;
  for (const MetricFamily& group : families) {
    for (const Sample& sample : group.samples) {
      if (sample.name != name || !includes(sample.labels, labels)) continue;
      if (value) return std::nullopt;
      value = sample.value;
    }
  }
  return value;
}

std::optional<double> MetricsPage::sum(std::string_view name, const Labels& labels,
                                       const std::string& without) const {
  std::optional<double> total;
  for (const MetricFamily& group : families) {
    for (const Sample& sample : group.samples) {
      if (sample.name != name || !includes(sample.labels, labels)) continue;
      if (!without.empty() && sample.labels.contains(without)) continue;
      total = total.value_or(0) + sample.value;
    }
  }
  return total;
}

Result<MetricsPage> parse_prometheus_text(const std::string& name, std::string_view text) {
  PageReader reader;
  int64_t number = 0;
  while (!text.empty()) {
    ++number;
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string problem = reader.read(text.substr(0, end));
    if (!problem.empty()) return malformed(name + ":" + std::to_string(number) + ": " + problem);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return reader.take();
}

}  // namespace touchstone::telemetry
