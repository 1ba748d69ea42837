#include "telemetry/resource.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/ids.h"
#include "base/random.h"
#include "base/text.h"
#include "base/version.h"
#include "telemetry/export/otlp_options.h"

namespace touchstone::telemetry {
namespace {

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

std::string instance_id(uint64_t seed) {
  RandomStream stream(seed, "service instance id");
  std::array<uint8_t, 16> bytes{};
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(stream.below(256));
  bytes[6] = static_cast<uint8_t>((bytes[6] & 0x0F) | 0x40);
  bytes[8] = static_cast<uint8_t>((bytes[8] & 0x3F) | 0x80);
  std::string text = to_hex(bytes.data(), bytes.size());
  for (const size_t at : {20, 16, 12, 8}) text.insert(at, "-");
  return text;
}

ResourceResult make_vllm_resource(const ResourceOptions& options) {
  ResourceResult result;
  Attributes& attributes = result.resource.attributes;
  set(attributes, "telemetry.sdk.language", "cpp");
  set(attributes, "telemetry.sdk.name", "touchstone");
  set(attributes, "telemetry.sdk.version", kVersion);
  set(attributes, "service.instance.id", options.instance_id);
  std::vector<std::string> skipped;
  for (auto& [key, value] : parse_key_values(
           lookup(options.environment, "OTEL_RESOURCE_ATTRIBUTES").value_or(""), skipped)) {
    set(attributes, std::move(key), std::move(value));
  }
  for (const std::string& item : skipped) {
    result.warnings.push_back("OTEL_RESOURCE_ATTRIBUTES: got " + quote(item) +
                              ", expected key=value; left out");
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
