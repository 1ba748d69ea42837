// Names that were seen, in little memory: numbered names in their order (r0, r1, r2, …) cost
// nothing, others about 32 bytes each. Exact but for 128-bit digests. Thread-compatible.
#pragma once

#include <boost/unordered/unordered_flat_set.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>

namespace touchstone::workload {

class NameSet final {
 public:
  /// False when it was there.
  bool insert(std::string_view name);

 private:
  using Digest = std::pair<uint64_t, uint64_t>;
  struct DigestHash {
    size_t operator()(const Digest& digest) const { return digest.first; }
  };
  /// Numbers of one stem that were seen, as runs without gaps: first to last.
  using Runs = std::map<uint64_t, uint64_t>;

  /// Whether the run of `number` grew, or a new one was begun.
  static bool extend(uint64_t number, Runs& runs);

  std::map<std::string, Runs, std::less<>> stems_;
  boost::unordered_flat_set<Digest, DigestHash> others_;
};

}  // namespace touchstone::workload
