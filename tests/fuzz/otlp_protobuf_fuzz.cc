// OTLP/protobuf: what is read can be written and read again, the same.
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "telemetry/otlp/protobuf.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace touchstone::telemetry;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto batch = decode_otlp_protobuf(bytes);
  if (!batch) return 0;
  const std::string once = encode_otlp_protobuf(*batch);
  const auto again = decode_otlp_protobuf(once);
  BASE_CHECK(again.has_value(), again.error().message);
  BASE_CHECK(encode_otlp_protobuf(*again) == once);
  return 0;
}
