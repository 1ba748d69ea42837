#include <algorithm>
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

std::string hint_for(const std::string& word, const std::vector<std::string>& known,
                     const std::string& otherwise) {
  const auto guess = nearest(word, known);
  return guess ? "did you mean `" + *guess + "`?" : otherwise;
}

/// No verb, or one that does not exist.
Exit report_verb_error(const CLI::App& app, int argc, char** argv) {
  if (argc < 2) {
    return report_error(
        invalid_argument("command line: no verb was given", "see `touchstone --help`"));
  }
  std::vector<std::string> verbs;
  for (const CLI::App* sub : app.get_subcommands({})) verbs.push_back(sub->get_name());
  return report_error(invalid_argument(
      "command line: got " + quote(argv[1]) + ", expected a verb: " + join(verbs, ", "),
      hint_for(argv[1], verbs, "see `touchstone --help`")));
}

/// CLI11's message, with the nearest flag when one was mistyped.
Exit report_parse_error(const CLI::App& app, const CLI::ParseError& problem, int argc,
                        char** argv) {
  if (app.get_subcommands().empty()) return report_verb_error(app, argc, argv);
  const CLI::App* verb = app.get_subcommands().front();
  std::vector<std::string> names;
  for (const CLI::Option* option : verb->get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  for (const CLI::App* sub : verb->get_subcommands({})) names.push_back(sub->get_name());
  std::string hint = "see `touchstone " + verb->get_name() + " --help`";
  for (int i = 2; i < argc; ++i) {
    const std::string word = split(argv[i], '=')[0];
    const bool known = std::find(names.begin(), names.end(), word) != names.end();
    if (!known && word.starts_with("--")) {
      hint = hint_for(word, names, hint);
      break;
    }
  }
  std::string message = problem.what();
  std::replace(message.begin(), message.end(), '\n', ' ');
  return report_error(invalid_argument(verb->get_name() + ": " + message, hint));
}

int run(int argc, char** argv) {
  CLI::App app{
      "Touchstone: proves from telemetry what an LLM server did, and predicts what it will do."};
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
