#include "telemetry/otlp/tempo.h"

#include <google/protobuf/unknown_field_set.h>

#include "telemetry/otlp/protobuf.h"

namespace touchstone::telemetry {
namespace {

// Fields of TraceByIDResponse.
constexpr int kTrace = 1;
constexpr int kStatus = 3;
constexpr int kMessage = 4;

}  // namespace

Result<TempoTrace> decode_tempo_trace(std::string_view bytes) {
  google::protobuf::UnknownFieldSet fields;
  if (!fields.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return malformed("got bytes that are no protobuf, expected a TraceByIDResponse");
  }
  using Field = google::protobuf::UnknownField;
  TempoTrace trace;
  for (int i = 0; i < fields.field_count(); ++i) {
    const Field& field = fields.field(i);
    const bool is_bytes = field.type() == Field::TYPE_LENGTH_DELIMITED;
    if (field.number() == kTrace && is_bytes) {
      auto batch = decode_otlp_protobuf(field.length_delimited());  // a Trace is a TracesData
      if (!batch) return std::move(batch).error();
      trace.batch = *std::move(batch);
    } else if (field.number() == kStatus && field.type() == Field::TYPE_VARINT) {
      trace.is_partial = field.varint() != 0;
    } else if (field.number() == kMessage && is_bytes) {
      trace.message = field.length_delimited();
    }
  }
  return trace;
}

std::string encode_tempo_trace(const TempoTrace& trace) {
  google::protobuf::UnknownFieldSet fields;
  fields.AddLengthDelimited(kTrace, encode_otlp_protobuf(trace.batch));
  if (trace.is_partial) fields.AddVarint(kStatus, 1);
  if (!trace.message.empty()) fields.AddLengthDelimited(kMessage, trace.message);
  std::string bytes;
  fields.SerializeToString(&bytes);
  return bytes;
}

}  // namespace touchstone::telemetry
