#include "reports/html_heat.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <vector>

#include "base/text.h"
#include "reports/escape.h"

namespace touchstone::reports {
namespace {

struct Field {
  int64_t present = 0;
  int64_t total = 0;
  bool optional = true;  ///< nothing that is counted here is required
};

void put_new(std::vector<std::string>& names, const std::string& name) {
  if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
}

/// "h0": on none, to "h4": on all; required ones that are not everywhere are told by colour.
std::string field_html(const Field* field) {
  if (field == nullptr || field->total == 0) return "<td class=\"heat\">–</td>";
  const double share = static_cast<double>(field->present) / static_cast<double>(field->total);
  const int step = field->present == field->total ? 4 : static_cast<int>(share * 3.999);
  return "<td class=\"heat " + std::string(field->optional ? "optional " : "") + "h" +
         std::to_string(step) + "\" title=\"" + format_count(field->present) + " of " +
         format_count(field->total) + "\">" +
         (field->present == field->total ? "100" : format_fixed(share * 100, share > 0 ? 1 : 0)) +
         "</td>";
}

}  // namespace

std::string heat_map_html(const result::Report& report) {
  std::vector<std::string> types;
  std::vector<std::string> attributes;
  std::map<std::pair<std::string, std::string>, Field> fields;
  for (const result::CoverageRow& row : report.coverage) {
    if (row.name_space == "resource") continue;  // of all spans alike
    put_new(types, row.span_type);
    put_new(attributes, row.attribute);
    Field& field = fields[{row.attribute, row.span_type}];
    field.present += row.present;
    field.total += row.total;
    field.optional = field.optional && row.level == result::Level::kMay;
  }
  if (types.size() < 2) return "";
  std::string out =
      "<div class=\"card\"><h3>Share of spans with each attribute, in %</h3><table class=\"map\">"
      "<tr><th></th>";
  for (const std::string& type : types) out += "<th class=\"n\">" + escape_markup(type) + "</th>";
  out += "</tr>";
  for (const std::string& attribute : attributes) {
    out += "<tr><td><code>" + escape_markup(attribute) + "</code></td>";
    for (const std::string& type : types) {
      const auto field = fields.find({attribute, type});
      out += field_html(field == fields.end() ? nullptr : &field->second);
    }
    out += "</tr>";
  }
  return out + "</table></div>";
}

}  // namespace touchstone::reports
