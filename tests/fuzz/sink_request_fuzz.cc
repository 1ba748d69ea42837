// What a sink is sent and asked: the first line is the target of a GET, the rest the body of a POST
// in each encoding. Whatever comes, there is an answer, and what was taken can be asked for.
#include <algorithm>
#include <cstdint>
#include <string>

#include "base/check.h"
#include "harness/sink/query_api.h"
#include "telemetry/export/otlp_http_intake.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace touchstone;
  const std::string text(reinterpret_cast<const char*>(data), size);
  const size_t end = std::min(text.find('\n'), text.size());
  const std::string target = text.substr(0, end);
  harness::SpanStore store(1 << 16, harness::WhenFull::kDropOldest);
  for (const char* type : {"application/json", "application/x-protobuf"}) {
    for (const char* encoding : {"identity", "gzip"}) {
      http::HttpRequest request;
      request.headers = {{"content-type", type}, {"content-encoding", encoding}};
      request.body = text.substr(std::min(end + 1, text.size()));
      const auto response = telemetry::answer_otlp_http(
          request, [&](telemetry::OtlpExport taken) -> telemetry::OtlpAnswer {
            const Status added = store.add(std::move(taken.batch));
            return {.grpc_code = added ? 0 : 8};
          });
      BASE_CHECK(response.status >= 200 && response.status < 500, response.status);
    }
  }
  const std::string path = target.substr(0, target.find('?'));
  const http::Query query = http::Query::of_target(target);
  for (const auto& api :
       {harness::answer_jaeger_v3, harness::answer_jaeger_legacy, harness::answer_spans}) {
    const auto response = api(store, path, query);
    BASE_CHECK(!response || !response->body.empty());
  }
  const auto counters = store.counters();
  BASE_CHECK(counters.received == counters.kept + counters.dropped + counters.refused);
  harness::SpanQuery all;
  all.limit = SIZE_MAX;
  BASE_CHECK(store.spans(all).size() == static_cast<size_t>(counters.kept));
  return 0;
}
