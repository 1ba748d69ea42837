// Ctrl-C and termination as something one can wait for, so that a run is taken down in order
// instead of dying with its children alive. Source: signalfd(2). Thread-compatible.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"

namespace touchstone::harness {

/// While it lives, SIGINT, SIGTERM and SIGHUP are blocked in the constructing thread (and in
/// threads started after it) and arrive at fd() instead. Children get the former mask back.
class SignalWatch final {
 public:
  static Result<std::unique_ptr<SignalWatch>> start();
  ~SignalWatch();
  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;

  /// Readable when a signal is pending; for poll().
  int fd() const { return descriptor_; }
  /// True once a signal has come; takes what is pending.
  bool interrupted();
  /// How many have come: a second one means "now".
  int count();
  /// ERRORS: kCancelled when a signal has come.
  Status check();

 private:
  explicit SignalWatch(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
  int count_ = 0;
  std::string name_;
};

}  // namespace touchstone::harness
