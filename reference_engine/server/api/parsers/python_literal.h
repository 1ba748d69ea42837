// Calls of functions as Python writes them, with literals for arguments. Pure.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace touchstone::server::api {

/// Reads from the front of a text and moves on. What it cannot read: nullopt.
class PythonReader final {
 public:
  explicit PythonReader(std::string_view text) : text_(text) {}

  struct Call {
    std::string name;
    nlohmann::ordered_json arguments;  ///< an object
  };
  /// name(key=literal, …). Names may have dots.
  std::optional<Call> call();
  /// Numbers, strings, True, False, None (and JSON's words for them), lists, tuples, dicts.
  std::optional<nlohmann::ordered_json> literal(int depth = 0);
  /// Takes `c` behind white space.
  bool take(char c);
  bool at_end();
  size_t position() const { return at_; }

 private:
  void skip_space();
  std::optional<std::string> name();
  std::optional<std::string> string();
  std::optional<nlohmann::ordered_json> number();
  std::optional<nlohmann::ordered_json> list(char close, int depth);
  std::optional<nlohmann::ordered_json> dict(int depth);
  bool escape(std::string& out);

  std::string_view text_;
  size_t at_ = 0;
};

}  // namespace touchstone::server::api
