// The query of a URL: parameters after the `?`, percent-encoded. Source: RFC 3986, section 2.1;
// WHATWG URL, "application/x-www-form-urlencoded" (a `+` in a query is a space). Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace touchstone::http {

/// %XX becomes its byte; a lone % stays, as in Python's unquote.
std::string percent_decoded(std::string_view text);
/// All but letters, digits and `-._~`.
std::string percent_encoded(std::string_view text);

class Query final {
 public:
  Query() = default;
  /// Of a request's target; without a `?` it is empty.
  static Query of_target(std::string_view target);

  void add(std::string name, std::string value) {
    pairs_.emplace_back(std::move(name), std::move(value));
  }
  /// The first value of the first of `names` that is there.
  std::optional<std::string> value(std::initializer_list<std::string_view> names) const;
  /// All values of `name`.
  std::vector<std::string> values(std::string_view name) const;
  /// "?a=b&c=d"; empty for none.
  std::string text() const;

 private:
  std::vector<std::pair<std::string, std::string>> pairs_;
};

}  // namespace touchstone::http
