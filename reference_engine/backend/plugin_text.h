// Texts and error codes on their way through the C table. Thread-safe.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "base/result.h"
#include "reference_engine/backend/plugin.h"

namespace touchstone::backend {

/// Cut to what fits, with a zero byte at the end.
template <size_t N>
void put_text(char (&out)[N], std::string_view text) {
  const size_t size = std::min(text.size(), N - 1);
  std::memcpy(out, text.data(), size);
  out[size] = '\0';
}

/// Up to the zero byte, or all of it where a foreign plugin forgot that.
template <size_t N>
std::string get_text(const char (&text)[N]) {
  return {text, strnlen(text, N)};
}

inline int32_t put_error(const Error& error, TouchstoneError* out) {
  put_text(out->message, error.message);
  put_text(out->hint, error.hint);
  switch (error.code) {
    case ErrorCode::kInvalidArgument:
      return TOUCHSTONE_INVALID_ARGUMENT;
    case ErrorCode::kMalformed:
      return TOUCHSTONE_MALFORMED;
    case ErrorCode::kNotFound:
      return TOUCHSTONE_NOT_FOUND;
    case ErrorCode::kIo:
      return TOUCHSTONE_IO;
    case ErrorCode::kUnsupported:
      return TOUCHSTONE_UNSUPPORTED;
    case ErrorCode::kUnavailable:
    case ErrorCode::kTimeout:
    case ErrorCode::kCancelled:
      return TOUCHSTONE_UNAVAILABLE;
  }
  return TOUCHSTONE_UNAVAILABLE;
}

/// `code` other than TOUCHSTONE_OK; one that this program does not know is kUnavailable.
inline Error get_error(int32_t code, const TouchstoneError& error) {
  ErrorCode kind = ErrorCode::kUnavailable;
  if (code == TOUCHSTONE_INVALID_ARGUMENT) kind = ErrorCode::kInvalidArgument;
  if (code == TOUCHSTONE_MALFORMED) kind = ErrorCode::kMalformed;
  if (code == TOUCHSTONE_NOT_FOUND) kind = ErrorCode::kNotFound;
  if (code == TOUCHSTONE_IO) kind = ErrorCode::kIo;
  if (code == TOUCHSTONE_UNSUPPORTED) kind = ErrorCode::kUnsupported;
  return {kind, get_text(error.message), get_text(error.hint)};
}

}  // namespace touchstone::backend
