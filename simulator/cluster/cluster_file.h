// A cluster as people write it: which replicas, how requests are routed and admitted, what fails,
// what scales. Schema: simulator/cluster/cluster.schema.json. Values; thread-compatible.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "simulator/cluster/fleet.h"
#include "simulator/cluster/hardware.h"
#include "simulator/cluster/replica.h"

namespace touchstone::simulator {

struct ClusterFile {
  std::vector<HardwareRow> replicas;  ///< by kind, each with its count
  std::string router = "round-robin";
  FleetOptions fleet;
};

/// ERRORS: kNotFound, kIo, kInvalidArgument `file:line: field: got, expected`.
Result<ClusterFile> read_cluster(const std::string& path);

/// Replicas ready to run; the models are theirs.
struct Cluster {
  std::vector<std::unique_ptr<StepTimeModel>> models;
  std::vector<ReplicaOptions> replicas;
  std::vector<double> price_per_hour;  ///< by replica
  std::vector<std::string> names;      ///< by replica: that of its row
  std::string router = "round-robin";
  FleetOptions fleet;
};

/// Settings of the rows over those of `base`. ERRORS: those of make_hardware(), as `replicas[i]`.
Result<Cluster> make_cluster(const ClusterFile& file, const scheduler::Config& base);

}  // namespace touchstone::simulator
