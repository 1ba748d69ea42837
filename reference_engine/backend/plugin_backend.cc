#include "reference_engine/backend/plugin_backend.h"

#include <dlfcn.h>

#include <deque>
#include <filesystem>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/text.h"
#include "reference_engine/backend/plugin_text.h"

namespace touchstone::backend {
namespace {

/// A loaded shared object and its table. Shared: a backend may outlive the factory that made it.
class Library final {
 public:
  Library(std::string path, void* handle) : path_(std::move(path)), handle_(handle) {}
  ~Library() { ::dlclose(handle_); }
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;

  Status find_table();
  const TouchstonePlugin& table() const { return *table_; }
  /// The error of a call as `PATH: message`.
  Status check(int32_t code, const TouchstoneError& error) const {
    if (code == TOUCHSTONE_OK) return {};
    return get_error(code, error).with_context(path_);
  }

 private:
  Error refuse(const std::string& what) const {
    return {ErrorCode::kUnsupported, path_ + ": " + what,
            "build the plugin against this program's reference_engine/backend/plugin.h"};
  }

  std::string path_;
  void* handle_;
  const TouchstonePlugin* table_ = nullptr;
};

Status Library::find_table() {
  void* symbol = ::dlsym(handle_, TOUCHSTONE_BACKEND_PLUGIN_SYMBOL);
  if (symbol == nullptr) {
    return refuse("got no symbol " TOUCHSTONE_BACKEND_PLUGIN_SYMBOL ", expected a backend plugin");
  }
  table_ = reinterpret_cast<TouchstonePluginFunction>(symbol)();
  if (table_ == nullptr) return refuse("got no table, expected that of a backend plugin");
  if (table_->abi_version != TOUCHSTONE_BACKEND_ABI_VERSION) {
    return refuse("ABI version: got " + std::to_string(table_->abi_version) + ", expected " +
                  std::to_string(TOUCHSTONE_BACKEND_ABI_VERSION));
  }
  if (table_->struct_size < sizeof(TouchstonePlugin)) {
    return refuse("table: got " + std::to_string(table_->struct_size) + " bytes, expected " +
                  std::to_string(sizeof(TouchstonePlugin)));
  }
  const bool complete =
      table_->name != nullptr && table_->probe != nullptr && table_->capabilities != nullptr &&
      table_->create != nullptr && table_->destroy != nullptr && table_->model != nullptr &&
      table_->size != nullptr && table_->allocate_kv != nullptr &&
      table_->load_adapter != nullptr && table_->begin != nullptr && table_->preempted != nullptr &&
      table_->end != nullptr && table_->submit != nullptr && table_->wait != nullptr;
  if (!complete) return refuse("table: got a null pointer, expected every function");
  return {};
}

TouchstoneEntry entry_of(const Entry& entry) {
  return {.request_id = entry.request_id,
          .tokens = entry.tokens.data(),
          .num_tokens = entry.tokens.size(),
          .block_table = entry.block_table.data(),
          .num_blocks = entry.block_table.size(),
          .token_bitmask = entry.token_bitmask.data(),
          .num_bitmask_words = entry.token_bitmask.size(),
          .first_position = entry.first_position,
          .adapter_slot = entry.adapter_slot.value_or(-1),
          .sample = entry.sample ? 1 : 0,
          .logprobs = entry.logprobs.value_or(-1),
          .num_prompt_rows = entry.num_prompt_rows,
          .prompt_logprobs = entry.prompt_logprobs};
}

class PluginBackend final : public Backend {
 public:
  PluginBackend(std::shared_ptr<const Library> library, TouchstoneBackend* backend)
      : library_(std::move(library)), backend_(backend) {}
  ~PluginBackend() override { library_->table().destroy(backend_); }

  Status read_model();
  const ModelInfo& model() const override { return info_; }
  Result<Sizes> size(const Limits& limits) override;
  Status allocate_kv(int64_t num_blocks, int32_t block_size) override;
  Status load_adapter(int32_t slot, const AdapterSource& source) override;
  Status begin(RequestId id, const sampling::Params& params,
               std::span<const int32_t> prompt) override;
  void preempted(RequestId id) override;
  void end(RequestId id) override;
  Status submit(const Plan& plan) override;
  Status wait(Outputs& outputs) override;

 private:
  /// Calls `function` with the arguments and this backend's error buffer.
  template <typename Function, typename... Arguments>
  Status call(Function function, Arguments... arguments) {
    error_ = {};
    return library_->check(function(backend_, arguments..., &error_), error_);
  }

