#include "harness/load/record.h"

#include "base/files.h"
#include "base/version.h"
#include "harness/scrape.h"
#include "records/server_description.h"

namespace touchstone::harness {
namespace {

namespace run_files = records::run_files;

}  // namespace

Result<RecordOutcome> record_load(const workload::Workload& workload, const RecordOptions& options,
                                  records::RunFolderWriter& folder,
                                  const Supervision& supervision) {
  const auto base = server_base(options.url);
  if (!base) return base.error();
  RecordOutcome outcome;
  outcome.model = options.model;
  const auto model = served_model(*base, options.access, options.model);
  if (!model && options.model.empty()) return model.error();
  if (model) outcome.model = model->id;
  records::RunManifest& manifest = folder.manifest();
  manifest.verb = "load";
  manifest.name = options.description;
  manifest.seed = options.seed;
  manifest.versions["touchstone"] = kVersion;
  records::ServerDescription server;
  server.description = options.description;
  if (const std::string version = ask_version(*base, options.access); !version.empty()) {
    server.version = manifest.versions["subject"] = version;
  }
  const auto scrape = [&](const char* file) {
    auto page = scrape_to_file(*base + "/metrics", folder.file(file), options.access);
    if (!page) manifest.miss(file, page.error().message);
    return page;
  };
  if (const auto page = scrape(run_files::kMetricsBefore)) server.flags = cache_settings(*page);
  if (model && model->max_model_len) server.flags["max_model_len"] = *model->max_model_len;
  server.hardware = records::this_hardware();
  RETURN_IF_ERROR(write_file_atomic(folder.file(run_files::kServer), records::server_json(server)));
  LoadTarget target;
  target.url = *base;
  target.access = options.access;
  target.model = outcome.model;
  target.workload = &workload;
  target.seed = options.seed;
  target.timeout_ns = options.timeout_ns;
  target.sampled_per_million = options.sampled_per_million;
  target.clients = options.clients;
  target.manners = options.manners;
  LoadOptions load;
  load.ledger_path = folder.file(run_files::kLedger);
  load.connections_max = options.connections_max;
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
  auto done = run_load({target}, load, supervision.clock);
  if (!done) return std::move(done).error();
  outcome.load = std::move(*done);
  manifest.load_start_unix_ns = outcome.load.start_unix_ns;
  (void)scrape(run_files::kMetrics);  // noted when it fails
  RETURN_IF_ERROR(folder.finish());
  return outcome;
}

}  // namespace touchstone::harness
