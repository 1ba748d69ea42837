#include "reference_engine/tokenizer/part.h"

#include <nlohmann/json.hpp>

#include "base/text.h"

namespace touchstone::tokenizer {

using nlohmann::json;

Part Part::operator[](const char* key) const {
  static const json null;
  const auto found = value_->is_object() ? value_->find(key) : value_->end();
  return {found == value_->end() ? null : *found, where_.empty() ? key : where_ + "." + key};
}

std::vector<Part> Part::elements() const {
  std::vector<Part> parts;
  if (!value_->is_array()) return parts;
  for (const json& element : *value_) {
    parts.emplace_back(element, where_ + "[" + std::to_string(parts.size()) + "]");
  }
  return parts;
}

bool Part::is_null() const { return value_->is_null(); }

std::string Part::type() const {
  const Part type = (*this)["type"];
  return type.value_->is_string() ? type.value_->get<std::string>() : std::string();
}

bool Part::flag(const char* key, bool fallback) const {
  const Part member = (*this)[key];
  return member.value_->is_boolean() ? member.value_->get<bool>() : fallback;
}

Result<std::string> Part::text() const {
  if (!value_->is_string()) return malformed("got " + quote(value_->dump()) + ", expected a text");
  return value_->get<std::string>();
}

Error Part::unsupported(const std::string& what) const {
  return {ErrorCode::kUnsupported, where_ + ": " + what, {}};
}

Error Part::malformed(const std::string& what) const {
  return touchstone::malformed(where_ + ": " + what);
}

std::string escape_for_regex(std::string_view literal) {
  std::string out;
  for (const char c : literal) {
    if (std::string_view("\\^$.|?*+()[]{}").find(c) != std::string_view::npos) out.push_back('\\');
    out.push_back(c);
  }
  return out;
}

Result<std::string> pattern_of(const Part& part) {
  const Part regex = part["Regex"];
  if (!regex.is_null()) return regex.text();
  const Part literal = part["String"];
  if (literal.is_null()) return part.malformed("expected a Regex or a String");
  auto text = literal.text();
  if (!text) return text;
  return escape_for_regex(*text);
}

}  // namespace touchstone::tokenizer