  std::shared_ptr<const Library> library_;
  TouchstoneBackend* backend_;
  ModelInfo info_;
  TouchstoneError error_ = {};
  std::vector<TouchstoneEntry> entries_;
  std::deque<Outputs> in_flight_;  // laid out, oldest first
  Status failed_;                  // of a call that has no error of its own
};

Status PluginBackend::read_model() {
  TouchstoneModelInfo info = {};
  info.struct_size = sizeof(info);
  RETURN_IF_ERROR(call(library_->table().model, &info));
  info_ = {.architecture = get_text(info.architecture),
           .vocab_size = info.vocab_size,
           .max_position_embeddings = info.max_position_embeddings,
           .num_layers = info.num_layers,
           .hidden_size = info.hidden_size,
           .num_heads = info.num_heads,
           .num_kv_heads = info.num_kv_heads,
           .head_dim = info.head_dim,
           .sliding_window = info.sliding_window,
           .num_parameters = info.num_parameters,
           .weight_bytes = info.weight_bytes,
           .dtype = get_text(info.dtype),
           .kernels = get_text(info.kernels),
           .device = get_text(info.device)};
  return {};
}

Result<Sizes> PluginBackend::size(const Limits& limits) {
  const TouchstoneLimits given = {.struct_size = sizeof(TouchstoneLimits),
                                  .max_num_batched_tokens = limits.max_num_batched_tokens,
                                  .max_num_seqs = limits.max_num_seqs,
                                  .max_model_len = limits.max_model_len,
                                  .block_size = limits.block_size};
  TouchstoneSizes sizes = {};
  sizes.struct_size = sizeof(sizes);
  RETURN_IF_ERROR(call(library_->table().size, &given, &sizes));
  return Sizes{.weight_bytes = sizes.weight_bytes,
               .workspace_bytes = sizes.workspace_bytes,
               .total_bytes = sizes.total_bytes,
               .free_bytes = sizes.free_bytes,
               .kv_block_bytes = sizes.kv_block_bytes};
}

Status PluginBackend::allocate_kv(int64_t num_blocks, int32_t block_size) {
  return call(library_->table().allocate_kv, num_blocks, block_size);
}

Status PluginBackend::load_adapter(int32_t slot, const AdapterSource& source) {
  const TouchstoneAdapterSource given = {.struct_size = sizeof(TouchstoneAdapterSource),
                                         .folder = source.folder.c_str(),
                                         .sha256 = source.sha256.c_str()};
  return call(library_->table().load_adapter, slot, &given);
}

Status PluginBackend::begin(RequestId id, const sampling::Params& params,
                            std::span<const int32_t> prompt) {
  std::vector<int32_t> bias_tokens;
  std::vector<float> bias_values;
  for (const auto& [token, value] : params.logit_bias) {
    bias_tokens.push_back(token);
    bias_values.push_back(value);
  }
  std::vector<int32_t> words;
  std::vector<uint64_t> lengths;
  for (const std::vector<int32_t>& word : params.bad_words) {
    words.insert(words.end(), word.begin(), word.end());
    lengths.push_back(word.size());
  }
  const TouchstoneRequest request = {
      .struct_size = sizeof(TouchstoneRequest),
      .id = id,
      .prompt = prompt.data(),
      .prompt_size = prompt.size(),
      .temperature = params.temperature,
      .top_p = params.top_p,
      .min_p = params.min_p,
      .presence_penalty = params.presence_penalty,
      .frequency_penalty = params.frequency_penalty,
      .repetition_penalty = params.repetition_penalty,
      .seed = params.seed,
      .top_k = params.top_k,
      .min_tokens = params.min_tokens,
      .masked_before_min_tokens = params.masked_before_min_tokens.data(),
      .masked_before_min_tokens_size = params.masked_before_min_tokens.size(),
      .logit_bias_tokens = bias_tokens.data(),
      .logit_bias_values = bias_values.data(),
      .logit_bias_size = bias_tokens.size(),
      .bad_words = words.data(),
      .bad_words_lengths = lengths.data(),
      .num_bad_words = lengths.size()};
  return call(library_->table().begin, &request);
}

void PluginBackend::preempted(RequestId id) {
  const Status done = call(library_->table().preempted, id);
  if (!done && failed_) failed_ = done;
}

void PluginBackend::end(RequestId id) {
  const Status done = call(library_->table().end, id);
  if (!done && failed_) failed_ = done;
}

Status PluginBackend::submit(const Plan& plan) {
  RETURN_IF_ERROR(failed_);
  entries_.clear();
  for (const Entry& entry : plan.entries) entries_.push_back(entry_of(entry));
  const TouchstonePlan given = {.struct_size = sizeof(TouchstonePlan),
                                .entries = entries_.data(),
                                .num_entries = entries_.size(),
                                .entry_size = sizeof(TouchstoneEntry)};
  RETURN_IF_ERROR(call(library_->table().submit, &given));
  in_flight_.emplace_back().lay_out(plan, info_.vocab_size);
  return {};
}

Status PluginBackend::wait(Outputs& outputs) {
  BASE_CHECK(!in_flight_.empty(), "no plan is in flight");
  outputs = std::move(in_flight_.front());
  in_flight_.pop_front();
  TouchstoneOutputs out = {.struct_size = sizeof(TouchstoneOutputs),
                           .tokens = outputs.tokens.data(),
                           .num_tokens = outputs.tokens.size(),
                           .logprob_tokens = outputs.logprobs.tokens.data(),
                           .logprobs = outputs.logprobs.logprobs.data(),
                           .logprob_ranks = outputs.logprobs.ranks.data(),
                           .num_logprobs = outputs.logprobs.tokens.size()};
  return call(library_->table().wait, &out);
}

class PluginFactory final : public BackendFactory {
 public:
  explicit PluginFactory(std::shared_ptr<const Library> library) : library_(std::move(library)) {}

