#include "conformance/ratchet.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "base/text.h"
#include "conformance/checks/check.h"

namespace touchstone::conformance {
namespace {

using nlohmann::json;
using result::CoverageRow;

constexpr int kSchemaVersion = 1;
// Shares are written with six digits.
constexpr double kRounding = 1e-6;

std::string key_of(const CoverageRow& row) { return row.span_type + " " + row.attribute; }

double share_of(const CoverageRow& row) {
  return static_cast<double>(row.present) / static_cast<double>(row.total);
}

std::string percent(double share) { return format_fixed(100 * share, 2) + " %"; }

}  // namespace

Ratchet ratchet_of(const std::vector<CoverageRow>& coverage) {
  Ratchet ratchet;
  for (const CoverageRow& row : coverage) {
    if (row.total > 0 && row.present > 0) ratchet.shares[key_of(row)] = share_of(row);
  }
  return ratchet;
}

Ratchet raised(const Ratchet& a, const Ratchet& b) {
  Ratchet both = a;
  for (const auto& [key, share] : b.shares) {
    double& kept = both.shares.try_emplace(key, share).first->second;
    kept = std::max(kept, share);
  }
  return both;
}

std::string to_text(const Ratchet& ratchet) {
  json shares = json::object();
  for (const auto& [key, share] : ratchet.shares) {
    shares[key] = std::floor(share / kRounding) * kRounding;
  }
  return json{{"ratchet", kSchemaVersion}, {"shares", std::move(shares)}}.dump(1) + "\n";
}

Result<Ratchet> read_ratchet(const std::string& path) {
  const Result<std::string> text = read_file(path);
  if (!text) return text.error();
  const json object = json::parse(*text, nullptr, false);
  if (!object.is_object() || object.value("ratchet", json()) != kSchemaVersion ||
      !object.value("shares", json()).is_object()) {
    return invalid_argument(path + ": got no ratchet, expected {\"ratchet\": 1, \"shares\": {…}}",
                            "remove the file and it is written anew");
  }
  Ratchet ratchet;
  for (const auto& [key, share] : object["shares"].items()) {
    if (!share.is_number() || share.get<double>() < 0 || share.get<double>() > 1) {
      return invalid_argument(path + ": " + key + ": got " + share.dump() +
                              ", expected a share from 0 to 1");
    }
    ratchet.shares[key] = share.get<double>();
  }
  return ratchet;
}

result::CheckOutcome judge_ratchet(const Ratchet& ratchet, const std::string& file,
                                   const std::vector<CoverageRow>& coverage) {
  result::CheckOutcome outcome;
  outcome.id = "coverage.ratchet";
  outcome.title = "No attribute is rarer than it was";
  outcome.group = "coverage";
  outcome.source = "the ratchet file " + file;
  Recorder recorder(outcome, nullptr);
  recorder.not_applicable("the ratchet file demands nothing");
  std::map<std::string, const CoverageRow*> rows;
  for (const CoverageRow& row : coverage) rows[key_of(row)] = &row;
  for (const auto& [key, share] : ratchet.shares) {
    recorder.examined();
    const auto row = rows.find(key);
    const bool any = row != rows.end() && row->second->total > 0;
    const double now = any ? share_of(*row->second) : 0;
    if (now + kRounding >= share) continue;
    const std::string actual =
        any ? result::coverage_word(row->second->present, row->second->total) : "MISSING";
    recorder.violation({.fold = key,
                        .subject = "attribute " + key,
                        .message = key + " is on " + percent(now) + " of the spans, was on " +
                                   percent(share) + ": " + actual,
                        .expected = "at least " + percent(share),
                        .actual = percent(now),
                        .rule = file});
  }
  recorder.finish();
  return outcome;
}

}  // namespace touchstone::conformance
