// How many bytes the requests of a server may hold at once: bodies being read, requests that wait
// for their turn, answers that wait for their readers. Whoever holds bytes has a lease on them;
// a lease that cannot grow is the reason to refuse. Budget: thread-safe. Lease: thread-compatible.
#pragma once

#include <atomic>
#include <cstdint>
#include <utility>

namespace touchstone::http {

class ByteBudget final {
 public:
  explicit ByteBudget(int64_t limit_bytes) : limit_(limit_bytes) {}
  ByteBudget(const ByteBudget&) = delete;
  ByteBudget& operator=(const ByteBudget&) = delete;

  int64_t limit_bytes() const { return limit_; }
  int64_t used_bytes() const { return used_.load(std::memory_order_relaxed); }

  /// Some of a budget's bytes, given back at its end. The budget outlives it. One without a budget
  /// may have any size.
  class Lease final {
   public:
    Lease() = default;
    explicit Lease(ByteBudget& budget) : budget_(&budget) {}
    Lease(Lease&& other) noexcept
        : budget_(std::exchange(other.budget_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
    Lease& operator=(Lease&& other) noexcept {
      std::swap(budget_, other.budget_);
      std::swap(bytes_, other.bytes_);
      return *this;
    }
    ~Lease() { resize(0); }

    int64_t bytes() const { return bytes_; }
    /// Of the budget; INT64_MAX without one.
    int64_t limit_bytes() const { return budget_ != nullptr ? budget_->limit_bytes() : INT64_MAX; }
    /// False, and unchanged, when the budget has too little left. Shrinking always works.
    bool resize(int64_t bytes) {
      const int64_t change = bytes - bytes_;
      if (budget_ != nullptr && !budget_->add(change)) return false;
      bytes_ = bytes;
      return true;
    }
    bool grow(int64_t bytes) { return resize(bytes_ + bytes); }

   private:
    ByteBudget* budget_ = nullptr;
    int64_t bytes_ = 0;
  };

 private:
  bool add(int64_t change) {
    const int64_t used = used_.fetch_add(change, std::memory_order_relaxed) + change;
    if (change <= 0 || used <= limit_) return true;
    used_.fetch_sub(change, std::memory_order_relaxed);
    return false;
  }

  const int64_t limit_;
  std::atomic<int64_t> used_{0};
};

}  // namespace touchstone::http
