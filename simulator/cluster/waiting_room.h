// Requests that wait in front of a router, in order of arrival; one that gives up leaves from
// wherever it stands. Thread-compatible.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <unordered_map>
#include <utility>

#include "simulator/request.h"

namespace touchstone::simulator {

class WaitingRoom final {
 public:
  bool empty() const { return by_arrival_.empty(); }
  int64_t size() const { return static_cast<int64_t>(by_arrival_.size()); }
  void push(SimulatedRequest&& request) {
    places_[request.request.id] = next_;
    by_arrival_.emplace(next_++, std::move(request));
  }
  /// REQUIRES: !empty().
  const SimulatedRequest& front() const { return by_arrival_.begin()->second; }
  SimulatedRequest pop() { return take(by_arrival_.begin()); }
  /// nullopt when it is not here any more.
  std::optional<SimulatedRequest> take(scheduler::RequestId id) {
    const auto place = places_.find(id);
    if (place == places_.end()) return std::nullopt;
    return take(by_arrival_.find(place->second));
  }

 private:
  using ByArrival = std::map<uint64_t, SimulatedRequest>;
  SimulatedRequest take(ByArrival::iterator at) {
    SimulatedRequest request = std::move(at->second);
    places_.erase(request.request.id);
    by_arrival_.erase(at);
    return request;
  }
  ByArrival by_arrival_;
  std::unordered_map<scheduler::RequestId, uint64_t> places_;  // looked up only
  uint64_t next_ = 0;
};

}  // namespace touchstone::simulator
