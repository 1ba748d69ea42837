#include "simulator/cluster/cluster_file.h"

#include <utility>

#include "base/files.h"
#include "base/text.h"

namespace touchstone::simulator {
namespace {

std::string router_of(const Fields& root) {
  std::vector<std::pair<std::string, std::string>> names;
  for (const RouterRow& row : routers()) names.emplace_back(row.name, row.name);
  return root.optional_enum<std::string>("router", names).value_or("round-robin");
}

std::optional<int64_t> optional_at_least(const Fields& root, const char* key, int64_t least) {
  if (!root.has(key)) return std::nullopt;
  return root.int_in(key, least, least, INT64_MAX);
}

std::vector<Outage> read_outages(const Fields& root, int64_t replicas) {
  std::vector<Outage> outages;
  for (const Fields& fields : root.objects("outages")) {
    Outage outage;
    (void)fields.required_int("replica");
    outage.replica = static_cast<int32_t>(fields.int_in("replica", 0, 0, replicas - 1));
    (void)fields.required_string("at");
    (void)fields.required_string("for");
    outage.at_ns = fields.optional_duration_ns("at").value_or(0);
    outage.length_ns = fields.optional_duration_ns("for").value_or(1);
    if (outage.length_ns < 1) fields.fail("for", "got no time, expected more than 0s");
    outages.push_back(outage);
  }
  return outages;
}

AutoscalerOptions read_autoscaler(const Fields& fields, int64_t replicas) {
  AutoscalerOptions options;
  options.interval_ns = fields.optional_duration_ns("interval").value_or(options.interval_ns);
  options.settle_ns = fields.optional_duration_ns("settle").value_or(options.settle_ns);
  options.target_in_flight = fields.required_double("target_in_flight");
  options.least = fields.int_in("least", 1, 1, replicas);
  if (options.interval_ns < 1) fields.fail("interval", "got no time, expected more than 0s");
  if (!(options.target_in_flight > 0)) {
    fields.fail("target_in_flight", "got " + format_double(options.target_in_flight) +
                                        ", expected more than 0 requests a replica");
  }
  return options;
}

TransferLink read_link(const Fields& fields) {
  const TransferLink link{.latency_ns = fields.optional_duration_ns("latency").value_or(0),
                          .bytes_per_s = required_positive(fields, "gigabytes_per_s") * 1e9,
                          .bytes_per_token = required_positive(fields, "bytes_per_token")};
  if (link.latency_ns < 0) fields.fail("latency", "got a negative time, expected 0s or more");
  return link;
}

}  // namespace

Result<ClusterFile> read_cluster(const std::string& path) {
  const auto text = read_file(path);
  if (!text) return text.error();
  auto document = Document::parse_yaml(path, *text);
  if (!document) return invalid_argument(document.error().message, document.error().hint);
  const Fields root = document->root();
  if (root.required_int("cluster") != 1) root.fail("cluster", "got another version, expected 1");
  ClusterFile cluster;
  int64_t replicas = 0;
  for (const Fields& fields : root.objects("replicas")) {
    cluster.replicas.push_back(read_hardware_row(fields, true));
    replicas += cluster.replicas.back().count;
  }
  if (replicas == 0) root.fail("replicas", "got none, expected one row or more");
  cluster.router = router_of(root);
  FleetOptions& fleet = cluster.fleet;
  fleet.report_interval_ns = root.optional_duration_ns("report_interval").value_or(0);
  fleet.in_flight_max = optional_at_least(root, "in_flight_max", 1);
  fleet.queue_max = optional_at_least(root, "queue_max", 0);
  fleet.outages = read_outages(root, replicas);
  fleet.retry = root.optional_bool("retry").value_or(true);
  if (root.has("autoscaler")) {
    fleet.autoscaler = read_autoscaler(root.object("autoscaler"), replicas);
  }
  if (root.has("transfer")) fleet.link = read_link(root.object("transfer"));
  RETURN_IF_ERROR(document->finish());
  return cluster;
}

Result<Cluster> make_cluster(const ClusterFile& file, const scheduler::Config& base) {
  Cluster cluster;
  cluster.router = file.router;
  cluster.fleet = file.fleet;
  for (const HardwareRow& row : file.replicas) {
    auto hardware = make_hardware(row, base);
    if (!hardware) return std::move(hardware).error();
    for (int64_t i = 0; i < row.count; ++i) {
      cluster.replicas.push_back({.config = hardware->config,
                                  .model = *hardware->model,
                                  .start_up_ns = row.start_up_ns,
                                  .role = row.role,
                                  .offload = row.offload,
                                  .adapters = row.adapters,
                                  .adapter_load_ns = row.adapter_load_ns});
      cluster.price_per_hour.push_back(row.price_per_hour);
      cluster.names.push_back(row.name);
    }
    cluster.models.push_back(std::move(hardware->model));
  }
  return cluster;
}

}  // namespace touchstone::simulator
