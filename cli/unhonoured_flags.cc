#include "cli/unhonoured_flags.h"

#include <algorithm>

#include "base/text.h"

namespace touchstone::cli {
namespace {

using Kind = UnhonouredFlag::Kind;

bool is_harmless(const UnhonouredFlag& flag, const std::string& value) {
  const std::string_view words = flag.harmless;
  if (words == "*") return true;
  const std::vector<std::string> all = split(words, '|');
  return !words.empty() && std::find(all.begin(), all.end(), value) != all.end();
}

std::string off_name(const std::string& name) {
  return name.starts_with("--") ? "--no-" + name.substr(2) : name;
}

}  // namespace

std::vector<UnhonouredFlag> unhonoured_flags() {
  std::vector<UnhonouredFlag> all;
  for (const auto& rows :
       {unhonoured_server_flags(), unhonoured_engine_flags(), unhonoured_hardware_flags()}) {
    all.insert(all.end(), rows.begin(), rows.end());
  }
  return all;
}

void add_unhonoured_flags(CLI::App& app, UnhonouredValues& values) {
  for (const UnhonouredFlag& flag : unhonoured_flags()) {
    const std::string name = flag.name;
    if (flag.kind == Kind::kValue) {
      app.add_option_function<std::vector<std::string>>(
             name, [&values, name](const auto& given) { values[name] = given; })
          ->group("")
          ->expected(0, 64);
      continue;
    }
    const auto keep = [&values, name](const char* value) {
      return [&values, name, value](int64_t) { values[name] = {value}; };
    };
    app.add_flag_function(name, keep("true"))->group("");
    app.add_flag_function(off_name(name), keep("false"))->group("");
  }
}

Status check_unhonoured(const UnhonouredValues& values,
                        const std::function<void(const std::string&)>& say) {
  for (const UnhonouredFlag& flag : unhonoured_flags()) {
    const auto found = values.find(flag.name);
    if (found == values.end()) continue;
    std::string name = flag.name;
    std::vector<std::string> given = found->second;
    if (flag.kind == Kind::kSwitch) {
      const bool on = given == std::vector<std::string>{"true"};
      if (!on) name = off_name(name);
      if (on == flag.on_by_default) continue;  // asks for what is so anyway
      given = {"true"};
    }
    const bool all_harmless =
        std::ranges::all_of(given, [&](const auto& value) { return is_harmless(flag, value); });
    if (flag.harmless[0] == '\0' || !all_harmless) {
      return invalid_argument(name + ": not implemented: " + flag.reason);
    }
    say(name + ": accepted without effect: " + flag.reason);
  }
  return {};
}

}  // namespace touchstone::cli
