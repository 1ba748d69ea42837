#include "reports/sightings.h"

#include <algorithm>
#include <map>
#include <vector>

#include "base/text.h"
#include "reports/escape.h"

namespace touchstone::reports {
namespace {

using result::Sighting;

bool is_whole(const Sighting& row) { return row.total > 0 && row.present == row.total; }

Color color_of(const Sighting& row) {
  return is_whole(row) ? Color::kGreen : row.present > 0 ? Color::kYellow : Color::kRed;
}

constexpr size_t kDate = 10;    // 2026-11-24
constexpr size_t kMinute = 16;  // 2026-11-24 17:00
constexpr size_t kSecond = 19;  // 2026-11-24 17:00:03

std::string time_text(int64_t unix_ns, size_t length) {
  std::string text = format_utc(unix_ns).substr(0, length);
  std::replace(text.begin(), text.end(), 'T', ' ');
  return text;
}

size_t width_of(const std::vector<Sighting>& rows) {
  size_t width = 0;
  for (const Sighting& row : rows) {
    if (row.group.empty()) width = std::max(width, row.attribute.size());
  }
  return std::min<size_t>(width, 48);
}

std::string missing_text(const Sighting& row) {
  return row.missing_in.empty() ? "" : "missing in " + join(row.missing_in, ", ");
}

/// One line a group: what is whole as a number, the rest by name.
void write_groups(const std::vector<Sighting>& rows, TextWriter& writer) {
  std::vector<std::string> order;
  std::map<std::string, std::vector<const Sighting*>> groups;
  for (const Sighting& row : rows) {
    if (row.group.empty()) continue;
    if (!groups.contains(row.group)) order.push_back(row.group);
    groups[row.group].push_back(&row);
  }
  for (const std::string& name : order) {
    std::vector<std::string> items;
    int64_t whole = 0;
    for (const Sighting* row : groups[name]) {
      whole += is_whole(*row);
      if (!is_whole(*row)) {
        items.push_back(result::coverage_word(row->present, row->total) + " " + row->attribute);
      }
    }
    const bool all = items.empty();
    items.insert(items.begin(),
                 "PASS " + std::to_string(whole) + " of " + std::to_string(groups[name].size()));
    writer.line("  " + writer.painted(writer.cut(plain_line(name) + ": " + join(items, ", "), 2),
                                      all ? Color::kGreen : Color::kRed));
  }
}

}  // namespace

std::string seen_text(const Sighting& row) {
  if (!row.first_seen_unix_ns || !row.last_seen_unix_ns) return {};
  const std::string first = time_text(*row.first_seen_unix_ns, kSecond);
  const std::string last = time_text(*row.last_seen_unix_ns, kSecond);
  if (first.substr(0, kDate) == last.substr(0, kDate)) {
    return first + " to " + last.substr(kDate + 1);
  }
  return first.substr(0, kMinute) + " to " + last.substr(0, kMinute);
}

void write_sightings(const result::Report& report, TextWriter& writer) {
  if (report.sightings.empty()) return;
  writer.heading("Seen, in UTC");
  const size_t width = width_of(report.sightings);
  for (const Sighting& row : report.sightings) {
    if (!row.group.empty()) continue;
    const std::string word = result::coverage_word(row.present, row.total);
    std::string rest = padded(plain_line(row.attribute), width) + "  " + seen_text(row);
    if (const std::string missing = missing_text(row); !missing.empty()) {
      rest += (row.present > 0 ? "; " : "") + plain_line(missing);
    }
    writer.line("  " + writer.painted(padded(word, 15), color_of(row)) + " " +
                writer.cut(rest, 18));
  }
  write_groups(report.sightings, writer);
}

std::string sightings_html(const result::Report& report) {
  if (report.sightings.empty()) return "";
  std::string out =
      "<div class=\"card\"><table><tr><th></th><th>Attribute</th><th>Span type</th><th>Of</th>"
      "<th class=\"n\">Spans</th><th>Seen, in UTC</th><th>Missing in</th></tr>";
  for (const Sighting& row : report.sightings) {
    const char* kind = is_whole(row) ? "pass" : "fail";
    out += "<tr><td><span class=\"pill " + std::string(kind) + "\">" +
           escape_markup(result::coverage_word(row.present, row.total)) + "</span></td><td><code>" +
           escape_markup(row.attribute) + "</code></td><td>" + escape_markup(row.span_type) +
           "</td><td>" + escape_markup(row.group.empty() ? "all" : row.group) +
           "</td><td class=\"n\">" + format_count(row.present) + " / " + format_count(row.total) +
           "</td><td>" + escape_markup(seen_text(row)) + "</td><td>" +
           escape_markup(join(row.missing_in, ", ")) + "</td></tr>";
  }
  return out + "</table></div>";
}

}  // namespace touchstone::reports
