// The LoRA adapters that a server answers under, and how they come and go. An adapter is read and
// checked when it is loaded; the backend reads it again when a request of it is first computed, and
// refuses files that have changed. Requests under way keep what they began with. Thread-safe.
// Source: vLLM 0.32 entrypoints/openai/models/serving.py.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/mutex.h"
#include "base/result.h"
#include "reference_engine/model/config.h"
#include "reference_engine/server/api/adapter_requests.h"
#include "reference_engine/server/api/served_adapter.h"

namespace touchstone::server {

/// --enable-lora and what belongs to it.
struct AdapterServeOptions {
  bool enabled = false;
  std::vector<std::string> modules;      ///< NAME=PATH, or a JSON object
  int32_t max_rank = 16;                 ///< of any adapter
  std::optional<int32_t> max_cpu_loras;  ///< kept in memory; absent: --max-loras
  bool runtime_updates = false;          ///< adapters may be loaded and unloaded while it serves
};

class ServedAdapters final : public api::AdapterDirectory {
 public:
  /// `config`: of the base model, which is served under `model_names`.
  ServedAdapters(const AdapterServeOptions& options, model::Config config,
                 std::vector<std::string> model_names);

  /// Loads those of --lora-modules. ERRORS: kInvalidArgument naming the flag.
  Status load_modules();
  /// Waits for the disk, and for another load. The answers are vLLM's.
  std::optional<api::ApiError> load(const api::LoadAdapterRequest& request);
  std::optional<api::ApiError> unload(const std::string& name);

  std::shared_ptr<const api::ServedAdapter> find(std::string_view name) const override;
  std::vector<std::shared_ptr<const api::ServedAdapter>> list() const override;

 private:
  std::optional<api::ApiError> check_load(const api::LoadAdapterRequest& request) const;
  bool is_base_model(const std::string& name) const;

  const AdapterServeOptions options_;
  const model::Config config_;
  const std::vector<std::string> model_names_;
  Mutex load_mutex_;  // one load at a time
  int32_t next_id_ GUARDED_BY(load_mutex_) = 1;
  mutable Mutex mutex_;
  std::vector<std::shared_ptr<const api::ServedAdapter>> adapters_ GUARDED_BY(mutex_);
};

}  // namespace touchstone::server
