#include "telemetry/prometheus/openmetrics.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/text.h"
#include "telemetry/prometheus/registry.h"

namespace touchstone::telemetry {
namespace {

struct Family {
  std::string name;  // as OpenMetrics has it: a counter's without "_total"
  std::string type;
  std::string help;
  std::vector<std::string> samples;
};

/// The label set of a sample without what tells buckets apart.
std::string series_of(std::string_view sample) {
  const size_t open = sample.find('{');
  if (open == std::string_view::npos) return "";
  std::string labels(sample.substr(open, sample.rfind('}') + 1 - open));
  for (const char* start : {"{le=\"", ",le=\""}) {
    const size_t at = labels.find(start);
    if (at == std::string::npos) continue;
    const size_t end = labels.find('"', at + 5) + 1;
    // The comma before or after it goes too, never both.
    labels.erase(at + (labels[at] == '{' ? 1 : 0),
                 end - at - (labels[at] == '{' && labels[end] != ',' ? 1 : 0));
    break;
  }
  return labels == "{}" ? "" : labels;
}

/// A sample's creation stands behind the others of its series.
void place_created(std::string sample, Family& family) {
  const std::string series = series_of(sample);
  auto last = family.samples.end();
  for (auto at = family.samples.begin(); at != family.samples.end(); ++at) {
    if (series_of(*at) == series) last = at;
  }
  family.samples.insert(last == family.samples.end() ? last : last + 1, std::move(sample));
}

std::string escaped_quotes(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (c == '"') result += '\\';
    result += c;
  }
  return result;
}

class Converter final {
 public:
  void add(std::string_view line) {
    constexpr std::string_view kHelp = "# HELP ";
    constexpr std::string_view kType = "# TYPE ";
    if (line.starts_with(kHelp)) {
      const std::string_view rest = line.substr(kHelp.size());
      help_ = rest.substr(std::min(rest.find(' ') + 1, rest.size()));
    } else if (line.starts_with(kType)) {
      begin_family(line.substr(kType.size()));
    } else if (created_of_ != nullptr) {
      place_created(std::string(line), *created_of_);
    } else if (!line.empty() && !families_.empty()) {
      families_.back().samples.emplace_back(line);
    }
  }

  std::string text(const Exemplars& exemplars) const {
    std::string out;
    for (const Family& family : families_) {
      out += "# HELP " + family.name + " " + escaped_quotes(family.help) + "\n# TYPE " +
             family.name + " " + family.type + "\n";
      for (const std::string& sample : family.samples) out += with_exemplar(sample, exemplars);
    }
    return out + "# EOF\n";
  }

 private:
  void begin_family(std::string_view name_and_type) {
    constexpr std::string_view kCreated = "_created";
    constexpr std::string_view kTotal = "_total";
    const size_t blank = name_and_type.find(' ');
    std::string_view name = name_and_type.substr(0, blank);
    const std::string_view type = name_and_type.substr(blank + 1);
    created_of_ = nullptr;
    if (name.ends_with(kCreated) && !families_.empty() &&
        families_.back().name == name.substr(0, name.size() - kCreated.size())) {
      created_of_ = &families_.back();
      return;
    }
    if (type == "counter" && name.ends_with(kTotal)) name.remove_suffix(kTotal.size());
    families_.push_back(
        {std::string(name), type == "untyped" ? "unknown" : std::string(type), help_, {}});
  }

  static std::string with_exemplar(const std::string& sample, const Exemplars& exemplars) {
    const size_t blank = sample.rfind(' ');
    const auto found = exemplars.find(std::string_view(sample).substr(0, blank));
    if (found == exemplars.end() || sample.substr(blank) == " 0.0") return sample + "\n";
    const Exemplar& exemplar = found->second;
    return sample + " # {trace_id=\"" + exemplar.trace_id.hex() + "\"} " +
           format_prometheus_number(exemplar.value) + " " +
           format_fixed(static_cast<double>(exemplar.unix_ns) / static_cast<double>(kNsPerSecond),
                        3) +
           "\n";
  }

  std::vector<Family> families_;
  std::string help_;
  Family* created_of_ = nullptr;  // not null: the lines that come say when its series began
};

}  // namespace

std::string to_openmetrics(std::string_view page, const Exemplars& exemplars) {
  Converter converter;
  for (const std::string& line : split(page, '\n')) converter.add(line);
  return converter.text(exemplars);
}

bool accepts_openmetrics(std::string_view accept) {
  for (const std::string& item : split(accept, ',')) {
    if (trim(std::string_view(item).substr(0, item.find(';'))) == "application/openmetrics-text") {
      return true;
    }
  }
  return false;
}

}  // namespace touchstone::telemetry
