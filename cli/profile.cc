#include "cli/profile.h"

#include <cstdio>
#include <memory>

#include "cli/output.h"
#include "conformance/profile/diff.h"
#include "conformance/profile/profile.h"

namespace touchstone::cli {
namespace {

struct Flags {
  std::string name;
  std::string file;
  std::string other;
  const CLI::App* list = nullptr;
  const CLI::App* show = nullptr;
  const CLI::App* diff = nullptr;
};

Exit print_text(const std::string& text) {
  const Status printed = print(text);
  return printed ? Exit::kGood : report_error(printed.error());
}

Exit list() {
  std::string text;
  for (const conformance::ShippedProfile& shipped : conformance::shipped_profiles()) {
    const auto profile = conformance::load_profile(std::string(shipped.name));
    if (!profile) return report_error(profile.error());
    char line[160];
    std::snprintf(line, sizeof(line), "%-16s %-10s %2zu span types  %2zu metrics  %s\n",
                  profile->name.c_str(), profile->version.c_str(), profile->spans.size(),
                  profile->metrics.size(), profile->convention.c_str());
    text += line;
  }
  return print_text(text);
}

/// The file itself: it is written to be read, and a start for one's own.
Exit show(const std::string& name) {
  const auto profile = conformance::load_profile(name);
  if (!profile) return report_error(profile.error());
  for (const conformance::ShippedProfile& shipped : conformance::shipped_profiles()) {
    if (shipped.name == name) return print_text(std::string(shipped.yaml));
  }
  return report_error(not_found("profile show: got " + name + ", expected a shipped profile",
                                "a file of your own is checked by `touchstone profile lint`"));
}

Exit lint(const std::string& file) {
  const bool is_path = file.find('/') != std::string::npos;
  const auto profile = conformance::load_profile(is_path ? file : "./" + file);
  if (!profile) return report_error(profile.error());
  size_t attributes = profile->resource.size();
  size_t relations = 0;
  for (const conformance::SpanType& type : profile->spans) {
    attributes += type.attributes.size();
    relations += type.relations.size();
  }
  return print_text(file + ": good: " + profile->name + " " + profile->version + ", " +
                    std::to_string(profile->spans.size()) + " span types, " +
                    std::to_string(attributes) + " attributes, " + std::to_string(relations) +
                    " relations, " + std::to_string(profile->metrics.size()) + " metrics\n");
}

/// Exit 1 when they differ, as diff(1).
Exit diff(const std::string& before, const std::string& after) {
  const auto first = conformance::load_profile(before);
  if (!first) return report_error(first.error());
  const auto second = conformance::load_profile(after);
  if (!second) return report_error(second.error());
  std::string text;
  for (const conformance::ProfileDifference& one : conformance::diff(*first, *second)) {
    const char* sign = one.before.empty() ? "+ " : one.after.empty() ? "- " : "~ ";
    text += sign + one.rule + ": " + one.before + (one.before.empty() ? "" : " ") +
            (one.before.empty() || one.after.empty() ? "" : "-> ") + one.after + "\n";
  }
  const Status printed = print(text);
  if (!printed) return report_error(printed.error());
  return text.empty() ? Exit::kGood : Exit::kFindings;
}

}  // namespace

Verb profile_verb() {
  return {.name = "profile",
          .summary = "List, show, check and compare conformance profiles",
          .example =
              "touchstone profile show vllm-v1 > mine.yaml && "
              "touchstone profile lint mine.yaml",
          .setup = [](CLI::App& app) {
            auto flags = std::make_shared<Flags>();
            app.require_subcommand(1);
            CLI::App* list_app = app.add_subcommand("list", "The profiles this program carries");
            list_app->footer("Example:\n  touchstone profile list");
            flags->list = list_app;
            CLI::App* show_app = app.add_subcommand("show", "Print a profile's YAML");
            show_app->footer("Example:\n  touchstone profile show vllm-v1");
            show_app->add_option("NAME", flags->name, "As `list` prints it")->required();
            flags->show = show_app;
            CLI::App* lint_app =
                app.add_subcommand("lint", "Check a profile file, naming line and field");
            lint_app->footer("Example:\n  touchstone profile lint my.yaml");
            lint_app->add_option("FILE", flags->file, "A .yaml file")->required();
            CLI::App* diff_app = app.add_subcommand(
                "diff",
                "What the second demands that the first does not (+), or no more (-), or "
                "otherwise (~)");
            diff_app->footer("Example:\n  touchstone profile diff vllm-v1 mine.yaml");
            diff_app->add_option("BEFORE", flags->name, "Name or file")->required();
            diff_app->add_option("AFTER", flags->other, "Name or file")->required();
            flags->diff = diff_app;
            return [flags] {
              if (flags->diff->parsed()) return diff(flags->name, flags->other);
              if (flags->list->parsed()) return list();
              if (flags->show->parsed()) return show(flags->name);
              return lint(flags->file);
            };
          }};
}

}  // namespace touchstone::cli
