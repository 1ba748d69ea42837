// Looking at what a stack says about itself over HTTP: models, versions, metrics, whether anything
// is still in flight. Thread-compatible.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "http/access.h"
#include "records/server_description.h"
#include "telemetry/prometheus/text.h"

namespace touchstone::harness {

/// Where the server's paths begin: the URL without its last slash and, as clients of the OpenAI API
/// are given it, without `/v1`. ERRORS: kInvalidArgument.
Result<std::string> server_base(const std::string& url);

struct ServedModel {
  std::string id;
  std::optional<int64_t> max_model_len;  ///< as vLLM says it; not all servers do
};
/// What GET BASE/v1/models says of the model `id`; of the first one when that is empty.
/// ERRORS: kIo, kTimeout, kUnavailable.
Result<ServedModel> served_model(const std::string& server_base, const http::Access& access,
                                 const std::string& id = {});

/// The version that GET URL/version tells; empty when the server has no such route.
std::string ask_version(const std::string& server_base, const http::Access& access);

/// Fetches a metrics page and keeps its text at `path`.
/// ERRORS: kIo, kTimeout, kUnavailable, kMalformed.
Result<telemetry::MetricsPage> scrape_to_file(const std::string& url, const std::string& path,
                                              const http::Access& access = {});

/// Requests running or waiting by vLLM's gauges; nullopt when the page has none of them.
std::optional<int64_t> requests_in_flight(const telemetry::MetricsPage& page);

/// What vLLM's cache_config_info says of the KV cache, in the names of its flags:
/// num_gpu_blocks_override, block_size, enable_prefix_caching. Empty when the page has none.
records::Settings cache_settings(const telemetry::MetricsPage& page);

/// The Collector's own span counters, with or without the suffix `_total` of some versions.
struct CollectorSpans {
  double accepted = 0;
  double refused = 0;
  double filtered = 0;  ///< dropped by processors
  /// Sent or finally failed, of the exporter that is furthest behind; nullopt before the first.
  std::optional<double> left;
  /// Everything accepted and not filtered has left.
  bool drained() const { return accepted == 0 || (left && *left >= accepted - filtered); }
};
CollectorSpans collector_spans(const telemetry::MetricsPage& page);

}  // namespace touchstone::harness
