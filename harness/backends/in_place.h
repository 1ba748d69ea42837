// Judging spans where they lie, so that billions of them need not travel: what a database can count
// is counted there. One thread.
#pragma once

#include <vector>

#include "base/result.h"
#include "conformance/evidence_reader.h"
#include "harness/backends/backend.h"

namespace touchstone::harness {

/// The tables of the Collector's ClickHouse exporter: which required attributes are there, with
/// which of the allowed texts, when they were seen and where they are missing; and with a ledger in
/// `evidence`, whether every request has its spans. Types, relations, times, topology and content
/// are not judged, which the report says. `elsewhere`: traces of requests that are none of this
/// window's, of which spans may lie in it. ERRORS: as SpanBackend::read(); kInvalidArgument for a
/// pattern that is no RE2.
Result<conformance::JudgedFiles> judge_in_clickhouse(
    const BackendAddress& address, const TimeWindow& window, const conformance::Evidence& evidence,
    const std::vector<TraceId>& elsewhere, const std::vector<conformance::Profile>& profiles,
    const conformance::JudgeOptions& options);

}  // namespace touchstone::harness
