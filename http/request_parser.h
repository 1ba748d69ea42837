// Parses one request from the bytes of a connection, within limits: sizes, counts and the server's
// byte budget are checked as the bytes come. Where a request ends must be beyond doubt, or a proxy
// in front could see other requests than we do: what RFC 9112 leaves to the server is refused.
// Internal to connection.cc. Thread-compatible. Source: RFC 9112, on Beast's basic_parser.
#pragma once

#include <boost/beast/http/basic_parser.hpp>
#include <cstdint>
#include <string>
#include <string_view>

#include "http/http.h"
#include "http/server.h"

namespace touchstone::http {

class RequestParser final : public boost::beast::http::basic_parser<true> {
 public:
  /// Both outlive it.
  RequestParser(const HttpServerOptions& options, ByteBudget& budget);

  /// Header and body as far as they have come.
  HttpRequest& request() { return request_; }
  bool http_1_0() const { return version_ < 11; }
  /// Parsing stopped because the budget has too little left.
  bool over_budget() const { return over_budget_; }
  /// From now on the body is thrown away as it comes.
  void discard_body() { discards_ = true; }
  /// False when no chunk begins like this: Beast waits for the rest of "0x10" first.
  static bool may_be_chunk(std::string_view input);

 private:
  using string_view = boost::beast::string_view;
  using error_code = boost::beast::error_code;
  void on_request_impl(boost::beast::http::verb method, string_view method_text, string_view target,
                       int version, error_code& error) override;
  void on_response_impl(int code, string_view reason, int version, error_code& error) override;
  void on_field_impl(boost::beast::http::field field, string_view name, string_view value,
                     error_code& error) override;
  void on_header_impl(error_code& error) override;
  void on_body_init_impl(const boost::optional<uint64_t>& content_length,
                         error_code& error) override;
  size_t on_body_impl(string_view body, error_code& error) override;
  void on_chunk_header_impl(uint64_t size, string_view extensions, error_code& error) override;
  size_t on_chunk_body_impl(uint64_t remain, string_view body, error_code& error) override;
  void on_finish_impl(error_code& error) override;
  void charge(size_t bytes, error_code& error);
  void count_bytes(size_t bytes, error_code& error);

  const HttpServerOptions& options_;
  HttpRequest request_;
  int64_t held_bytes_ = 0;
  int version_ = 11;
  size_t fields_ = 0;       // trailers included
  size_t field_bytes_ = 0;  // likewise, and extensions of chunks
  int hosts_ = 0;
  int codings_ = 0;  // Transfer-Encoding fields
  bool in_trailers_ = false;
  bool over_budget_ = false;
  bool discards_ = false;
};

}  // namespace touchstone::http
