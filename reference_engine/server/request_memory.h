// What requests hold of the server's memory while they are parsed and while they wait and run, as
// estimated before it is taken. Pure; thread-safe.
#pragma once

#include <cstdint>
#include <string_view>

#include "reference_engine/server/api/context.h"
#include "reference_engine/server/api/generation_request.h"

namespace touchstone::server {

// How often a body's values are there at a time while it is made into prompts: as read, and for a
// chat once more normalized, as the template's values, and rendered.
inline constexpr int64_t kTextCopies = 1;
inline constexpr int64_t kChatCopies = 4;

int64_t parsing_bytes(std::string_view body, int64_t copies);

/// What a request holds while it waits and runs, and its answer until it is sent, besides what it
/// generates.
int64_t bytes_of(const api::GenerationRequest& request, const api::ApiContext& context);

}  // namespace touchstone::server
