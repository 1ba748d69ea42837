// What the text of an answer turns out to be: reasoning, content, calls of tools. Values.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace touchstone::server::api {

/// More of one call. The first of a call has its name; arguments are JSON text, in pieces.
struct ToolCallDelta {
  size_t index = 0;
  std::string name;
  std::string arguments;
};

struct ParsedText {
  std::string reasoning;
  std::string content;
  std::vector<ToolCallDelta> calls;

  bool empty() const { return reasoning.empty() && content.empty() && calls.empty(); }
  /// Appends a piece of call `index`, joining it with the last piece of the same call.
  void add_arguments(size_t index, std::string_view arguments);
};

}  // namespace touchstone::server::api
