// The receiving side of OTLP/HTTP traces: what a request holds, and how it is answered.
// Source: OTLP specification v1.10, "OTLP/HTTP": protobuf or JSON bodies, gzip, failures as a
// google.rpc.Status in the request's encoding. Thread-safe.
#pragma once

#include <functional>

#include "http/http.h"
#include "telemetry/export/otlp_receiver.h"

namespace touchstone::telemetry {

inline constexpr char kOtlpHttpTracesPath[] = "/v1/traces";

/// Reads a POST to kOtlpHttpTracesPath, hands it to `take`, answers what that says. A body that is
/// no OTLP is answered 400, one of another media type 415, and `take` does not see it.
http::HttpResponse answer_otlp_http(const http::HttpRequest& request,
                                    const std::function<OtlpAnswer(OtlpExport)>& take);

}  // namespace touchstone::telemetry
