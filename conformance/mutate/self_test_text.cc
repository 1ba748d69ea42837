// The self-test for people and for machines.
#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "conformance/mutate/self_test.h"

namespace touchstone::conformance::mutate {
namespace {

std::string padded(std::string text, size_t width) {
  if (text.size() < width) text.append(width - text.size(), ' ');
  return text + (text.back() == ' ' ? "" : " ");
}

/// "41 of 41".
std::string of(int64_t part, int64_t whole) {
  return format_count(part) + " of " + format_count(whole);
}

/// The checks that found most, with how many: "span.attribute.required 48, …".
std::string killers_of(const OperatorScore& score, size_t most) {
  std::vector<std::pair<std::string, int64_t>> killers(score.killers.begin(), score.killers.end());
  std::stable_sort(killers.begin(), killers.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  std::vector<std::string> texts;
  for (size_t i = 0; i < std::min(most, killers.size()); ++i) {
    texts.push_back(killers[i].first + " " + format_count(killers[i].second));
  }
  if (killers.size() > most) texts.push_back("…");
  return join(texts, ", ");
}

std::string modes_text(Modes modes) {
  if (modes == kAlways) return "spans";
  if (modes == kNever) return "nothing";
  if (modes == kWithEither) return "metrics or ledger";
  if (modes == kWithLedger) return "ledger";
  if (modes == kWithMetrics) return "metrics";
  return "all together";
}

ModeScore sum_of(const OperatorScore& score) {
  ModeScore sum;
  for (const ModeScore& one : score.modes) {
    sum.decidable += one.decidable;
    sum.killed += one.killed;
    sum.others += one.others;
    sum.found += one.found;
  }
  return sum;
}

std::vector<std::string> idle_checks(const SelfTest& test) {
  std::vector<std::string> idle;
  for (const auto& [id, kills] : test.checks) {
    if (kills == 0) idle.push_back(id);
  }
  return idle;
}

std::vector<std::string> idle_rules(const SelfTest& test) {
  std::vector<std::string> idle;
  std::set_difference(test.rules.begin(), test.rules.end(), test.killing_rules.begin(),
                      test.killing_rules.end(), std::back_inserter(idle));
  return idle;
}

int64_t variants_tried(const SelfTest& test) {
  int64_t tried = 0;
  for (const VariantScore& variant : test.variants) tried += variant.tried;
  return tried;
}

int64_t false_alarms(const SelfTest& test) {
  int64_t alarms = 0;
  for (const VariantScore& variant : test.variants) {
    alarms += static_cast<int64_t>(variant.alarms.size());
  }
  for (const GoodScore& good : test.goods) alarms += static_cast<int64_t>(good.alarms.size());
  return alarms;
}

void list(const std::string& title, const std::vector<std::string>& lines, std::string& text) {
  constexpr size_t kLinesMax = 40;
  if (lines.empty()) return;
  text += "\n" + title + "\n";
  for (size_t i = 0; i < std::min(kLinesMax, lines.size()); ++i) text += "  " + lines[i] + "\n";
  if (lines.size() > kLinesMax) {
    text += "  … and " + format_count(static_cast<int64_t>(lines.size() - kLinesMax)) + " more\n";
  }
}

std::string and_more(size_t count) {
  if (count < 2) return "";
  return " and " + format_count(static_cast<int64_t>(count - 1)) + " more";
}

/// One line an operator: the first and how many more.
std::vector<std::string> survivors_of(const SelfTest& test) {
  std::vector<std::string> lines;
  for (const OperatorScore& score : test.operators) {
    if (score.survivors.empty()) continue;
    lines.push_back(std::string(score.row->id) + ": " + score.survivors.front() +
                    and_more(score.survivors.size()));
  }
  return lines;
}

/// One line a variant and check.
void fold_alarms(const std::string& name, const std::vector<std::string>& alarms,
                 std::vector<std::string>& lines) {
  std::map<std::string, std::vector<std::string>> by_check;  // behind "GOOD, MODE: "
  for (const std::string& alarm : alarms) {
    const size_t mode = alarm.find(": ");
    by_check[alarm.substr(mode + 2, alarm.find(": ", mode + 2) - mode - 2)].push_back(alarm);
  }
  for (const auto& [check, of_check] : by_check) {
    lines.push_back(name + ": " + of_check.front() + and_more(of_check.size()));
  }
}

std::vector<std::string> alarms_of(const SelfTest& test) {
  std::vector<std::string> lines;
  for (const GoodScore& good : test.goods) fold_alarms(good.name, good.alarms, lines);
  for (const VariantScore& variant : test.variants) {
    fold_alarms(variant.row->id, variant.alarms, lines);
  }
  return lines;
}

}  // namespace

std::string to_text(const SelfTest& test) {
  std::string text = std::string("self-test  ") + (test.good() ? "PASS" : "FAIL") + "\n" +
                     format_count(test.tried()) + " mutants of " +
                     format_count(static_cast<int64_t>(test.operators.size())) + " operators, " +
                     format_count(variants_tried(test)) + " legal variants of " +
                     format_count(static_cast<int64_t>(test.variants.size())) + " kinds, " +
                     format_count(false_alarms(test)) + " false alarms\n\nEvidence\n";
  for (const Mode mode : kModes) {
    const ModeScore sum = test.sum(mode);
    text += "  " + padded(to_string(mode), 18) + padded(of(sum.killed, sum.decidable), 18) +
            "decidable defects found; " + of(sum.found, sum.others) + " others\n";
  }
  text += "\nGood telemetry\n";
  for (const GoodScore& good : test.goods) {
    text += "  " + padded(good.name, 22) + padded(join(good.profiles, ", "), 34) +
            format_count(good.spans) + " spans, " + of(good.killed, good.decidable) + "\n";
  }
  text += "\nOperators                     decided by         killed, and by which check\n";
  for (const OperatorScore& score : test.operators) {
    const ModeScore sum = sum_of(score);
    const bool promised = score.row->decided != kNever;
    text += "  " + padded(score.row->id, 28) + padded(modes_text(score.row->decided), 18) +
            padded(promised ? of(sum.killed, sum.decidable) : of(sum.found, sum.others), 16) +
            killers_of(score, 2) + "\n";
  }
  list("Survived", survivors_of(test), text);
  list("False alarms", alarms_of(test), text);
  list("Checks that found nothing", idle_checks(test), text);
  list("Rules that found nothing", idle_rules(test), text);
  return text;
}

std::string to_markdown(const SelfTest& test) {
  std::string text =
      "# Soundness\n\nWhat the checks find and what they leave in peace, measured by "
      "`touchstone check --self-test`: every operator\ndamages good telemetry (`fixtures/spans/`) "
      "wherever it fits, with what an auditor may have in hand. Made\nby the test "
      "`SelfTest.TheDocumentIsTrue`; `TOUCHSTONE_UPDATE_DOCS=1` writes it.\n\n"
      "| Evidence | decidable defects | found | others | found all the same | |\n"
      "|---|--:|--:|--:|--:|---|\n";
  for (const Mode mode : kModes) {
    const ModeScore sum = test.sum(mode);
    const double share = sum.decidable == 0 ? 0
                                            : 100.0 * static_cast<double>(sum.killed) /
                                                  static_cast<double>(sum.decidable);
    text += std::string("| ") + to_string(mode) + " | " + format_count(sum.decidable) + " | " +
            format_count(sum.killed) + " | " + format_count(sum.others) + " | " +
            format_count(sum.found) + " | " + format_fixed(share, 1) + " % |\n";
  }
  text += "\n\"all\" has metrics, ledger and, where it was recorded, the Collector's counters. " +
          format_count(variants_tried(test)) + " legal variants gave " +
          format_count(false_alarms(test)) +
          " findings.\n\n## Good telemetry\n\n"
          "| Folder | Profiles | Spans |\n|---|---|--:|\n";
  for (const GoodScore& good : test.goods) {
    text += "| `" + good.name + "` | " + join(good.profiles, ", ") + " | " +
            format_count(good.spans) + " |\n";
  }
  text +=
      "\n## What more evidence buys\n\n\"needs\" is declared beforehand: there 100 % must be "
      "found. What needs \"nothing\" is decided by no evidence.\n\n"
      "| Operator | Defect | needs | found by |\n|---|---|---|---|\n";
  for (const OperatorScore& score : test.operators) {
    const ModeScore sum = sum_of(score);
    const std::string found = sum.decidable > 0
                                  ? of(sum.killed, sum.decidable) + ": " + killers_of(score, 2)
                              : sum.others > 0 ? of(sum.found, sum.others) + " all the same"
                                               : "no place in this telemetry";
    text += std::string("| `") + score.row->id + "` | " + score.row->title + " | " +
            modes_text(score.row->decided) + " | " + found + " |\n";
  }
  text += "\n## Legal variants\n\n| Variant | | tried |\n|---|---|--:|\n";
  for (const VariantScore& variant : test.variants) {
    text += std::string("| `") + variant.row->id + "` | " + variant.row->title + " | " +
            format_count(variant.tried) + " |\n";
  }
  text += "\n## Not exercised\n\nChecks that found nothing here: ";
  const std::vector<std::string> checks = idle_checks(test);
  text += checks.empty() ? "none" : "`" + join(checks, "`, `") + "`";
  std::map<std::string, int64_t> rules;  // by profile: lines move
  for (const std::string& rule : idle_rules(test)) ++rules[rule.substr(0, rule.find(':'))];
  std::vector<std::string> by_profile;
  for (const auto& [profile, count] : rules) {
    by_profile.push_back("`" + profile + "` " + format_count(count));
  }
  text += ". Rules that found nothing, of telemetry that none of the folders has, of " +
          format_count(static_cast<int64_t>(test.rules.size())) + ": " +
          (by_profile.empty() ? "none" : join(by_profile, ", ")) +
          "; `check --self-test` names their lines.\n";
  return text;
}

std::string to_json(const SelfTest& test) {
  using nlohmann::json;
  json object = {{"self_test", 1},
                 {"verdict", test.good() ? "pass" : "fail"},
                 {"mutants", test.tried()},
                 {"variants", variants_tried(test)},
                 {"false_alarms", alarms_of(test)},
                 {"checks", test.checks},
                 {"idle_rules", idle_rules(test)}};
  for (const Mode mode : kModes) {
    const ModeScore sum = test.sum(mode);
    object["evidence"].push_back({{"mode", to_string(mode)},
                                  {"decidable", sum.decidable},
                                  {"killed", sum.killed},
                                  {"others", sum.others},
                                  {"found", sum.found}});
  }
  for (const OperatorScore& score : test.operators) {
    json one = {{"id", score.row->id},
                {"defect", score.row->title},
                {"needs", modes_text(score.row->decided)},
                {"killers", score.killers},
                {"survivors", score.survivors}};
    for (const Mode mode : kModes) {
      const ModeScore& count = score.modes[static_cast<size_t>(mode)];
      one["modes"].push_back({{"mode", to_string(mode)},
                              {"decidable", count.decidable},
                              {"killed", count.killed},
                              {"others", count.others},
                              {"found", count.found}});
    }
    object["operators"].push_back(std::move(one));
  }
  return object.dump(1) + "\n";
}

}  // namespace touchstone::conformance::mutate
