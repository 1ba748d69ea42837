#include <algorithm>
#include <cctype>
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

/// Every flag of `app`, with its dashes, and every sub-verb.
std::vector<std::string> words_of(const CLI::App& app) {
  std::vector<std::string> words;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_snames()) words.push_back("-" + name);
    for (const std::string& name : option->get_lnames()) words.push_back("--" + name);
    for (const std::string& name : option->get_fnames()) words.push_back("--" + name);
  }
  for (const CLI::App* sub : app.get_subcommands({})) words.push_back(sub->get_name());
  return words;
}

/// The first word of the command line that looks like a flag and is none of `known`, else the first
/// that `problem` says is left over.
std::string unknown_word(const std::vector<std::string>& known, const CLI::App& verb, int argc,
                         char** argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string word = split(argv[i], '=')[0];
    if (word == "--") break;
    if (word.size() < 2 || word[0] != '-' || std::isdigit(word[1]) != 0) continue;
    if (std::find(known.begin(), known.end(), word) == known.end()) return word;
  }
  const std::vector<std::string> left = verb.remaining(true);
  return left.empty() ? "" : left.front();
}

/// What is wrong with the words after a verb, with the nearest flag or sub-verb when one was
/// mistyped.
Exit report_parse_error(const CLI::App& app, const CLI::ParseError& problem, int argc,
                        char** argv) {
  if (app.get_subcommands().empty()) return report_verb_error(app, argc, argv);
  const CLI::App* verb = app.get_subcommands().front();
  std::string name = verb->get_name();
  while (!verb->get_subcommands().empty()) {
    verb = verb->get_subcommands().front();
    name += " " + verb->get_name();
  }
  const std::vector<std::string> known = words_of(*verb);
  const std::string help = "see `touchstone " + name + " --help`";
  const std::string unknown = unknown_word(known, *verb, argc, argv);
  if (!unknown.empty()) {
    const char* expected = unknown[0] == '-' ? "a flag of this verb" : "nothing more";
    return report_error(
        invalid_argument(name + ": got " + quote(unknown) + ", expected " + expected,
                         hint_for(unknown, known, help)));
  }
  std::string message = problem.what();
  std::replace(message.begin(), message.end(), '\n', ' ');
  return report_error(invalid_argument(name + ": " + message, help));
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
    runs.emplace_back(sub, verb.setup(*sub));
    sub->footer("Example:\n  " + verb.example);  // last: sub-verbs would inherit it
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
