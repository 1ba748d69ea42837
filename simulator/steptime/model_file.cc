#include "simulator/steptime/model_file.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/document.h"
#include "base/files.h"
#include "base/version.h"
#include "simulator/steptime/terms_shape.h"

namespace touchstone::simulator {
namespace {

using nlohmann::json;

constexpr char kFormat[] = "touchstone step-time model";

constexpr std::pair<const char*, int64_t StepFeatures::*> kRange[] = {
    {"prefill_requests", &StepFeatures::prefill_requests},
    {"prefill_tokens", &StepFeatures::prefill_tokens},
    {"decode_requests", &StepFeatures::decode_requests},
    {"sampled_requests", &StepFeatures::sampled_requests},
    {"context_tokens", &StepFeatures::context_tokens},
    {"prefill_attention", &StepFeatures::prefill_attention}};

constexpr std::pair<const char*, Grid StepTable::*> kGrids[] = {
    {"dense", &StepTable::dense},
    {"head", &StepTable::head},
    {"decode_attention", &StepTable::decode_attention},
    {"prefill_attention", &StepTable::prefill_attention}};

json range_of(const Validity& validity) {
  json range = json::object();
  for (const auto& [name, member] : kRange) {
    range[name] = {validity.low.*member, validity.high.*member};
  }
  return range;
}

json json_of(const StepTerms& terms) {
  json result = json::object();
  for (size_t i = 0; i < kStepTerms; ++i) result[kStepTermNames[i]] = terms[i];
  return result;
}

json json_of(const StepTable& table) {
  json result = {{"what", table.what},
                 {"step_ns", table.step_ns},
                 {"request_ns", table.request_ns},
                 {"skew", table.skew}};
  for (const auto& [name, member] : kGrids) {
    const Grid& grid = table.*member;
    if (grid.empty()) continue;
    result[name] = {{"rows", grid.rows()}, {"columns", grid.columns()}, {"ns", grid.values()}};
  }
  return result;
}

json json_of(const ModelOrigin& origin) {
  return {{"name", origin.name},         {"engine", origin.engine}, {"model", origin.model},
          {"hardware", origin.hardware}, {"role", origin.role},     {"requests", origin.requests},
          {"fitted", origin.fitted},     {"sha256", origin.digests}};
}

/// A finite number of at least 0; else the document gets the error.
double amount(const Fields& fields, const std::string& key) {
  const double value = fields.required_double(key);
  if (!(value >= 0 && std::isfinite(value))) {
    fields.fail(key, "got " + fields.raw(key).dump() + ", expected a number of at least 0");
  }
  return value;
}

std::vector<double> numbers(const Fields& fields, const std::string& key) {
  std::vector<double> values;
  const json& raw = fields.raw(key);
  if (!raw.is_array()) fields.fail(key, "got no list, expected numbers");
  for (const json& item : raw) {
    if (!item.is_number()) {
      fields.fail(key, "got " + item.dump() + ", expected numbers");
      return {};
    }
    values.push_back(item.get<double>());
  }
  return values;
}

StepTerms read_terms(const Fields& fields) {
  StepTerms terms = {};
  for (size_t i = 0; i < kStepTerms; ++i) terms[i] = amount(fields, kStepTermNames[i]);
  return terms;
}

StepTable read_table(const Fields& fields) {
  StepTable table{.step_ns = amount(fields, "step_ns"),
                  .request_ns = amount(fields, "request_ns"),
                  .skew = amount(fields, "skew"),
                  .what = fields.required_string("what")};
  for (const auto& [name, member] : kGrids) {
    if (!fields.has(name)) continue;
    const Fields grid = fields.object(name);
    auto made = Grid::make(numbers(grid, "rows"), numbers(grid, "columns"), numbers(grid, "ns"));
    if (made) {
      table.*member = std::move(*made);
    } else {
      fields.fail(name, made.error().message);
    }
  }
  return table;
}

Validity read_range(const Fields& fields) {
  Validity validity;
  for (const auto& [name, member] : kRange) {
    const std::vector<int64_t> pair = fields.ints(name);
    if (pair.size() != 2 || pair[0] > pair[1]) {
      fields.fail(name, "got " + fields.raw(name).dump() + ", expected [lowest, highest]");
      continue;
    }
    validity.low.*member = pair[0];
    validity.high.*member = pair[1];
  }
  return validity;
}

std::map<std::string, std::string> read_digests(const Fields& fields) {
  std::map<std::string, std::string> digests;
  for (const std::string& key : fields.keys()) digests[key] = fields.required_string(key);
  return digests;
}

ModelOrigin read_origin(const Fields& fields) {
  return {.name = fields.required_string("name"),
          .engine = fields.required_string("engine"),
          .model = fields.required_string("model"),
          .hardware = fields.required_string("hardware"),
          .role = fields.required_string("role"),
          .requests = fields.int_in("requests", 0, 0, INT64_MAX),
          .fitted = fields.int_in("fitted", 0, 0, INT64_MAX),
          .digests = read_digests(fields.required_object("sha256"))};
}

void read_rest(const Fields& root, ModelFile& file) {
  file.validity = read_range(root.required_object("range"));
  const Fields anchor = root.required_object("anchor");
  file.anchor = {.decode = amount(anchor, "decode"),
                 .prefill = amount(anchor, "prefill"),
                 .fitted = anchor.required_bool("fitted")};
  const Fields noise = root.required_object("noise");
  file.noise = {.sigma = amount(noise, "sigma"), .correlation = amount(noise, "correlation")};
  if (file.noise.correlation >= 1) noise.fail("correlation", "expected less than 1");
  const Fields frontend = root.required_object("frontend_ns");
  file.frontend = {.in_ns = amount(frontend, "in"),
                   .in_ns_per_prompt_token = amount(frontend, "in_per_prompt_token"),
                   .out_ns = amount(frontend, "out"),
                   .out_ns_per_stream = amount(frontend, "out_per_stream")};
  file.unidentified = root.strings("unidentified");
  const Fields held_out = root.object("held_out");
  for (const std::string& key : held_out.keys()) {
    file.held_out[key] = held_out.required_double(key);
  }
  for (const Fields& origin : root.objects("learned_from")) {
    file.origins.push_back(read_origin(origin));
  }
  file.notes = root.strings("notes");
  root.accept("touchstone");
}

}  // namespace

std::string model_file_json(const ModelFile& file) {
  json root = {{"format", kFormat},
               {"version", kModelFileVersion},
               {"touchstone", kVersion},
               {"range", range_of(file.validity)},
               {"anchor",
                {{"decode", file.anchor.decode},
                 {"prefill", file.anchor.prefill},
                 {"fitted", file.anchor.fitted}}},
               {"noise", {{"sigma", file.noise.sigma}, {"correlation", file.noise.correlation}}},
               {"frontend_ns",
                {{"in", file.frontend.in_ns},
                 {"in_per_prompt_token", file.frontend.in_ns_per_prompt_token},
                 {"out", file.frontend.out_ns},
                 {"out_per_stream", file.frontend.out_ns_per_stream}}},
               {"unidentified", file.unidentified},
               {"held_out", file.held_out},
               {"notes", file.notes}};
  root["learned_from"] = json::array();
  for (const ModelOrigin& origin : file.origins) root["learned_from"].push_back(json_of(origin));
  if (const auto* terms = std::get_if<StepTerms>(&file.shape)) root["terms_ns"] = json_of(*terms);
  if (const auto* table = std::get_if<StepTable>(&file.shape)) root["table"] = json_of(*table);
  return root.dump(1, ' ', false, json::error_handler_t::replace) + "\n";
}

Result<ModelFile> read_model_file(const std::string& path) {
  const auto text = read_file(path);
  if (!text) return text.error();
  auto document = Document::parse_json(path, *text);
  if (!document) return invalid_argument(document.error().message, document.error().hint);
  const Fields root = document->root();
  if (root.optional_string("format").value_or("") != kFormat) {
    return invalid_argument(path + ": got no " + kFormat + ", expected one",
                            "touchstone calibrate RUN --output model.json makes one");
  }
  const int64_t version = root.optional_int("version").value_or(0);
  if (version != kModelFileVersion) {
    return invalid_argument(path + ": version: got " + std::to_string(version) + ", expected " +
                                std::to_string(kModelFileVersion),
                            "calibrate again with this version of touchstone");
  }
  ModelFile file;
  if (root.has("table")) {
    file.shape = read_table(root.object("table"));
  } else {
    file.shape = read_terms(root.required_object("terms_ns"));
  }
  read_rest(root, file);
  RETURN_IF_ERROR(document->finish());
  return file;
}

bool is_model_file(std::string_view text) {
  return text.ends_with(".json") && text.find(':') == std::string_view::npos;
}

size_t requests_learned_from(const ModelFile& file,
                             const std::map<std::string, std::string>& digests) {
  // Others may be the same for several runs.
  const auto holds_requests = [](const std::string& name) {
    return name != "server.json" && name.ends_with(".jsonl") && !name.ends_with(".lengths.jsonl");
  };
  size_t learned = 0;
  for (const ModelOrigin& origin : file.origins) {
    for (const auto& [name, digest] : origin.digests) {
      const auto own = digests.find(name);
      if (!holds_requests(name) || own == digests.end() || own->second != digest) continue;
      learned = std::max(learned, static_cast<size_t>(origin.fitted));
    }
  }
  return learned;
}

std::shared_ptr<const StepShape> shape_of(const ModelFile& file) {
  if (const auto* table = std::get_if<StepTable>(&file.shape)) {
    return make_table_shape(*table, file.validity);
  }
  return make_terms_shape(std::get<StepTerms>(file.shape), file.validity);
}

std::unique_ptr<StepTimeModel> make_step_time(const ModelFile& file) {
  return make_learned_step_time({.shape = shape_of(file),
                                 .anchor = file.anchor,
                                 .noise = file.noise,
                                 .frontend = file.frontend});
}

}  // namespace touchstone::simulator
