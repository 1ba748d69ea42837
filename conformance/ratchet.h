// A ratchet: what share of what was due was there when somebody last looked, in a file. Coverage
// may grow and never shrink. Values; thread-compatible.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "result/result_model.h"

namespace touchstone::conformance {

struct Ratchet {
  /// "llm_request gen_ai.usage.prompt_tokens" → share of the spans that must have it, 0 to 1.
  std::map<std::string, double> shares;
  bool operator==(const Ratchet&) const = default;
};

/// Of what is due on at least one span; keys that no profile asks for are in it too, for whoever
/// has come to rely on them.
Ratchet ratchet_of(const std::vector<result::CoverageRow>& coverage);
/// What both demand.
Ratchet raised(const Ratchet& a, const Ratchet& b);
/// JSON, one key a line.
std::string to_text(const Ratchet& ratchet);
/// ERRORS: kNotFound, kIo, kInvalidArgument `file: got, expected`.
Result<Ratchet> read_ratchet(const std::string& path);

/// The check `coverage.ratchet`: a finding for each share that is lower than the file's, and for
/// each attribute that is there no more.
result::CheckOutcome judge_ratchet(const Ratchet& ratchet, const std::string& file,
                                   const std::vector<result::CoverageRow>& coverage);

}  // namespace touchstone::conformance
