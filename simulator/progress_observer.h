// Tells somebody how many requests are over, now and then. Passes everything on. Thread-compatible.
#pragma once

#include <cstdint>
#include <functional>
#include <utility>

#include "simulator/cluster/forwarding_observer.h"

namespace touchstone::simulator {

class ProgressObserver final : public ForwardingObserver {
 public:
  /// `next` outlives it; `tell` may be null.
  ProgressObserver(Observer& next, std::function<void(int64_t done)> tell)
      : ForwardingObserver(next), tell_(std::move(tell)) {}
  void on_request(int32_t replica, const records::RequestRecord& request) override {
    ForwardingObserver::on_request(replica, request);
    if (tell_ && ++done_ % kEvery == 0) tell_(done_);
  }

 private:
  static constexpr int64_t kEvery = 1024;
  const std::function<void(int64_t)> tell_;
  int64_t done_ = 0;
};

}  // namespace touchstone::simulator
