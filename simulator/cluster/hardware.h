// What a replica runs on, as people write it in cluster and hardware files: step times, flags of
// the server, price. Values; thread-compatible.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/document.h"
#include "base/result.h"
#include "reference_engine/scheduler/config.h"
#include "simulator/cluster/replica.h"
#include "simulator/steptime/model.h"

namespace touchstone::simulator {

struct HardwareRow {
  std::string name;
  std::string step_time;         ///< as --steptime
  scheduler::FieldValues flags;  ///< by ConfigField::name
  double price_per_hour = 0;     ///< of one replica, in whatever currency
  int64_t start_up_ns = 0;
  // Cluster file alone.
  int64_t count = 1;  ///< how many there are
  Role role = Role::kBoth;
  std::optional<OffloadOptions> offload;
  std::vector<std::string> adapters;
  int64_t adapter_load_ns = 0;

  int64_t most = 1000;  ///< hardware file: how many can be had
};

/// A finite number above 0; 1 after a problem, which its document keeps.
double required_positive(const Fields& fields, const char* key);
/// One row; problems are kept by its document. `of_cluster`: with `count` instead of `most`.
HardwareRow read_hardware_row(const Fields& fields, bool of_cluster);

/// hardware.yaml: `hardware: 1` and `rows`; schema: simulator/cluster/hardware.schema.json. ERRORS:
/// kNotFound, kIo, kInvalidArgument `file:line: …`.
Result<std::vector<HardwareRow>> read_hardware(const std::string& path);

/// A row ready to be simulated.
struct Hardware {
  HardwareRow row;
  scheduler::Config config;
  std::unique_ptr<StepTimeModel> model;
};
/// Settings of the row over those of `base`. ERRORS: kInvalidArgument with the row's name: flags
/// that do not fit together, no blocks, step times that are none.
Result<Hardware> make_hardware(const HardwareRow& row, const scheduler::Config& base);

}  // namespace touchstone::simulator
