// Every field of a request body that vLLM's schemas name, per endpoint, and what becomes of it
// here: read and honoured, without effect for a reason, or refused. Nothing a client asks for is
// left out in silence: what no row names is told (Service logs it, as vLLM does).
// Source: vLLM 0.32 entrypoints/openai/*/protocol.py, entrypoints/serve/tokenize/protocol.py; the
// guided_* fields are those of vLLM before 0.12. Pure; thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "reference_engine/server/api/api_error.h"
#include "reference_engine/server/api/schema.h"

namespace touchstone::server::api {

enum class BodyKind : uint8_t {
  kCompletion = 1,
  kChat = 2,
  kTokenize = 4,
  kDetokenize = 8,
  kResponses = 16
};

struct KnownField {
  const char* name;
  unsigned kinds;  ///< of bodies, the BodyKinds together
  enum class Use {
    kHonoured,
    kHarmless,  ///< cannot change an answer here; `reason` says why
    kRefused,   ///< unless its value asks for nothing; `reason` says why
  } use = Use::kHonoured;
  const char* reason = "";
  /// Refused fields: a value, as JSON, that asks for nothing, as null, false, "", [] and {} do.
  const char* neutral = nullptr;
  bool is_boolean = false;  ///< refused fields: read as pydantic reads a bool
};
std::span<const KnownField> known_fields();

/// Reads the refused fields whose type is checked, for their errors.
void read_refused_fields(Body& body, BodyKind kind);
/// 501 with the reason for the first field that asks for something this server lacks.
/// REQUIRES: read_refused_fields() added no error.
std::optional<ApiError> refuse_unsupported(const Body& body, BodyKind kind);
/// Names in the body that no row has, at most ten, shortened.
std::vector<std::string> unknown_fields(const Body& body, BodyKind kind);

}  // namespace touchstone::server::api
