// A part of tokenizer.json and where it lies in the file, so that whatever is wrong with it or not
// supported is told with its place. Cheap to copy; must not outlive the JSON tree. Thread-safe.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace touchstone::tokenizer {

class Part {
 public:
  /// `where`: "pre_tokenizer", "decoder.decoders[1]".
  Part(const nlohmann::json& value, std::string where) : value_(&value), where_(std::move(where)) {}

  const nlohmann::json& value() const { return *value_; }
  const std::string& where() const { return where_; }

  /// The member `key`; a part that is null when absent.
  Part operator[](const char* key) const;
  /// The elements of a list; none for anything else.
  std::vector<Part> elements() const;

  bool is_null() const;
  /// "type" of an object; empty when there is none.
  std::string type() const;
  /// A true or false at `key`, `fallback` for anything else.
  bool flag(const char* key, bool fallback) const;
  /// ERRORS: kMalformed, with the place, unless the part is a text.
  Result<std::string> text() const;

  Error unsupported(const std::string& what) const;
  Error malformed(const std::string& what) const;

 private:
  const nlohmann::json* value_;
  std::string where_;
};

/// The regular expression that matches `literal` alone.
std::string escape_for_regex(std::string_view literal);

/// What {"Regex": …} or {"String": …} matches, as a regular expression.
Result<std::string> pattern_of(const Part& part);

}  // namespace touchstone::tokenizer
