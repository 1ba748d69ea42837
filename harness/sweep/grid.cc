#include "harness/sweep/grid.h"

#include <nlohmann/json.hpp>
#include <set>

#include "base/document.h"
#include "base/files.h"
#include "base/text.h"

namespace touchstone::harness {
namespace {

constexpr int64_t kMostPoints = 1'000'000;

/// A scalar as a command line has it; nullopt for lists, objects and null.
std::optional<std::string> scalar(const nlohmann::json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_boolean()) return value.get<bool>() ? "true" : "false";
  if (value.is_number_integer()) return std::to_string(value.get<int64_t>());
  if (value.is_number()) return format_double(value.get<double>());
  return std::nullopt;
}

/// What the sweep itself sets.
bool is_taken(const std::string& flag) { return flag == "format" || flag == "output"; }

void check_flag(const Fields& fields, const std::string& key) {
  if (is_taken(key)) fields.fail(key, "got a flag that the sweep sets, expected another");
  if (key.starts_with("-")) fields.fail(key, "got dashes, expected the flag without them");
}

void read_flags(const Fields& fields, Grid& grid) {
  for (const std::string& key : fields.keys()) {
    check_flag(fields, key);
    const auto value = scalar(fields.raw(key));
    if (!value) fields.fail(key, "got no single value, expected text, a number, true or false");
    grid.flags.emplace_back(key, value.value_or(""));
  }
}

void read_axes(const Fields& fields, Grid& grid) {
  for (const std::string& key : fields.keys()) {
    check_flag(fields, key);
    const nlohmann::json& list = fields.raw(key);
    if (!list.is_array() || list.empty()) {
      fields.fail(key, "got no list of values, expected one or more");
      return;
    }
    std::vector<std::string> values;
    std::set<std::string> seen;
    for (const nlohmann::json& item : list) {
      const auto value = scalar(item);
      if (!value || !seen.insert(*value).second) {
        fields.fail(key, "got " + item.dump() + ", expected single values, each once");
        return;
      }
      values.push_back(*value);
    }
    grid.axes.emplace_back(key, std::move(values));
  }
}

}  // namespace

int64_t Grid::points() const {
  int64_t points = 1;
  for (const auto& [key, values] : axes) {
    points *= std::ssize(values);
    if (points > kMostPoints) return points;
  }
  return points;
}

std::vector<std::string> Grid::values(int64_t index) const {
  std::vector<std::string> chosen(axes.size());
  for (size_t i = axes.size(); i-- > 0;) {
    const int64_t count = std::ssize(axes[i].second);
    chosen[i] = axes[i].second[static_cast<size_t>(index % count)];
    index /= count;
  }
  return chosen;
}

std::vector<std::string> Grid::command(int64_t index) const {
  std::vector<std::string> words = {verb};
  const auto add = [&words](const std::string& flag, const std::string& value) {
    if (value == "true") {
      words.push_back("--" + flag);
    } else if (value == "false") {
      words.push_back("--no-" + flag);
    } else {
      words.push_back("--" + flag + "=" + value);
    }
  };
  for (const auto& [flag, value] : flags) add(flag, value);
  const std::vector<std::string> chosen = values(index);
  for (size_t i = 0; i < axes.size(); ++i) add(axes[i].first, chosen[i]);
  words.emplace_back("--format=json");
  return words;
}

Result<Grid> read_grid(const std::string& path) {
  const auto text = read_file(path);
  if (!text) return text.error();
  auto document = Document::parse_yaml(path, *text);
  if (!document) return invalid_argument(document.error().message, document.error().hint);
  const Fields root = document->root();
  if (root.required_int("sweep") != 1) root.fail("sweep", "got another version, expected 1");
  Grid grid;
  grid.verb = root.optional_enum<std::string>("verb", {{"simulate", "simulate"}, {"plan", "plan"}})
                  .value_or("simulate");
  read_flags(root.object("flags"), grid);
  read_axes(root.required_object("grid"), grid);
  for (const auto& [flag, value] : grid.flags) {
    for (const auto& [axis, values] : grid.axes) {
      if (flag == axis) root.fail("grid", "got " + quote(flag) + " in flags too, expected it once");
    }
  }
  if (grid.axes.empty()) root.fail("grid", "got no list, expected one or more");
  if (grid.points() > kMostPoints) {
    root.fail("grid", "got more than " + format_count(kMostPoints) + " points, expected fewer");
  }
  RETURN_IF_ERROR(document->finish());
  return grid;
}

}  // namespace touchstone::harness
