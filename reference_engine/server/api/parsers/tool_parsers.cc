#include "reference_engine/server/api/parsers/tool_parser.h"

namespace touchstone::server::api {
namespace {

constexpr ToolParserRow kRows[] = {
    {"hermes", make_hermes_parser, false, true},
    {"llama3_json", make_llama3_json_parser},
    {"mistral", make_mistral_parser, true, true},
    {"pythonic", make_pythonic_parser},
};

}  // namespace

std::span<const ToolParserRow> tool_parsers() { return kRows; }

void ParsedText::add_arguments(size_t index, std::string_view arguments) {
  if (arguments.empty()) return;
  if (calls.empty() || calls.back().index != index)
    calls.push_back({.index = index, .name = {}, .arguments = {}});
  calls.back().arguments += arguments;
}

}  // namespace touchstone::server::api
