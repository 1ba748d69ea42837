#include <algorithm>
#include <cctype>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

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
Exit report_verb_error(const CLI::App& app, const std::vector<std::string>& words) {
  if (words.empty()) {
    return report_error(
        invalid_argument("command line: no verb was given", "see `touchstone --help`"));
  }
  std::vector<std::string> verbs;
  for (const CLI::App* sub : app.get_subcommands({})) verbs.push_back(sub->get_name());
  return report_error(invalid_argument(
      "command line: got " + quote(words[0]) + ", expected a verb: " + join(verbs, ", "),
      hint_for(words[0], verbs, "see `touchstone --help`")));
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
std::string unknown_word(const std::vector<std::string>& known, const CLI::App& verb,
                         const std::vector<std::string>& words) {
  for (const std::string& whole : words) {
    const std::string word = split(whole, '=')[0];
    if (word == "--") break;
    if (word.size() < 2 || word[0] != '-' || std::isdigit(word[1]) != 0) continue;
    if (std::find(known.begin(), known.end(), word) == known.end()) return word;
  }
  const std::vector<std::string> left = verb.remaining(true);
  return left.empty() ? "" : left.front();
}

/// What is wrong with the words after a verb, with the nearest flag or sub-verb when one was
/// mistyped.
Exit report_parse_error(const CLI::App& app, const CLI::ParseError& problem,
                        const std::vector<std::string>& words) {
  if (app.get_subcommands().empty()) return report_verb_error(app, words);
  const CLI::App* verb = app.get_subcommands().front();
  std::string name = verb->get_name();
  while (!verb->get_subcommands().empty()) {
    verb = verb->get_subcommands().front();
    name += " " + verb->get_name();
  }
  const std::vector<std::string> known = words_of(*verb);
  const std::string help = "see `touchstone " + name + " --help`";
  const std::string unknown = unknown_word(known, *verb, words);
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

/// The words as the verb wants them parsed.
Status rewrite(const std::vector<Verb>& verbs, CLI::App& app, std::vector<std::string>& words) {
  for (const Verb& verb : verbs) {
    if (words.empty() || words[0] != verb.name || !verb.rewrite) continue;
    auto rest = verb.rewrite({words.begin() + 1, words.end()}, *app.get_subcommand(verb.name));
    if (!rest) return std::move(rest).error();
    words = {verb.name};
    words.insert(words.end(), rest->begin(), rest->end());
  }
  return {};
}

/// The parser reads "nan" as a number, and it lies in every range.
Status check_numbers(const CLI::App& verb) {
  for (const CLI::Option* option : verb.get_options()) {
    if (option->get_type_name().find("FLOAT") == std::string::npos) continue;
    for (const std::string& word : option->results()) {
      if (to_lower(word).find("nan") == std::string::npos) continue;
      return invalid_argument(option->get_name() + ": got " + quote(word) + ", expected a number");
    }
  }
  for (const CLI::App* sub : verb.get_subcommands()) RETURN_IF_ERROR(check_numbers(*sub));
  return {};
}

int run(int argc, char** argv) {
  CLI::App app{
      "Touchstone: proves from telemetry what an LLM server did, and predicts what it will do."};
  app.name("touchstone");
  app.set_version_flag("--version", std::string("touchstone ") + kVersion);
  app.require_subcommand(1);
  std::vector<std::pair<CLI::App*, std::function<Exit()>>> runs;
  const std::vector<Verb> verbs = all_verbs();
  for (const Verb& verb : verbs) {
    CLI::App* sub = app.add_subcommand(verb.name, verb.summary);
    runs.emplace_back(sub, verb.setup(*sub));
    sub->footer("Example:\n  " + verb.example);  // last: sub-verbs would inherit it
  }
  app.footer("Exit: 0 good, 1 findings, 2 usage, 3 could not decide.");
  std::vector<std::string> words(argv + std::min(argc, 1), argv + argc);
  if (const Status status = rewrite(verbs, app, words); !status) {
    return static_cast<int>(report_error(status.error()));
  }
  try {
    // The parser takes them from the back.
    app.parse(std::vector<std::string>(words.rbegin(), words.rend()));
  } catch (const CLI::Success& success) {  // --help, --version
    return app.exit(success);
  } catch (const CLI::ParseError& problem) {
    return static_cast<int>(report_parse_error(app, problem, words));
  }
  for (const auto& [sub, action] : runs) {
    if (sub->parsed()) {
      if (const Status status = check_numbers(*sub); !status) {
        return static_cast<int>(report_error(status.error()));
      }
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
