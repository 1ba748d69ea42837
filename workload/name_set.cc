#include "workload/name_set.h"

#include <iterator>

#include "base/random.h"
#include "base/text.h"

namespace touchstone::workload {
namespace {

constexpr size_t kMostStems = 256;
constexpr size_t kMostRuns = 4096;
constexpr size_t kMostDigits = 18;  // fit into 64 bits

/// How much of the name is its stem; the rest is a number without zeros before it.
size_t stem_of(std::string_view name) {
  size_t stem = name.size();
  while (stem > 0 && name[stem - 1] >= '0' && name[stem - 1] <= '9') --stem;
  while (stem + 1 < name.size() && name[stem] == '0') ++stem;
  return name.size() - stem > kMostDigits ? name.size() : stem;
}

/// FNV-1a from two starts, mixed.
std::pair<uint64_t, uint64_t> digest_of(std::string_view name) {
  uint64_t words[2] = {0xcbf29ce484222325, 0x9ae16a3b2f90404f};
  for (const char c : name) {
    for (uint64_t& word : words) word = (word ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  }
  return {splitmix64(words[0]), splitmix64(words[1])};
}

/// The run that holds the number or ends before it; end() when all begin later.
template <typename Runs>
auto run_before(uint64_t number, Runs& runs) {
  auto after = runs.upper_bound(number);
  return after == runs.begin() ? runs.end() : std::prev(after);
}

}  // namespace

bool NameSet::extend(uint64_t number, Runs& runs) {
  const auto before = run_before(number, runs);
  if (before != runs.end() && before->second + 1 == number) {
    before->second = number;
    return true;
  }
  if (runs.size() >= kMostRuns) return false;
  runs.emplace(number, number);
  return true;
}

bool NameSet::insert(std::string_view name) {
  const size_t stem_size = stem_of(name);
  const std::string_view stem = name.substr(0, stem_size);
  const auto number = parse_int(name.substr(stem_size));
  auto at = stems_.find(stem);
  if (number && at != stems_.end()) {
    const auto value = static_cast<uint64_t>(*number);
    const auto run = run_before(value, at->second);
    if (run != at->second.end() && value <= run->second) return false;
    if (others_.contains(digest_of(name))) return false;
    if (extend(value, at->second)) return true;
  } else if (number && stems_.size() < kMostStems) {
    if (others_.contains(digest_of(name))) return false;
    const auto value = static_cast<uint64_t>(*number);
    stems_.emplace(stem, Runs{{value, value}});
    return true;
  }
  return others_.insert(digest_of(name)).second;
}

}  // namespace touchstone::workload
