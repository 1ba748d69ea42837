#include "tests/support/json_schema.h"

#include <yaml-cpp/yaml.h>

#include <nlohmann/json.hpp>
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validation_results.hpp>
#include <valijson/validator.hpp>

#include "base/check.h"
#include "base/files.h"
#include "tests/support/paths.h"

namespace touchstone::support {
namespace {

using nlohmann::json;
using Adapter = valijson::adapters::NlohmannJsonAdapter;

/// Plain scalars as YAML's core schema reads them; quoted ones are strings.
json scalar(const YAML::Node& node) {
  const std::string text = node.Scalar();
  if (node.Tag() == "!") return text;
  const json read = json::parse(text, nullptr, false);
  return read.is_number() || read.is_boolean() || read.is_null() ? read : json(text);
}

json convert(const YAML::Node& node) {
  if (node.IsNull()) return nullptr;
  if (node.IsScalar()) return scalar(node);
  if (node.IsSequence()) {
    json items = json::array();
    for (const YAML::Node& item : node) items.push_back(convert(item));
    return items;
  }
  json object = json::object();
  for (const auto& member : node) object[member.first.Scalar()] = convert(member.second);
  return object;
}

}  // namespace

std::vector<std::string> schema_problems(const std::string& schema_file, const json& value) {
  const auto text = read_file(source_dir() + "/" + schema_file);
  BASE_CHECK(text.has_value(), schema_file);
  return problems_with(json::parse(*text), value);
}

std::vector<std::string> problems_with(const json& tree, const json& value) {
  valijson::Schema schema;
  valijson::SchemaParser().populateSchema(Adapter(tree), schema);
  valijson::ValidationResults results;
  std::vector<std::string> problems;
  if (valijson::Validator().validate(schema, Adapter(value), &results)) return problems;
  for (const auto& error : results) {
    std::string where;
    for (const std::string& part : error.context) where += part;
    problems.push_back(where + ": " + error.description);
  }
  return problems;
}

json yaml_as_json(const std::string& text) { return convert(YAML::Load(text)); }

}  // namespace touchstone::support
