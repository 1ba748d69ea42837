#include <unistd.h>

#include <cstdio>
#include <exception>
#include <string>

#include "base/text.h"
#include "base/version.h"
#include "cli/verb.h"

namespace touchstone::cli {

Exit report_error(const Error& error) {
  std::fprintf(stderr, "touchstone: %s\n", error.message.c_str());
  if (!error.hint.empty()) {
    std::fprintf(stderr, "hint: %s\n", error.hint.c_str());
  }
  const bool usage =
      error.code == ErrorCode::kInvalidArgument || error.code == ErrorCode::kNotFound;
  return usage ? Exit::kUsage : Exit::kUndecided;
}

namespace {

/// CLI11's message, with the nearest flag or verb when one was mistyped.
Exit report_parse_error(const CLI::App& app, const CLI::ParseError& problem, int argc,
                        char** argv) {
  const CLI::App* active = &app;
  for (const CLI::App* sub : app.get_subcommands()) active = sub;
  std::vector<std::string> names;
  for (const CLI::Option* option : active->get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  for (const CLI::App* sub : active->get_subcommands({})) names.push_back(sub->get_name());
  std::string hint = "see `touchstone " +
                     (active == &app ? std::string() : active->get_name() + " ") + "--help`";
  for (int i = 1; i < argc; ++i) {
    const std::string word = split(argv[i], '=')[0];
    bool known = word.empty() || word[0] != '-';
    for (const std::string& name : names) known = known || name == word;
    if (active == &app && i == 1) known = false;
    if (known) continue;
    if (const auto guess = nearest(word, names); guess && *guess != word) {
      hint = "did you mean `" + *guess + "`?";
      break;
    }
  }
  return report_error(invalid_argument(
      (active == &app ? std::string("command line") : active->get_name()) + ": " + problem.what(),
      hint));
}

int run(int argc, char** argv) {
  CLI::App app{"Touchstone: proves from telemetry what an LLM server did, and predicts what it will do."};
  app.name("touchstone");
  app.set_version_flag("--version", std::string("touchstone ") + kVersion);
  app.require_subcommand(1);
  std::vector<std::pair<CLI::App*, std::function<Exit()>>> runs;
  for (const Verb& verb : all_verbs()) {
    CLI::App* sub = app.add_subcommand(verb.name, verb.summary);
    sub->footer("Example:\n  " + verb.example);
    runs.emplace_back(sub, verb.setup(*sub));
  }
  app.footer("Exit: 0 good, 1 findings, 2 usage, 3 could not decide.");
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {  // --help, --version
    return app.exit(success);
  } catch (const CLI::ParseError& problem) {
    return static_cast<int>(report_parse_error(app, problem, argc, argv));
  }
  for (const auto& [sub, action] : runs) {
    if (sub->parsed()) {
      return static_cast<int>(action());
    }
  }
  return static_cast<int>(Exit::kUsage);
}

}  // namespace
}  // namespace touchstone::cli

int main(int argc, char** argv) {
  try {
    return touchstone::cli::run(argc, argv);
  } catch (const std::exception& problem) {
    std::fprintf(stderr, "touchstone: internal error: %s\n", problem.what());
    return 3;
  }
}
