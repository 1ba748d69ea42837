// OTLP/JSON: what is read can be written and read again, the same.
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "telemetry/otlp/json.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace touchstone::telemetry;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto batch = decode_otlp_json(text);
  if (!batch) return 0;
  const std::string once = encode_otlp_json(*batch);
  const auto again = decode_otlp_json(once);
  BASE_CHECK(again.has_value(), again.error().message);
  BASE_CHECK(encode_otlp_json(*again) == once);
  return 0;
}
