#include "reports/content_policy.h"

#include <cstddef>
#include <cstdint>

#include "base/sha256.h"

namespace touchstone::reports {
namespace {

/// RFC 4648, section 4.
std::string base64(const Sha256Digest& bytes) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    for (size_t k = 0; k < 3; ++k) {
      group = group << 8 | (i + k < bytes.size() ? bytes[i + k] : 0U);
    }
    for (size_t k = 0; k < 4; ++k) {
      text += i + k <= bytes.size() ? kDigits[group >> (18 - 6 * k) & 63] : '=';
    }
  }
  return text;
}

}  // namespace

std::string content_policy(std::string_view script) {
  return "default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-" +
         base64(sha256(script)) + "'; base-uri 'none'; form-action 'none'";
}

}  // namespace touchstone::reports
