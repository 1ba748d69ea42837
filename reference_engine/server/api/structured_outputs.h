// The fields that say what an answer must look like: response_format and structured_outputs. Pure.
// Source: vLLM 0.32 sampling_params.py (StructuredOutputsParams), recorded messages.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>

#include "reference_engine/grammar/grammar_spec.h"
#include "reference_engine/server/api/api_error.h"
#include "reference_engine/server/api/schema.h"

namespace touchstone::server::api {

/// What is wrong with the fields before anything else is read.
std::optional<ApiError> check_structured_fields(const Body& body);
/// Nothing: any answer will do. Adds to the body's errors. `ordered`: the body with its keys as
/// they were sent, since the order of a schema's properties is that of the answer's.
std::optional<grammar::GrammarSpec> read_structured_fields(Body& body,
                                                           const nlohmann::ordered_json& ordered);

}  // namespace touchstone::server::api
