#include "telemetry/resource.h"

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "base/version.h"

namespace touchstone::telemetry {
namespace {

/// Percent-decoding of a baggage-style value; a lone % stays, as in Python's unquote.
std::string percent_decoded(std::string_view text) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    uint8_t byte = 0;
    if (text[i] == '%' && from_hex(text.substr(i + 1, 2), &byte, 1)) {
      result += static_cast<char>(byte);
      i += 2;
    } else {
      result += text[i];
    }
  }
  return result;
}

void set(Attributes& attributes, std::string key, std::string value) {
  const auto found = std::find_if(attributes.begin(), attributes.end(),
                                  [&](const KeyValue& entry) { return entry.key == key; });
  if (found != attributes.end()) {
    found->value = Value(std::move(value));
  } else {
    attributes.push_back({std::move(key), Value(std::move(value))});
  }
}

}  // namespace

ResourceResult make_vllm_resource(const ResourceOptions& options) {
  ResourceResult result;
  Attributes& attributes = result.resource.attributes;
  set(attributes, "telemetry.sdk.language", "cpp");
  set(attributes, "telemetry.sdk.name", "touchstone");
  set(attributes, "telemetry.sdk.version", kVersion);
  set(attributes, "service.instance.id", options.instance_id);
  for (const std::string& item :
       split(lookup(options.environment, "OTEL_RESOURCE_ATTRIBUTES").value_or(""), ',')) {
    if (trim(item).empty()) continue;
    const size_t equals = item.find('=');
    const std::string key(trim(std::string_view(item).substr(0, equals)));
    if (equals == std::string::npos || key.empty()) {
      result.warnings.push_back("OTEL_RESOURCE_ATTRIBUTES: got " + quote(item) +
                                ", expected key=value; left out");
      continue;
    }
    set(attributes, key, percent_decoded(trim(std::string_view(item).substr(equals + 1))));
  }
  const auto service = lookup(options.environment, "OTEL_SERVICE_NAME");
  if (service) set(attributes, "service.name", *service);
  set(attributes, "vllm.instrumenting_module_name", "vllm.llm_engine");
  set(attributes, "vllm.process_id", std::to_string(options.process_id));
  if (find(attributes, "service.name") == nullptr) {
    set(attributes, "service.name", "unknown_service");
  }
  return result;
}

}  // namespace touchstone::telemetry
