// Holds JSON against a JSON Schema file, by valijson. Thread-safe.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace touchstone::support {

/// Where and why `value` does not fit the schema in this file of the checkout; empty when it does.
std::vector<std::string> schema_problems(const std::string& schema_file,
                                         const nlohmann::json& value);

/// The same for a schema at hand (draft 7). Throws what valijson throws for one that is none.
std::vector<std::string> problems_with(const nlohmann::json& schema, const nlohmann::json& value);

/// A YAML text as JSON: the data model of schemas.
nlohmann::json yaml_as_json(const std::string& text);

}  // namespace touchstone::support
