#include "simulator/cluster/hardware.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "base/files.h"
#include "base/text.h"
#include "simulator/steptime/parse.h"

namespace touchstone::simulator {
namespace {

constexpr int64_t kMostReplicas = 10'000;

/// The value at `key` as its field's type.
void read_flag(const Fields& flags, const std::string& key, const scheduler::ConfigField& field,
               scheduler::FieldValues& values) {
  const scheduler::FieldValue fallback = scheduler::get({}, field);
  scheduler::FieldValue value;
  if (std::holds_alternative<bool>(fallback)) {
    value = flags.required_bool(key);
  } else if (std::holds_alternative<int64_t>(fallback)) {
    value = flags.required_int(key);
  } else {
    value = flags.required_string(key);
  }
  scheduler::Config scratch;
  const Status good = scheduler::set(scratch, field, value);
  if (!good) flags.fail(key, good.error().message, good.error().hint);
  values[std::string(field.name)] = std::move(value);
}

void read_flags(const Fields& flags, scheduler::FieldValues& values) {
  std::vector<std::string> known;
  for (const scheduler::ConfigField& field : scheduler::config_fields()) {
    if (!field.flag.empty()) known.emplace_back(field.flag);
  }
  for (const std::string& key : flags.keys()) {
    std::string name = key;
    std::replace(name.begin(), name.end(), '-', '_');
    const auto fields = scheduler::config_fields();
    const auto field = std::find_if(fields.begin(), fields.end(),
                                    [&name](const auto& f) { return f.flag == name; });
    if (name.empty() || field == fields.end()) {
      const auto guess = nearest(name, known);
      flags.fail(key, "got an unknown flag, expected one of vLLM's: " + join(known, ", "),
                 guess ? "did you mean " + quote(*guess) + "?" : "");
      return;
    }
    read_flag(flags, key, *field, values);
  }
}

/// What only a row of a cluster has.
void read_cluster_part(const Fields& fields, HardwareRow& row) {
  row.count = fields.int_in("count", 1, 1, kMostReplicas);
  row.role = fields
                 .optional_enum<Role>("role", {{"both", Role::kBoth},
                                               {"prefill", Role::kPrefill},
                                               {"decode", Role::kDecode}})
                 .value_or(Role::kBoth);
  row.adapters = fields.strings("adapters");
  row.adapter_load_ns = fields.optional_duration_ns("adapter_load").value_or(0);
  if (row.adapter_load_ns < 0)
    fields.fail("adapter_load", "got a negative time, expected 0s or more");
  if (!fields.has("offload")) return;
  const Fields offload = fields.object("offload");
  (void)offload.required_int("blocks");
  row.offload = OffloadOptions{.blocks = offload.int_in("blocks", 1, 1, INT32_MAX),
                               .bytes_per_token = required_positive(offload, "bytes_per_token"),
                               .bytes_per_s = required_positive(offload, "gigabytes_per_s") * 1e9};
}

}  // namespace

double required_positive(const Fields& fields, const char* key) {
  const double value = fields.required_double(key);
  if (value > 0 && std::isfinite(value)) return value;
  fields.fail(key, "got " + format_double(value) + ", expected more than 0");
  return 1;
}

HardwareRow read_hardware_row(const Fields& fields, bool of_cluster) {
  HardwareRow row;
  row.name = fields.required_string("name");
  row.step_time = fields.required_string("steptime");
  read_flags(fields.object("flags"), row.flags);
  row.price_per_hour = fields.optional_double("price_per_hour").value_or(0);
  if (!(row.price_per_hour >= 0) || !std::isfinite(row.price_per_hour)) {
    fields.fail("price_per_hour",
                "got " + format_double(row.price_per_hour) + ", expected 0 or more");
  }
  row.start_up_ns = fields.optional_duration_ns("start_up").value_or(0);
  if (row.start_up_ns < 0) fields.fail("start_up", "got a negative time, expected 0s or more");
  if (of_cluster) {
    read_cluster_part(fields, row);
  } else {
    row.most = fields.int_in("most", row.most, 1, kMostReplicas);
  }
  return row;
}

Result<std::vector<HardwareRow>> read_hardware(const std::string& path) {
  const auto text = read_file(path);
  if (!text) return text.error();
  auto document = Document::parse_yaml(path, *text);
  if (!document) return invalid_argument(document.error().message, document.error().hint);
  const Fields root = document->root();
  if (root.required_int("hardware") != 1) root.fail("hardware", "got another version, expected 1");
  std::vector<HardwareRow> rows;
  std::set<std::string> names;
  for (const Fields& fields : root.objects("rows")) {
    rows.push_back(read_hardware_row(fields, false));
    if (!names.insert(rows.back().name).second) {
      fields.fail("name", "got " + quote(rows.back().name) + " twice, expected unique names");
    }
  }
  if (rows.empty()) root.fail("rows", "got none, expected a row for each kind of replica");
  RETURN_IF_ERROR(document->finish());
  return rows;
}

Result<Hardware> make_hardware(const HardwareRow& row, const scheduler::Config& base) {
  Hardware hardware{.row = row, .config = base, .model = nullptr};
  RETURN_IF_ERROR(scheduler::set_values(row.flags, hardware.config));
  Status valid = scheduler::validate(hardware.config);
  if (!valid) return std::move(valid).error().with_context(row.name);
  auto model = parse_step_time(row.step_time, {});
  if (!model) return std::move(model).error().with_context(row.name);
  hardware.model = std::move(*model);
  return hardware;
}

}  // namespace touchstone::simulator
