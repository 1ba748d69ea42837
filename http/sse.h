// Server-sent events as streams of `data:` payloads. Source: WHATWG HTML, section 9.2.6
// "Interpreting an event stream". Only `data` matters to completions; other fields are skipped.
// Thread-compatible.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace touchstone::http {

class SseParser final {
 public:
  /// Calls `on_data` for each event that is complete after `bytes`, with its data lines joined by
  /// a line end. `on_data` returns false to stop: the rest of `bytes` is then dropped.
  void feed(std::string_view bytes, const std::function<bool(std::string_view)>& on_data);

 private:
  bool end_line(const std::function<bool(std::string_view)>& on_data);
  std::string line_;
  std::string data_;
  bool has_data_ = false;
  bool after_return_ = false;  // the last byte was CR: a LF that follows belongs to it
};

}  // namespace touchstone::http
