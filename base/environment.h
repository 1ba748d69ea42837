// The process environment as a value, read once in main and handed down, so that nothing else
// depends on it and tests can write their own. Thread-safe to read.
#pragma once

#include <map>
#include <optional>
#include <string>

namespace touchstone {

using Environment = std::map<std::string, std::string>;

/// `environ`-style: "NAME=value" strings up to a null pointer. Entries without "=" are left out.
Environment read_environment(const char* const* entries);

/// nullopt when unset or empty: OpenTelemetry treats both alike (specification v1.50,
/// configuration/sdk-environment-variables.md, "Parsing empty value").
std::optional<std::string> lookup(const Environment& environment, const std::string& name);

}  // namespace touchstone
