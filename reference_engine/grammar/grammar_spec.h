// What an answer must look like, as a request says it. Value.
#pragma once

#include <string>
#include <vector>

namespace touchstone::grammar {

struct GrammarSpec {
  enum class Kind {
    kJsonSchema,    ///< `text` is the schema
    kJsonObject,    ///< any JSON object
    kRegex,         ///< `text`, matched as a whole
    kChoice,        ///< one of `choices`
    kEbnf,          ///< `text` is a grammar with the rule `root`
    kStructuralTag  ///< `text` is vLLM's description of tags and what stands between them, as JSON
  } kind = Kind::kJsonObject;
  std::string text;
  std::vector<std::string> choices;
  bool any_whitespace = true;  ///< of JSON: between its parts

  bool operator==(const GrammarSpec&) const = default;
};

}  // namespace touchstone::grammar
