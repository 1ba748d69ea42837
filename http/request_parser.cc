#include "http/request_parser.h"

#include <algorithm>
#include <boost/asio/error.hpp>
#include <boost/beast/http/error.hpp>

#include "base/text.h"

namespace touchstone::http {

namespace beast_http = boost::beast::http;

namespace {
// Of a header line beyond its bytes: two strings and the slot that they have.
constexpr size_t kFieldBytes = 64;
// Of each request, not charged: small requests, probes above all, are read whatever others hold.
constexpr int64_t kUnchargedBytes = 16'384;

/// The path of a target in origin form, or in absolute form ("http://host/path?query").
std::string path_of(std::string_view target) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!starts_with_ignoring_case(target, scheme)) continue;
    target.remove_prefix(scheme.size());
    target.remove_prefix(std::min(target.find_first_of("/?"), target.size()));
    if (!target.starts_with('/')) return "/";
    break;
  }
  return std::string(target.substr(0, target.find('?')));
}
}  // namespace

RequestParser::RequestParser(const HttpServerOptions& options, ByteBudget& budget)
    : options_(options) {
  request_.memory = ByteBudget::Lease(budget);
  header_limit(static_cast<uint32_t>(std::min<size_t>(options.max_header_bytes, UINT32_MAX)));
  body_limit(options.max_body_bytes);
  eager(false);
}

void RequestParser::charge(size_t bytes, error_code& error) {
  held_bytes_ += static_cast<int64_t>(bytes);
  if (request_.memory.resize(std::max<int64_t>(0, held_bytes_ - kUnchargedBytes))) return;
  over_budget_ = true;
  error = boost::asio::error::no_memory;
}

/// Of header lines, trailers and extensions of chunks together.
void RequestParser::count_bytes(size_t bytes, error_code& error) {
  field_bytes_ += bytes;
  if (field_bytes_ > options_.max_header_bytes) error = beast_http::error::header_limit;
}

void RequestParser::on_request_impl(beast_http::verb, string_view method_text, string_view target,
                                    int version, error_code& error) {
  version_ = version;
  charge(method_text.size() + 2 * target.size(), error);
  if (error) return;
  request_.method = std::string(method_text);
  request_.target = std::string(target);
  request_.path = path_of(request_.target);
}

void RequestParser::on_response_impl(int, string_view, int, error_code&) {}

void RequestParser::on_field_impl(beast_http::field field, string_view name, string_view value,
                                  error_code& error) {
  if (++fields_ > options_.max_headers) error = beast_http::error::header_limit;
  if (!error) count_bytes(name.size() + value.size(), error);
  if (error || in_trailers_) return;  // nothing that we serve is said in trailers
  if (field == beast_http::field::host) hosts_ += 1;
  if (field == beast_http::field::transfer_encoding) {
    codings_ += 1;
    // No other coding, and not that one twice: who reads it otherwise sees another end.
    if (to_lower(value) != "chunked") error = beast_http::error::bad_transfer_encoding;
    if (error) return;
  }
  charge(name.size() + value.size() + kFieldBytes, error);
  if (error) return;
  request_.headers.emplace_back(std::string(name), std::string(value));
}

void RequestParser::on_header_impl(error_code& error) {
  if (codings_ > 1 || (codings_ == 1 && (http_1_0() || !chunked()))) {
    error = beast_http::error::bad_transfer_encoding;
  } else if (hosts_ > 1 || (hosts_ == 0 && !http_1_0())) {
    error = beast_http::error::bad_field;
  }
}

void RequestParser::on_body_init_impl(const boost::optional<uint64_t>& content_length,
                                      error_code&) {
  in_trailers_ = true;  // what fields still come are trailers
  // Address space, not memory: pages are touched, and charged, as the bytes come.
  if (content_length && !discards_) request_.body.reserve(static_cast<size_t>(*content_length));
}

size_t RequestParser::on_body_impl(string_view body, error_code& error) {
  if (discards_) return body.size();
  // A body of unknown length moves as it grows: for a moment it is there twice.
  charge(chunked() ? 2 * body.size() : body.size(), error);
  if (error) return 0;
  request_.body.append(body.data(), body.size());
  return body.size();
}

void RequestParser::on_chunk_header_impl(uint64_t, string_view extensions, error_code& error) {
  count_bytes(extensions.size(), error);
}

bool RequestParser::may_be_chunk(std::string_view input) {
  if (input.starts_with("\r\n")) input.remove_prefix(2);
  const size_t digits = input.find_first_not_of("0123456789abcdefABCDEF");
  return digits == std::string_view::npos ||
         std::string_view("\r; \t").find(input[digits]) != std::string_view::npos;
}

size_t RequestParser::on_chunk_body_impl(uint64_t, string_view body, error_code& error) {
  return on_body_impl(body, error);
}

void RequestParser::on_finish_impl(error_code&) {}

}  // namespace touchstone::http
