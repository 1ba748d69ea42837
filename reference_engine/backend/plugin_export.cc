#include "reference_engine/backend/plugin_export.h"

#include <algorithm>
#include <exception>
#include <memory>
#include <string>
#include <vector>

#include "base/text.h"
#include "reference_engine/backend/plugin_text.h"

struct TouchstoneBackend {
  std::unique_ptr<touchstone::backend::Backend> backend;
  // Used again from step to step.
  std::vector<touchstone::backend::Entry> entries;
  touchstone::backend::Outputs outputs;
};

namespace touchstone::backend {
namespace {

const BackendFactory& factory_of(void* context) {
  return *static_cast<const BackendFactory*>(context);
}

/// Runs `body`, which gives a Status; no exception of a library gets past here.
template <typename Body>
int32_t guarded(TouchstoneError* error, const Body& body) {
  try {
    const Status status = body();
    return status ? TOUCHSTONE_OK : put_error(status.error(), error);
  } catch (const std::exception& thrown) {
    return put_error(unavailable(std::string("backend: ") + thrown.what()), error);
  }
}

/// A struct of the caller must have all the fields that this side reads or writes.
Status check_size(const char* name, uint64_t got, uint64_t expected) {
  if (got >= expected) return {};
  return Error{ErrorCode::kUnsupported,
               std::string(name) + ": got a struct of " + std::to_string(got) +
                   " bytes, expected at least " + std::to_string(expected),
               "program and plugin are of different builds"};
}

template <typename T>
std::span<const T> span_of(const T* data, uint64_t size) {
  return {data, static_cast<size_t>(size)};
}

int32_t probe(void* context, TouchstoneError* error) {
  return guarded(error, [&] { return factory_of(context).probe(); });
}

int32_t capabilities(void* context, TouchstoneCapabilities* out, TouchstoneError* error) {
  return guarded(error, [&]() -> Status {
    RETURN_IF_ERROR(check_size("TouchstoneCapabilities", out->struct_size, sizeof(*out)));
    const auto known = factory_of(context).capabilities();
    if (!known) return known.error();
    put_text(out->dtypes, join(known->dtypes, ","));
    put_text(out->settings, join(known->settings, ","));
    out->default_block_size = known->default_block_size;
    out->block_size_multiple = known->block_size_multiple;
    out->max_block_size = known->max_block_size;
    out->default_max_num_seqs = known->default_max_num_seqs;
    out->default_max_num_batched_tokens = known->default_max_num_batched_tokens;
    out->max_plans_in_flight = known->max_plans_in_flight;
    out->max_adapters = known->max_adapters;
    out->default_kv_cache_bytes = known->default_kv_cache_bytes;
    out->default_kv_percent = known->default_kv_percent;
    return {};
  });
}

int32_t create(void* context, const TouchstoneCreateOptions* options, TouchstoneBackend** out,
               TouchstoneError* error) {
  return guarded(error, [&]() -> Status {
    RETURN_IF_ERROR(check_size("TouchstoneCreateOptions", options->struct_size, sizeof(*options)));
    BackendOptions own{.dtype = options->dtype,
                       .load_format = options->load_format,
                       .seed = options->seed,
                       .adapter_slots = options->adapter_slots,
                       .max_adapter_rank = options->max_adapter_rank};
    for (const auto& setting : span_of(options->settings, options->num_settings)) {
      own.settings[setting.name] = setting.value;
    }
    auto backend = factory_of(context).create(options->model, own);
    if (!backend) return std::move(backend).error();
    auto made = std::make_unique<TouchstoneBackend>();
    made->backend = *std::move(backend);
    *out = made.release();
    return {};
  });
}

void destroy(TouchstoneBackend* backend) { const std::unique_ptr<TouchstoneBackend> end(backend); }

int32_t model(TouchstoneBackend* backend, TouchstoneModelInfo* out, TouchstoneError* error) {
  return guarded(error, [&]() -> Status {
    RETURN_IF_ERROR(check_size("TouchstoneModelInfo", out->struct_size, sizeof(*out)));
    const ModelInfo& info = backend->backend->model();
    put_text(out->architecture, info.architecture);
    put_text(out->dtype, info.dtype);
    put_text(out->kernels, info.kernels);
    put_text(out->device, info.device);
    out->vocab_size = info.vocab_size;
    out->max_position_embeddings = info.max_position_embeddings;
    out->num_layers = info.num_layers;
    out->hidden_size = info.hidden_size;
    out->num_heads = info.num_heads;
    out->num_kv_heads = info.num_kv_heads;
    out->head_dim = info.head_dim;
    out->sliding_window = info.sliding_window;
    out->num_parameters = info.num_parameters;
    out->weight_bytes = info.weight_bytes;
    return {};
  });
}

int32_t size(TouchstoneBackend* backend, const TouchstoneLimits* limits, TouchstoneSizes* out,
             TouchstoneError* error) {
  return guarded(error, [&]() -> Status {
    RETURN_IF_ERROR(check_size("TouchstoneLimits", limits->struct_size, sizeof(*limits)));
    RETURN_IF_ERROR(check_size("TouchstoneSizes", out->struct_size, sizeof(*out)));
    const auto sizes =
        backend->backend->size({.max_num_batched_tokens = limits->max_num_batched_tokens,
                                .max_num_seqs = limits->max_num_seqs,
                                .max_model_len = limits->max_model_len,
                                .block_size = limits->block_size});
    if (!sizes) return sizes.error();
    out->weight_bytes = sizes->weight_bytes;
    out->workspace_bytes = sizes->workspace_bytes;
    out->total_bytes = sizes->total_bytes;
    out->free_bytes = sizes->free_bytes;
    out->kv_block_bytes = sizes->kv_block_bytes;
    return {};
  });
}

int32_t allocate_kv(TouchstoneBackend* backend, int64_t num_blocks, int32_t block_size,
                    TouchstoneError* error) {
  return guarded(error, [&] { return backend->backend->allocate_kv(num_blocks, block_size); });
}

int32_t load_adapter(TouchstoneBackend* backend, int32_t slot,
                     const TouchstoneAdapterSource* source, TouchstoneError* error) {
  return guarded(error, [&]() -> Status {
    RETURN_IF_ERROR(check_size("TouchstoneAdapterSource", source->struct_size, sizeof(*source)));
    return backend->backend->load_adapter(slot,
                                          {.folder = source->folder, .sha256 = source->sha256});
  });
}

sampling::Params params_of(const TouchstoneRequest& request) {
  sampling::Params params;
  params.temperature = request.temperature;
  params.top_p = request.top_p;
  params.top_k = request.top_k;
  params.min_p = request.min_p;
  params.presence_penalty = request.presence_penalty;
  params.frequency_penalty = request.frequency_penalty;
  params.repetition_penalty = request.repetition_penalty;
  params.seed = request.seed;
  params.min_tokens = request.min_tokens;
  const auto masked =
      span_of(request.masked_before_min_tokens, request.masked_before_min_tokens_size);
  params.masked_before_min_tokens.assign(masked.begin(), masked.end());
  for (uint64_t i = 0; i < request.logit_bias_size; ++i) {
    params.logit_bias.emplace_back(request.logit_bias_tokens[i], request.logit_bias_values[i]);
  }
  const int32_t* word = request.bad_words;
  for (const uint64_t length : span_of(request.bad_words_lengths, request.num_bad_words)) {
    params.bad_words.emplace_back(word, word + length);
    word += length;
  }
  return params;
}

int32_t begin(TouchstoneBackend* backend, const TouchstoneRequest* request,
              TouchstoneError* error) {
  return guarded(error, [&]() -> Status {
    RETURN_IF_ERROR(check_size("TouchstoneRequest", request->struct_size, sizeof(*request)));
    return backend->backend->begin(request->id, params_of(*request),
                                   span_of(request->prompt, request->prompt_size));
  });
}

int32_t preempted(TouchstoneBackend* backend, uint64_t id, TouchstoneError* error) {
  return guarded(error, [&] {
    backend->backend->preempted(id);
    return Status();
  });
}

int32_t end(TouchstoneBackend* backend, uint64_t id, TouchstoneError* error) {
  return guarded(error, [&] {
    backend->backend->end(id);
    return Status();
  });
}

Entry entry_of(const TouchstoneEntry& entry) {
  Entry own{.request_id = entry.request_id,
            .tokens = span_of(entry.tokens, entry.num_tokens),
            .first_position = entry.first_position,
            .block_table = span_of(entry.block_table, entry.num_blocks),
            .sample = entry.sample != 0,
            .token_bitmask = span_of(entry.token_bitmask, entry.num_bitmask_words),
            .num_prompt_rows = entry.num_prompt_rows,
            .prompt_logprobs = entry.prompt_logprobs};
  if (entry.adapter_slot >= 0) own.adapter_slot = entry.adapter_slot;
  if (entry.logprobs >= 0) own.logprobs = entry.logprobs;
  return own;
}

int32_t submit(TouchstoneBackend* backend, const TouchstonePlan* plan, TouchstoneError* error) {
  return guarded(error, [&]() -> Status {
    RETURN_IF_ERROR(check_size("TouchstonePlan", plan->struct_size, sizeof(*plan)));
    if (plan->entry_size != sizeof(TouchstoneEntry)) {
      return check_size("TouchstoneEntry", 0, sizeof(TouchstoneEntry));
    }
    backend->entries.clear();
    for (const TouchstoneEntry& entry : span_of(plan->entries, plan->num_entries)) {
      backend->entries.push_back(entry_of(entry));
    }
    return backend->backend->submit({backend->entries});
  });
}

int32_t wait(TouchstoneBackend* backend, TouchstoneOutputs* out, TouchstoneError* error) {
  return guarded(error, [&]() -> Status {
    RETURN_IF_ERROR(check_size("TouchstoneOutputs", out->struct_size, sizeof(*out)));
    Outputs& outputs = backend->outputs;
    RETURN_IF_ERROR(backend->backend->wait(outputs));
    const sampling::FlatLogprobs& flat = outputs.logprobs;
    if (out->num_tokens != outputs.tokens.size() || out->num_logprobs != flat.tokens.size()) {
      return unavailable("TouchstoneOutputs: got room for " + std::to_string(out->num_tokens) +
                         " tokens and " + std::to_string(out->num_logprobs) +
                         " log-probabilities, expected " + std::to_string(outputs.tokens.size()) +
                         " and " + std::to_string(flat.tokens.size()));
    }
    std::copy(outputs.tokens.begin(), outputs.tokens.end(), out->tokens);
    std::copy(flat.tokens.begin(), flat.tokens.end(), out->logprob_tokens);
    std::copy(flat.logprobs.begin(), flat.logprobs.end(), out->logprobs);
    std::copy(flat.ranks.begin(), flat.ranks.end(), out->logprob_ranks);
    return {};
  });
}

}  // namespace

TouchstonePlugin export_plugin(const BackendFactory& factory, const char* name) {
  TouchstonePlugin table = {};
  table.abi_version = TOUCHSTONE_BACKEND_ABI_VERSION;
  table.struct_size = sizeof(TouchstonePlugin);
  table.name = name;
  table.context = const_cast<BackendFactory*>(&factory);  // only ever read as const
  table.probe = probe;
  table.capabilities = capabilities;
  table.create = create;
  table.destroy = destroy;
  table.model = model;
  table.size = size;
  table.allocate_kv = allocate_kv;
  table.load_adapter = load_adapter;
  table.begin = begin;
  table.preempted = preempted;
  table.end = end;
  table.submit = submit;
  table.wait = wait;
  return table;
}

}  // namespace touchstone::backend
