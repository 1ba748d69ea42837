// The evidence's spans as the bytes of a Collector's file, and back: for damages and dresses that
// exist only in bytes. Pure; thread-safe.
#pragma once

#include <string>
#include <vector>

#include "conformance/evidence.h"

namespace touchstone::conformance::mutate {

/// One line a batch, without line ends.
std::vector<std::string> lines_of(const Evidence& evidence);
/// Lines with an end each.
std::string joined(const std::vector<std::string>& lines);
/// Replaces the evidence's spans by what the bytes hold, as a file that nobody writes any more:
/// with its problems.
void read_bytes(Evidence& evidence, std::string bytes);

}  // namespace touchstone::conformance::mutate
