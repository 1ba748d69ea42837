// Good telemetry that comes with the program, for the self-test of the checks: every run folder
// below fixtures/spans. Thread-compatible.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "conformance/mutate/good.h"

namespace touchstone::harness {

/// The folders below `folder` with a run.json, by name, each with the profiles that it names. With
/// `profiles` (names or files) only those that name one of them or one that it extends, and judged
/// by it in that one's place.
/// ERRORS: kNotFound for no such folder, kInvalidArgument for a run that cannot be read.
Result<std::vector<std::unique_ptr<conformance::mutate::Good>>> good_telemetry(
    const std::string& folder, const std::vector<std::string>& profiles,
    conformance::mutate::Depth depth);

}  // namespace touchstone::harness
