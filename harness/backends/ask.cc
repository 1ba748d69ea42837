#include "harness/backends/ask.h"

#include "base/clock.h"
#include "base/text.h"

namespace touchstone::harness {
namespace {

constexpr int64_t kTimeoutNs = 120 * kNsPerSecond;
constexpr size_t kQuotedMax = 300;

Result<http::ClientResponse> exchange(const BackendAddress& address, http::ClientRequest request,
                                      const std::string& accept) {
  http::Access access = address.access;
  access.headers.emplace_back("Accept", accept);
  return http::http_send(request, kTimeoutNs, access);
}

Error unexpected_status(const http::ClientRequest& request, const http::ClientResponse& answer) {
  const bool wants_key = answer.status == 401 || answer.status == 403;
  std::string said = answer.body.substr(0, kQuotedMax);
  return unavailable(request.method + " " + request.url + ": got status " +
                         std::to_string(answer.status) + (said.empty() ? "" : " " + quote(said)) +
                         ", expected 200",
                     wants_key ? "the backend wants a key: --backend-header 'NAME: VALUE', or "
                                 "TOUCHSTONE_BACKEND_HEADERS"
                               : "");
}

}  // namespace

Result<std::optional<std::string>> ask(const BackendAddress& address, const std::string& path,
                                       const http::Query& query, const std::string& accept) {
  const http::ClientRequest request{
      .method = "GET", .url = address.url + path + query.text(), .content_type = {}, .body = {}};
  auto answer = exchange(address, request, accept);
  if (!answer) return std::move(answer).error();
  if (answer->status == 404) return std::optional<std::string>();
  if (answer->status != 200) return unexpected_status(request, *answer);
  return std::optional(std::move(answer->body));
}

Result<std::string> ask_with_body(const BackendAddress& address, const std::string& path,
                                  const http::Query& query, const std::string& content_type,
                                  const std::string& body) {
  const http::ClientRequest request{.method = "POST",
                                    .url = address.url + path + query.text(),
                                    .content_type = content_type,
                                    .body = body};
  auto answer = exchange(address, request, "application/json");
  if (!answer) return std::move(answer).error();
  if (answer->status != 200) return unexpected_status(request, *answer);
  return std::move(answer->body);
}

Error unexpected_answer(const BackendAddress& address, const std::string& path,
                        const std::string& expected) {
  return malformed(address.url + path + ": got an answer of another kind, expected " + expected,
                   "is this " + address.kind + "?");
}

Result<nlohmann::json> parse_answer(const BackendAddress& address, const std::string& path,
                                    const std::string& text, const std::string& expected) {
  nlohmann::json tree = nlohmann::json::parse(text, nullptr, false);
  if (tree.is_discarded()) return unexpected_answer(address, path, expected);
  return tree;
}

}  // namespace touchstone::harness
