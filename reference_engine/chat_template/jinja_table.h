// A table of named builtins: how filters and tests are kept and found. Thread-safe.
#pragma once

#include <algorithm>
#include <array>
#include <string_view>

#include "reference_engine/chat_template/jinja_builtins.h"

namespace touchstone::chat_template {

struct Builtin {
  std::string_view name;
  Result<Value> (*apply)(const Value&, const CallArguments&);
};

/// nullptr when no row has this name.
template <size_t N>
const Builtin* find_builtin(const std::array<Builtin, N>& table, std::string_view name) {
  const auto found = std::find_if(table.begin(), table.end(),
                                  [&](const Builtin& row) { return row.name == name; });
  return found == table.end() ? nullptr : &*found;
}

}  // namespace touchstone::chat_template
