// Appends compact JSON text to a string: for lines written in hot places (the engine thread, the
// exporter), where building a tree first would cost more than the rest. The caller chooses the key
// order, which is therefore stable. Thread-compatible.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace touchstone {

/// `text` when it is UTF-8; otherwise a copy with U+FFFD for what is malformed. Both JSON and
/// protobuf strings must be UTF-8, and one bad byte would lose the whole line or batch.
std::string valid_utf8(std::string_view text);

/// Appends `text` as a JSON string with its quotes; malformed UTF-8 becomes U+FFFD.
void append_json_string(std::string& out, std::string_view text);

/// `[1,2,3]`.
void append_json_integers(std::string& out, std::span<const int32_t> values);
/// The string or null.
void append_json_optional(std::string& out, const std::optional<std::string>& text);

class JsonText final {
 public:
  explicit JsonText(std::string& out) : out_(out) {}
  JsonText(const JsonText&) = delete;
  JsonText& operator=(const JsonText&) = delete;

  JsonText& begin_object() { return open('{'); }
  JsonText& end_object() { return close('}'); }
  JsonText& begin_array() { return open('['); }
  JsonText& end_array() { return close(']'); }
  /// REQUIRES: `name` needs no escaping.
  JsonText& key(std::string_view name);
  /// A key that comes from outside.
  JsonText& escaped_key(std::string_view name);

  JsonText& integer(int64_t value);
  JsonText& unsigned_integer(uint64_t value);
  /// Shortest text that reads back as the same double; null when not finite.
  JsonText& number(double value);
  JsonText& boolean(bool value);
  JsonText& string(std::string_view value);
  /// A value that is already JSON.
  JsonText& raw(std::string_view json);

 private:
  JsonText& open(char bracket);
  JsonText& close(char bracket);
  void separate();

  std::string& out_;
  bool needs_comma_ = false;
};

}  // namespace touchstone
