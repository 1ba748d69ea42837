// The suite judges itself: every operator is applied to good telemetry in every mode, and what was
// declared decidable must be found; every legal variant must be left in peace. One thread.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "conformance/mutate/good.h"
#include "conformance/mutate/operator.h"
#include "conformance/mutate/variant.h"

namespace touchstone::conformance::mutate {

struct ModeScore {
  int64_t decidable = 0;  ///< mutants that must be found
  int64_t killed = 0;     ///< of these
  int64_t others = 0;     ///< that nobody promises to find
  int64_t found = 0;      ///< of these
};

struct OperatorScore {
  const OperatorRow* row = nullptr;
  std::array<ModeScore, std::size(kModes)> modes;
  std::map<std::string, int64_t> killers;  ///< check → mutants of this operator that it found
  std::vector<std::string> survivors;      ///< decidable and not found: "GOOD, MODE: place"
};

struct VariantScore {
  const VariantRow* row = nullptr;
  int64_t tried = 0;
  std::vector<std::string> alarms;  ///< "GOOD, MODE: check: message"
};

struct GoodScore {
  std::string name;
  std::vector<std::string> profiles;
  int64_t spans = 0;
  Modes modes = 0;
  int64_t decidable = 0;
  int64_t killed = 0;
  std::vector<std::string> alarms;  ///< findings in it, undamaged
};

struct SelfTest {
  std::vector<GoodScore> goods;
  std::vector<OperatorScore> operators;
  std::vector<VariantScore> variants;
  std::map<std::string, int64_t> checks;  ///< every check → mutants that it found
  std::set<std::string> rules;            ///< `file:line` of the profiles' rules
  std::set<std::string> killing_rules;    ///< of these, that found a mutant

  int64_t tried() const;  ///< mutants
  ModeScore sum(Mode mode) const;
  /// Every decidable mutant found, no alarm, no check without a kill.
  bool good() const;
};

/// `progress` is told the name of each good before it is damaged; may be null.
SelfTest self_test(const std::vector<std::unique_ptr<Good>>& goods,
                   const std::function<void(const std::string&)>& progress);

/// For a terminal: the score, survivors and alarms, what no evidence decides.
std::string to_text(const SelfTest& test);
/// The whole as a document; without anything that depends on the depth or the day.
std::string to_markdown(const SelfTest& test);
/// One object; schema version inside.
std::string to_json(const SelfTest& test);

}  // namespace touchstone::conformance::mutate
