// What the body of a request to an OpenAI-compatible server says to the ledger; no content of it.
// Source: OpenAI API reference (completions, chat completions) as vLLM 0.32.0 reads it. Pure;
// thread-safe.
#pragma once

#include <string>
#include <string_view>

#include "records/ledger.h"

namespace touchstone::harness {

/// Requests to this path, without its query, owe a span and have a ledger line.
bool is_generation(std::string_view path);

/// Model, tenant, parameters, stream and choices (prompts × n) of `body` into `entry`. What is no
/// JSON object says nothing.
void read_sent_body(std::string_view body, records::LedgerEntry& entry);

}  // namespace touchstone::harness
