// Tempo's envelope: what is read can be written and read again, the same.
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "telemetry/otlp/protobuf.h"
#include "telemetry/otlp/tempo.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace touchstone::telemetry;
  const auto trace = decode_tempo_trace({reinterpret_cast<const char*>(data), size});
  if (!trace) return 0;
  const auto again = decode_tempo_trace(encode_tempo_trace(*trace));
  BASE_CHECK(again.has_value(), again.error().message);
  BASE_CHECK(again->is_partial == trace->is_partial && again->message == trace->message);
  BASE_CHECK(encode_otlp_protobuf(again->batch) == encode_otlp_protobuf(trace->batch));
  return 0;
}
