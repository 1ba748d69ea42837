#include "cli/config_flags.h"

#include <algorithm>
#include <variant>

#include "reference_engine/scheduler/policies.h"

namespace touchstone::cli {
namespace {

std::string dashed(std::string_view flag) {
  std::string name(flag);
  std::replace(name.begin(), name.end(), '_', '-');
  return name;
}

std::string text_of(const scheduler::FieldValue& value) {
  if (const auto* flag = std::get_if<bool>(&value)) return *flag ? "on" : "off";
  if (const auto* number = std::get_if<int64_t>(&value)) return std::to_string(*number);
  return std::get<std::string>(value);
}

void add_flag(CLI::App& app, const scheduler::ConfigField& field, const std::string& help,
              const scheduler::FieldValue& fallback, scheduler::FieldValues& values) {
  const std::string name = dashed(field.flag);
  const auto keep = [&values, key = std::string(field.name)](const auto& value) {
    values[key] = value;
  };
  if (std::holds_alternative<bool>(fallback)) {
    const std::string bare = name.starts_with("enable-") ? name.substr(7) : name;
    const std::string off = name == bare ? "--no-" + bare : "--no-enable-" + bare;
    app.add_flag_function(
        "--" + name + ",!" + off, [keep](int64_t count) { keep(count > 0); }, help);
  } else if (std::holds_alternative<int64_t>(fallback)) {
    app.add_option_function<int64_t>("--" + name, keep, help)
        ->check(CLI::Range(field.least, field.most));
  } else {
    std::vector<std::string> names;
    for (const scheduler::PolicyRow& row : scheduler::policies()) names.emplace_back(row.name);
    app.add_option_function<std::string>("--" + name, keep, help)->check(CLI::IsMember(names));
  }
}

}  // namespace

void add_config_flags(CLI::App& app, const ConfigFlags& flags, scheduler::FieldValues& values) {
  for (const scheduler::ConfigField& field : scheduler::config_fields()) {
    if (field.flag.empty() || std::ranges::count(flags.left_out, field.name) > 0) continue;
    const scheduler::FieldValue fallback = scheduler::get(flags.defaults, field);
    add_flag(app, field,
             std::string(field.help) + " [" + flags.else_than_default + text_of(fallback) + "]",
             fallback, values);
  }
}

}  // namespace touchstone::cli
