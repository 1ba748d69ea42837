#include "harness/load/record.h"

#include <filesystem>
#include <nlohmann/json.hpp>
#include <system_error>

#include "base/files.h"
#include "harness/scrape.h"
#include "harness/stack/run.h"
#include "http/client.h"
#include "records/server_description.h"

namespace touchstone::harness {
namespace {

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
                                  const Supervision& supervision) {
  const auto url = http::parse_url(options.url);
  if (!url) return url.error();
  const std::string base = "http://" + url->authority() + url->path;
  std::error_code error;
  if (std::filesystem::exists(options.run_folder + "/" + kLedgerFile, error)) {
    return invalid_argument(options.run_folder + ": holds a run already", "choose another folder");
  }
  RecordOutcome outcome;
  outcome.model = options.model;
  if (outcome.model.empty()) {
    auto model = first_model(base);
    if (!model) return std::move(model).error();
    outcome.model = std::move(*model);
  }
  RETURN_IF_ERROR(make_directories(options.run_folder));
  records::ServerDescription server;
  server.description = options.description;
  if (const std::string version = ask_version(base); !version.empty()) server.version = version;
  RETURN_IF_ERROR(
      write_file_atomic(options.run_folder + "/" + kServerFile, records::server_json(server)));
  const auto scrape = [&](const char* file) {
    const auto page = scrape_to_file(base + "/metrics", options.run_folder + "/" + file);
    if (!page) outcome.notes.push_back(page.error().message);
  };
  scrape(kMetricsBeforeFile);
  LoadOptions load;
  load.url = base;
  load.model = outcome.model;
  load.seed = options.seed;
  load.ledger_path = options.run_folder + "/" + kLedgerFile;
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
  scrape(kMetricsFile);
  return outcome;
}

}  // namespace touchstone::harness
