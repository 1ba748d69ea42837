#include "harness/load/record.h"

#include <nlohmann/json.hpp>

#include "base/files.h"
#include "base/version.h"
#include "harness/scrape.h"
#include "http/client.h"
#include "records/server_description.h"

namespace touchstone::harness {
namespace {

namespace run_files = records::run_files;

constexpr int64_t kAskTimeoutNs = 10 * kNsPerSecond;

Result<std::string> first_model(const std::string& url) {
  const auto body = http::http_get_body(url + "/v1/models", kAskTimeoutNs);
  if (!body) return body.error();
  const auto answer = nlohmann::json::parse(*body, nullptr, false);
  const bool has_model = answer.is_object() && answer.contains("data") &&
                         answer["data"].is_array() && !answer["data"].empty() &&
                         answer["data"][0].is_object() && answer["data"][0].contains("id") &&
                         answer["data"][0]["id"].is_string();
  if (!has_model) {
    return unavailable(url + "/v1/models: got no list of models", "name the model with --model");
  }
  return answer["data"][0]["id"].get<std::string>();
}

}  // namespace

Result<RecordOutcome> record_load(const workload::Workload& workload, const RecordOptions& options,
                                  records::RunFolderWriter& folder,
                                  const Supervision& supervision) {
  const auto url = http::parse_url(options.url);
  if (!url) return url.error();
  const std::string base = "http://" + url->authority() + url->path;
  RecordOutcome outcome;
  outcome.model = options.model;
  if (outcome.model.empty()) {
    auto model = first_model(base);
    if (!model) return std::move(model).error();
    outcome.model = std::move(*model);
  }
  records::RunManifest& manifest = folder.manifest();
  manifest.verb = "load";
  manifest.name = options.description;
  manifest.seed = options.seed;
  manifest.versions["touchstone"] = kVersion;
  records::ServerDescription server;
  server.description = options.description;
  if (const std::string version = ask_version(base); !version.empty()) {
    server.version = manifest.versions["subject"] = version;
  }
  const auto scrape = [&](const char* file) {
    auto page = scrape_to_file(base + "/metrics", folder.file(file));
    if (!page) manifest.notes.push_back(page.error().message);
    return page;
  };
  if (const auto page = scrape(run_files::kMetricsBefore)) server.flags = cache_settings(*page);
  server.hardware = records::this_hardware();
  RETURN_IF_ERROR(write_file_atomic(folder.file(run_files::kServer), records::server_json(server)));
  LoadOptions load;
  load.url = base;
  load.model = outcome.model;
  load.seed = options.seed;
  load.ledger_path = folder.file(run_files::kLedger);
  load.connections_max = options.connections_max;
  load.timeout_ns = options.timeout_ns;
  load.vocab_size = options.vocab_size;
  if (supervision.signals != nullptr) {
    load.watches.push_back(
        {supervision.signals->fd(), [&] { return supervision.signals->check(); }});
  }
  load.on_progress = [&](const LoadProgress& now) {
    if (!options.progress) return;
    options.progress(std::to_string(now.sent) + " of " + std::to_string(now.total) + " sent, " +
                     std::to_string(now.done) + " answered");
  };
  auto done = run_load(workload, load, supervision.clock);
  if (!done) return std::move(done).error();
  outcome.load = std::move(*done);
  (void)scrape(run_files::kMetrics);  // noted when it fails
  RETURN_IF_ERROR(folder.finish());
  return outcome;
}

}  // namespace touchstone::harness
