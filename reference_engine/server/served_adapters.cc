#include "reference_engine/server/served_adapters.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "base/document.h"
#include "base/text.h"
#include "reference_engine/model/adapter.h"

namespace touchstone::server {
namespace {

api::ApiError invalid_input(std::string message) {
  return {400, "InvalidUserInput", std::move(message), std::nullopt};
}

/// One value of --lora-modules. A text with a comma is JSON, as in vLLM.
Result<api::LoadAdapterRequest> parse_module(const std::string& text) {
  const size_t equals = text.find('=');
  if (equals != std::string::npos && text.find(',') == std::string::npos) {
    return api::LoadAdapterRequest{
        .name = text.substr(0, equals), .path = text.substr(equals + 1), .base_model_name = {}};
  }
  auto document = Document::parse_json("--lora-modules", text);
  if (!document) return std::move(document).error();
  const Fields root = document->root();
  api::LoadAdapterRequest request{
      .name = root.required_string("name"),
      .path = root.required_string("path"),
      .base_model_name = root.optional_string("base_model_name").value_or("")};
  (void)root.optional_bool("is_3d_lora_weight");
  RETURN_IF_ERROR(document->finish());
  return request;
}

}  // namespace

ServedAdapters::ServedAdapters(const AdapterServeOptions& options, model::Config config,
                               std::vector<std::string> model_names)
    : options_(options), config_(std::move(config)), model_names_(std::move(model_names)) {}

Status ServedAdapters::load_modules() {
  for (const std::string& text : options_.modules) {
    if (text.empty()) continue;
    const auto request = parse_module(text);
    if (!request) return invalid_argument(request.error().message, request.error().hint);
    const auto refused = load(*request);
    if (refused)
      return invalid_argument("--lora-modules: " + quote(text) + ": " + refused->message);
  }
  return {};
}

bool ServedAdapters::is_base_model(const std::string& name) const {
  return std::ranges::find(model_names_, name) != model_names_.end();
}

std::optional<api::ApiError> ServedAdapters::check_load(
    const api::LoadAdapterRequest& request) const {
  if (request.name.empty() || request.path.empty()) {
    return invalid_input("Both 'lora_name' and 'lora_path' must be provided.");
  }
  if (is_base_model(request.name)) {
    return invalid_input("The lora adapter '" + request.name +
                         "' conflicts with a served base model.");
  }
  if (!request.load_inplace && find(request.name) != nullptr) {
    return invalid_input("The lora adapter '" + request.name +
                         "' has already been loaded. If you want to load the adapter in place, "
                         "set 'load_inplace' to True.");
  }
  return std::nullopt;
}

std::optional<api::ApiError> ServedAdapters::load(const api::LoadAdapterRequest& request) {
  const MutexLock one_at_a_time(load_mutex_);
  if (auto error = check_load(request)) return error;
  if (!options_.enabled) {
    return api::internal_error("LoRA is not enabled. Use --enable-lora to enable LoRA.");
  }
  const auto loaded = model::load_adapter(request.path, config_, options_.max_rank);
  if (!loaded && loaded.error().code == ErrorCode::kNotFound) {
    return api::ApiError{
        404, "NotFoundError",
        "Loading lora " + request.name + " failed: No adapter found for " + request.path,
        std::nullopt};
  }
  if (!loaded) {
    const Error& error = loaded.error();
    return api::internal_error(error.message + (error.hint.empty() ? "" : " (" + error.hint + ")"));
  }
  auto adapter = std::make_shared<api::ServedAdapter>(
      api::ServedAdapter{.name = request.name,
                         .path = request.path,
                         .parent = is_base_model(request.base_model_name) ? request.base_model_name
                                                                          : model_names_.front(),
                         .id = next_id_++,
                         .sha256 = loaded->sha256});
  const MutexLock lock(mutex_);
  const auto known = std::ranges::find(adapters_, request.name, &api::ServedAdapter::name);
  if (known != adapters_.end()) {
    *known = std::move(adapter);
  } else {
    adapters_.push_back(std::move(adapter));
  }
  return std::nullopt;
}

std::optional<api::ApiError> ServedAdapters::unload(const std::string& name) {
  if (name.empty()) {
    return invalid_input("'lora_name' needs to be provided to unload a LoRA adapter.");
  }
  const MutexLock lock(mutex_);
  const auto known = std::ranges::find(adapters_, name, &api::ServedAdapter::name);
  if (known == adapters_.end()) {
    return api::ApiError{404, "NotFoundError", "The lora adapter '" + name + "' cannot be found.",
                         std::nullopt};
  }
  adapters_.erase(known);
  return std::nullopt;
}

std::shared_ptr<const api::ServedAdapter> ServedAdapters::find(std::string_view name) const {
  const MutexLock lock(mutex_);
  const auto known = std::ranges::find(adapters_, name, &api::ServedAdapter::name);
  return known == adapters_.end() ? nullptr : *known;
}

std::vector<std::shared_ptr<const api::ServedAdapter>> ServedAdapters::list() const {
  const MutexLock lock(mutex_);
  return adapters_;
}

}  // namespace touchstone::server
