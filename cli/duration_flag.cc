#include "cli/duration_flag.h"

#include "base/text.h"

namespace touchstone::cli {

void add_duration_flag(CLI::App& app, const std::string& name, int64_t& target_ns,
                       const std::string& help) {
  const auto check = [](const std::string& text) -> std::string {
    const Result<int64_t> parsed = parse_duration_ns(text);
    return parsed && *parsed > 0 ? "" : "got " + quote(text) + ", expected a duration such as 30s";
  };
  app.add_option_function<std::string>(
         name,
         [&target_ns](const std::string& text) { target_ns = parse_duration_ns(text).value(); },
         help + " [" + format_duration(target_ns) + "]")
      ->check(CLI::Validator(check, "DURATION"));
}

}  // namespace touchstone::cli
