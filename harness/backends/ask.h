// Questions to a backend over HTTP, with one deadline and one wording of what went wrong.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "base/result.h"
#include "harness/backends/backend.h"
#include "http/client.h"
#include "http/query.h"

namespace touchstone::harness {

/// The body of the answer to GET address.url + path + query; nullopt for status 404, which APIs use
/// for "nothing found". `accept`: media type wanted. ERRORS: those of http_send(); kUnavailable for
/// another status than 200.
Result<std::optional<std::string>> ask(const BackendAddress& address, const std::string& path,
                                       const http::Query& query,
                                       const std::string& accept = "application/json");
/// The same of a POST; 404 is an error.
Result<std::string> ask_with_body(const BackendAddress& address, const std::string& path,
                                  const http::Query& query, const std::string& content_type,
                                  const std::string& body);
/// ERRORS: kMalformed `URL: got no JSON, expected …`.
Result<nlohmann::json> parse_answer(const BackendAddress& address, const std::string& path,
                                    const std::string& text, const std::string& expected);
Error unexpected_answer(const BackendAddress& address, const std::string& path,
                        const std::string& expected);

}  // namespace touchstone::harness
