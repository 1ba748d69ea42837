#include "telemetry/dialects/dialect.h"

#include "base/text.h"

namespace touchstone::telemetry {
namespace {

template <typename Id>
Id next_id(RandomStream& stream) {
  Id id;
  do {
    for (size_t i = 0; i < id.bytes.size(); i += 8) {
      const uint64_t word = stream.next();
      for (size_t j = 0; j < 8; ++j) id.bytes[i + j] = static_cast<uint8_t>(word >> (8 * j));
    }
  } while (!id.is_valid());
  return id;
}

}  // namespace

TraceId SpanIds::next_trace_id() { return next_id<TraceId>(stream_); }
SpanId SpanIds::next_span_id() { return next_id<SpanId>(stream_); }

const std::vector<Dialect>& dialects() {
  static const std::vector<Dialect> kDialects = {vllm_dialect()};
  return kDialects;
}

Result<const Dialect*> find_dialect(const std::string& name) {
  std::vector<std::string> names;
  for (const Dialect& dialect : dialects()) {
    if (dialect.name == name) return &dialect;
    names.emplace_back(dialect.name);
  }
  const auto guess = nearest(name, names);
  return invalid_argument(
      "span dialect: got " + quote(name) + ", expected one of: " + join(names, ", "),
      guess ? "did you mean " + quote(*guess) + "?" : "");
}

}  // namespace touchstone::telemetry
