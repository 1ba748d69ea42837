// What the dialects have in common: whose child a request's span is, how children hang under it,
// and how a request ended. Thread-safe.
#pragma once

#include <cstdint>
#include <string>

#include "records/request_record.h"
#include "telemetry/dialects/dialect.h"
#include "telemetry/span.h"

namespace touchstone::telemetry {

/// Whether the caller wants no span: its trace context says that it is not sampled.
bool is_unsampled(const records::RequestRecord& record);

/// A span from arrival to end, without kind and attributes: child of the caller's, else a root. A
/// request that its tenant's rate limit refused has the event rate_limit.applied.
Span request_span(const records::RequestRecord& record, std::string name, SpanIds& ids);

/// An INTERNAL child of `parent` between two times of the record's monotonic clock.
Span child_span(const Span& parent, const records::RequestRecord& record, std::string name,
                int64_t start_ns, int64_t end_ns, SpanIds& ids);

/// A time of the record's monotonic clock as wall time.
int64_t unix_ns_of(const records::RequestRecord& record, int64_t ns);

/// Neither stopped nor at its length: aborted, refused, failed.
bool is_failure(const records::RequestRecord& record);

/// Of a failure, a word of few values: what the client was told, else that it went away, else the
/// HTTP status.
std::string error_type(const records::RequestRecord& record);

/// gen_ai.operation.name: "chat", "text_completion".
const char* operation_name(const records::RequestRecord& record);

}  // namespace touchstone::telemetry
