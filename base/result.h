// Result<T>: a value or an Error, for what a correct program can meet (I/O, parsing, devices).
// Same member names as std::expected, which C++20 does not have. Thread-compatible.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "base/check.h"

namespace touchstone {

/// A caller branches on these; anything finer belongs in the message.
enum class ErrorCode {
  kInvalidArgument,  ///< what a person wrote is wrong (flag, key, value): exit 2
  kMalformed,        ///< what a machine or file sent cannot be parsed
  kNotFound,         ///< no such file, model, profile, …
  kIo,               ///< read, write, connect, disk full
  kUnavailable,      ///< a part did not start or nothing was received: exit 3
  kTimeout,
  kCancelled,  ///< interrupted by a signal
  kUnsupported,
};

struct [[nodiscard]] Error {
  ErrorCode code = ErrorCode::kUnavailable;
  /// `where: problem: got X, expected Y`, without the tool's name.
  std::string message;
  /// What the reader can do about it; empty if there is nothing to say.
  std::string hint;

  /// The same error with what only this layer knows in front: `prefix: message`.
  Error with_context(const std::string& prefix) && {
    message = prefix + ": " + message;
    return std::move(*this);
  }
};

inline Error invalid_argument(std::string message, std::string hint = {}) {
  return {ErrorCode::kInvalidArgument, std::move(message), std::move(hint)};
}
inline Error malformed(std::string message, std::string hint = {}) {
  return {ErrorCode::kMalformed, std::move(message), std::move(hint)};
}
inline Error not_found(std::string message, std::string hint = {}) {
  return {ErrorCode::kNotFound, std::move(message), std::move(hint)};
}
inline Error io_error(std::string message, std::string hint = {}) {
  return {ErrorCode::kIo, std::move(message), std::move(hint)};
}
inline Error unavailable(std::string message, std::string hint = {}) {
  return {ErrorCode::kUnavailable, std::move(message), std::move(hint)};
}

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT: implicit
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT: implicit

  bool has_value() const { return state_.index() == 0; }
  explicit operator bool() const { return has_value(); }

  T& value() & {
    check_value();
    return std::get<0>(state_);
  }
  const T& value() const& {
    check_value();
    return std::get<0>(state_);
  }
  T&& value() && {
    check_value();
    return std::get<0>(std::move(state_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  const Error& error() const& { return std::get<1>(state_); }
  Error&& error() && { return std::get<1>(std::move(state_)); }

 private:
  void check_value() const { BASE_CHECK(has_value(), std::get<1>(state_).message); }
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}  // NOLINT: implicit

  bool has_value() const { return !error_.has_value(); }
  explicit operator bool() const { return has_value(); }
  const Error& error() const& { return *error_; }
  Error&& error() && { return *std::move(error_); }

 private:
  std::optional<Error> error_;
};

using Status = Result<void>;

}  // namespace touchstone

/// Propagates the error of `expression`, which yields a Result.
#define RETURN_IF_ERROR(expression)                     \
  do {                                                  \
    auto return_if_error_result = (expression);         \
    if (!return_if_error_result) {                      \
      return std::move(return_if_error_result).error(); \
    }                                                   \
  } while (false)