  std::string name() const override { return library_->table().name; }
  Status probe() const override {
    TouchstoneError error = {};
    return library_->check(library_->table().probe(library_->table().context, &error), error);
  }
  Result<Capabilities> capabilities() const override;
  Result<std::unique_ptr<Backend>> create(const std::string& model,
                                          const BackendOptions& options) const override;

 private:
  std::shared_ptr<const Library> library_;
};

Result<Capabilities> PluginFactory::capabilities() const {
  TouchstoneError error = {};
  TouchstoneCapabilities known = {};
  known.struct_size = sizeof(known);
  RETURN_IF_ERROR(library_->check(
      library_->table().capabilities(library_->table().context, &known, &error), error));
  return Capabilities{.dtypes = split(get_text(known.dtypes), ','),
                      .default_block_size = known.default_block_size,
                      .block_size_multiple = known.block_size_multiple,
                      .max_block_size = known.max_block_size,
                      .default_max_num_seqs = known.default_max_num_seqs,
                      .default_max_num_batched_tokens = known.default_max_num_batched_tokens,
                      .default_kv_cache_bytes = known.default_kv_cache_bytes,
                      .default_kv_percent = known.default_kv_percent,
                      .max_plans_in_flight = known.max_plans_in_flight,
                      .max_adapters = known.max_adapters,
                      .settings = split(get_text(known.settings), ',')};
}

Result<std::unique_ptr<Backend>> PluginFactory::create(const std::string& model,
                                                       const BackendOptions& options) const {
  std::vector<TouchstoneSetting> settings;
  for (const auto& [name, value] : options.settings) {
    settings.push_back({name.c_str(), value.c_str()});
  }
  const TouchstoneCreateOptions given = {.struct_size = sizeof(TouchstoneCreateOptions),
                                         .model = model.c_str(),
                                         .dtype = options.dtype.c_str(),
                                         .load_format = options.load_format.c_str(),
                                         .seed = options.seed,
                                         .settings = settings.data(),
                                         .num_settings = settings.size(),
                                         .adapter_slots = options.adapter_slots,
                                         .max_adapter_rank = options.max_adapter_rank};
  TouchstoneError error = {};
  TouchstoneBackend* made = nullptr;
  RETURN_IF_ERROR(library_->check(
      library_->table().create(library_->table().context, &given, &made, &error), error));
  if (made == nullptr) return unavailable(name() + ": create: got success without a backend");
  auto backend = std::make_unique<PluginBackend>(library_, made);
  RETURN_IF_ERROR(backend->read_model());
  return std::unique_ptr<Backend>(std::move(backend));
}

}  // namespace

Result<std::unique_ptr<BackendFactory>> load_plugin(const std::string& path) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) {
    return not_found(path + ": no such backend plugin");
  }
  // With a slash, or the loader would look through its own folders.
  const std::string place = std::filesystem::absolute(path, ignored).string();
  void* handle = ::dlopen(place.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    const char* reason = ::dlerror();
    return unavailable(path + ": cannot be loaded: " + (reason != nullptr ? reason : "no reason"));
  }
  auto library = std::make_shared<Library>(path, handle);
  RETURN_IF_ERROR(library->find_table());
  return std::unique_ptr<BackendFactory>(std::make_unique<PluginFactory>(std::move(library)));
}

}  // namespace touchstone::backend
