// Operators of the template language, with Python's meaning. Thread-safe.
#pragma once

#include <cstddef>
#include <string>

#include "base/result.h"
#include "reference_engine/chat_template/jinja_value.h"

namespace touchstone::chat_template {

/// The most bytes of text, or items of a list, that a template may make at once.
inline constexpr size_t kTextMax = size_t{16} << 20;

/// -value. ERRORS: kInvalidArgument with Python's text, here and below.
Result<Value> negate(const Value& value);
/// left `op` right for ~ + - * / // % **.
Result<Value> operate(const std::string& op, const Value& left, const Value& right);
/// left `op` right for == != < > <= >= in, not in.
Result<bool> holds(const std::string& op, const Value& left, const Value& right);

}  // namespace touchstone::chat_template
