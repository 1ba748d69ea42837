// Cross-origin requests, as starlette answers them.
#include "reference_engine/server/cors.h"

#include <gtest/gtest.h>

namespace touchstone::server {
namespace {

http::HttpRequest preflight_of(const std::string& origin, const std::string& method,
                               const std::string& headers = {}) {
  http::HttpRequest request;
  request.method = "OPTIONS";
  request.headers = {{"origin", origin}, {"access-control-request-method", method}};
  if (!headers.empty()) request.headers.emplace_back("access-control-request-headers", headers);
  return request;
}

std::string header(const http::HttpHeaders& headers, const std::string& name) {
  for (const auto& [key, value] : headers) {
    if (key == name) return value;
  }
  return "-";
}

TEST(Cors, NothingIsAllowedByDefault) {
  const auto answer = preflight(preflight_of("http://a", "POST"), {});
  EXPECT_EQ(answer.status, 400);
  EXPECT_EQ(answer.body, "Disallowed CORS origin");
  EXPECT_EQ(header(answer.headers, "access-control-allow-origin"), "-");
  EXPECT_EQ(header(cors_headers(preflight_of("http://a", "GET"), {}), "vary"), "Origin");
}

TEST(Cors, WhatIsAllowedIsSaid) {
  CorsOptions options{.origins = {"*"}};
  const auto any = preflight(preflight_of("http://a", "POST", "x-own"), options);
  EXPECT_EQ(any.status, 200);
  EXPECT_EQ(header(any.headers, "access-control-allow-origin"), "*");
  EXPECT_EQ(header(any.headers, "access-control-allow-headers"), "x-own");
  options.credentials = true;
  const auto own = cors_headers(preflight_of("http://a", "GET"), options);
  EXPECT_EQ(header(own, "access-control-allow-origin"), "http://a");
  EXPECT_EQ(header(own, "access-control-allow-credentials"), "true");
}

TEST(Cors, ListsAreKeptTo) {
  const CorsOptions options{.origins = {"http://a"}, .methods = {"GET"}, .headers = {"x-mine"}};
  EXPECT_EQ(preflight(preflight_of("http://a", "GET", "Content-Type, X-Mine"), options).status,
            200);
  EXPECT_EQ(preflight(preflight_of("http://b", "POST", "x-own"), options).body,
            "Disallowed CORS origin, method, headers");
  EXPECT_EQ(
      header(cors_headers(preflight_of("http://b", "GET"), options), "access-control-allow-origin"),
      "-");
}

}  // namespace
}  // namespace touchstone::server
