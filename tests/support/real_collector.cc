#include "tests/support/real_collector.h"

#include <cstdlib>

#include "http/client.h"
#include "telemetry/prometheus/text.h"

namespace touchstone::testing {
namespace {

constexpr int64_t kLong = 30 * kNsPerSecond;

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

harness::CollectorSearch collector_search() {
  harness::CollectorSearch result;
  const std::string named = variable("TOUCHSTONE_COLLECTOR");
  if (!named.empty()) result.environment = named;
  result.path = variable("PATH");
  const std::string cache = variable("XDG_CACHE_HOME");
  result.cache = (cache.empty() ? variable("HOME") + "/.cache" : cache) + "/touchstone";
  return result;
}

Result<std::unique_ptr<RealCollector>> RealCollector::start(
    const std::string& config, const std::string& folder, std::map<std::string, std::string> more) {
  std::unique_ptr<RealCollector> collector(new RealCollector());
  const auto needed = harness::components_of_config(config);
  if (!needed) return needed.error();
  const auto binary = harness::find_collector(collector_search(), *needed, collector->supervision_);
  if (!binary) return binary.error();
  harness::CollectorPlaces& places = collector->places_;
  for (uint16_t* port : {&places.otlp_grpc_port, &places.otlp_http_port, &places.health_port,
                         &places.own_metrics_port, &places.subject_metrics_port}) {
    const auto taken = collector->ports_.take();
    if (!taken) return taken.error();
    *port = *taken;
  }
  places.spans_file = folder + "/spans.otlp.jsonl";
  places.subject_address = "127.0.0.1:1";
  collector->spawn_ = {.name = "collector",
                       .argv = {binary->path, "--config", config},
                       .environment = harness::collector_environment(places),
                       .working_directory = folder,
                       .log_path = folder + "/collector.log"};
  for (auto& [name, value] : more) collector->spawn_.environment[name] = value;
  RETURN_IF_ERROR(collector->start_again());
  return collector;
}

Status RealCollector::start_again() {
  auto process = harness::ChildProcess::spawn(spawn_, supervision_);
  if (!process) return std::move(process).error();
  process_ = *std::move(process);
  return process_->wait_until(
      [&] { return http::http_get_body(places_.health_url(), kNsPerSecond).has_value(); },
      "the Collector's health", kLong);
}

bool RealCollector::stop() { return process_->stop(kLong).status.good(); }

std::optional<double> RealCollector::own_metric(const std::string& name) const {
  const auto page = http::http_get_body(places_.own_metrics_url(), kNsPerSecond);
  if (!page) return std::nullopt;
  const auto parsed = telemetry::parse_prometheus_text("own metrics", *page);
  return parsed ? parsed->sum(name) : std::nullopt;
}

}  // namespace touchstone::testing
