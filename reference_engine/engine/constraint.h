// What an answer may say, token by token: structured output as the engine sees it. Who submits
// makes it ready on threads of its own; until then the choice waits, and the engine does not.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace touchstone::engine {

/// Of one choice. Thread-compatible; the engine thread's own.
class TokenConstraint {
 public:
  virtual ~TokenConstraint() = default;
  /// Which tokens may come next: sampling::bitmask_words(vocab) words, all of them written.
  virtual void fill(std::span<int32_t> words) = 0;
  /// `token` came. False: it was not allowed.
  virtual bool accept(int32_t token) = 0;
};

/// Of a submission. Thread-safe.
class ConstraintSource {
 public:
  enum class State { kPending, kReady, kFailed };
  virtual ~ConstraintSource() = default;
  /// Once it is not pending any more it stays so; who makes it then calls Engine::wake().
  virtual State state() const = 0;
  /// Why, when it failed.
  virtual std::string failure() const = 0;
  /// For one choice. REQUIRES: ready.
  virtual std::unique_ptr<TokenConstraint> make() const = 0;
};

}  // namespace touchstone::engine
