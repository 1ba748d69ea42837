// The C table behind which a backend lives in a shared object. Plain C; nothing of C++ crosses it.
//
// A plugin exports one function, touchstone_backend_plugin(), which gives its table. The program
// calls it once and checks `abi_version` and `struct_size` before anything else. What a function
// means is written at its counterpart in backend.h and registry.h; here is only how it crosses:
//
//  - Every function returns a TouchstoneCode. Other than TOUCHSTONE_OK, it has written text for
//    people into the caller's error buffer.
//  - What a function reads is borrowed for the call. What it writes goes into memory of the caller,
//    who says how much there is; nothing is allocated on one side and freed on the other.
//  - Structs begin with their size in bytes, set by the caller: a plugin that was built with a
//    larger struct refuses a smaller one. Text in structs ends with a zero byte.
//  - One thread calls the functions of one backend. No exception leaves a function.
#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Raised by every change that an older plugin or program would misread. */
#define TOUCHSTONE_BACKEND_ABI_VERSION 4u
#define TOUCHSTONE_BACKEND_PLUGIN_SYMBOL "touchstone_backend_plugin"

typedef enum TouchstoneCode {
  TOUCHSTONE_OK = 0,
  TOUCHSTONE_INVALID_ARGUMENT = 1,
  TOUCHSTONE_MALFORMED = 2,
  TOUCHSTONE_NOT_FOUND = 3,
  TOUCHSTONE_IO = 4,
  TOUCHSTONE_UNAVAILABLE = 5,
  TOUCHSTONE_UNSUPPORTED = 6
} TouchstoneCode;

/* Texts that do not fit are cut; both always end with a zero byte. */
typedef struct TouchstoneError {
  char message[1024];
  char hint[512];
} TouchstoneError;

typedef struct TouchstoneCapabilities {
  uint64_t struct_size;
  char dtypes[128];   /* "float32,bfloat16" */
  char settings[256]; /* "kernels,threads" */
  int32_t default_block_size;
  int32_t block_size_multiple;
  int32_t max_block_size;
  int32_t default_max_num_seqs;
  int32_t default_max_num_batched_tokens;
  int32_t max_plans_in_flight;
  int32_t max_adapters;
  int32_t default_kv_percent;
  int64_t default_kv_cache_bytes;
} TouchstoneCapabilities;

typedef struct TouchstoneSetting {
  const char* name;
  const char* value;
} TouchstoneSetting;

typedef struct TouchstoneCreateOptions {
  uint64_t struct_size;
  const char* model; /* folder */
  const char* dtype;
  const char* load_format;
  uint64_t seed;
  const TouchstoneSetting* settings;
  uint64_t num_settings;
  int32_t adapter_slots; /* 0: no adapters */
  int32_t max_adapter_rank;
} TouchstoneCreateOptions;

typedef struct TouchstoneAdapterSource {
  uint64_t struct_size;
  const char* folder;
  const char* sha256; /* of its files, hex */
} TouchstoneAdapterSource;

typedef struct TouchstoneModelInfo {
  uint64_t struct_size;
  char architecture[128];
  char dtype[32];
  char kernels[64];
  char device[512];
  int32_t vocab_size;
  int32_t max_position_embeddings;
  int32_t num_layers;
  int32_t hidden_size;
  int32_t num_heads;
  int32_t num_kv_heads;
  int32_t head_dim;
  int32_t sliding_window; /* 0: none */
  int64_t num_parameters;
  int64_t weight_bytes;
} TouchstoneModelInfo;

typedef struct TouchstoneLimits {
  uint64_t struct_size;
  int32_t max_num_batched_tokens;
  int32_t max_num_seqs;
  int32_t max_model_len;
  int32_t block_size;
} TouchstoneLimits;

typedef struct TouchstoneSizes {
  uint64_t struct_size;
  int64_t weight_bytes;
  int64_t workspace_bytes;
  int64_t total_bytes;
  int64_t free_bytes;
  int64_t kv_block_bytes;
} TouchstoneSizes;

typedef struct TouchstoneRequest {
  uint64_t struct_size;
  uint64_t id;
  const int32_t* prompt;
  uint64_t prompt_size;
  double temperature;
  double top_p;
  double min_p;
  double presence_penalty;
  double frequency_penalty;
  double repetition_penalty;
  uint64_t seed;
  int32_t top_k;
  int32_t min_tokens;
  const int32_t* masked_before_min_tokens;
  uint64_t masked_before_min_tokens_size;
  const int32_t* logit_bias_tokens; /* and as many values */
  const float* logit_bias_values;
  uint64_t logit_bias_size;
  const int32_t* bad_words;          /* tokens of all words, one after the other */
  const uint64_t* bad_words_lengths; /* tokens of each word */
  uint64_t num_bad_words;
} TouchstoneRequest;

typedef struct TouchstoneEntry {
  uint64_t request_id;
  const int32_t* tokens; /* the last may be -1: the token in flight */
  uint64_t num_tokens;
  const int32_t* block_table;
  uint64_t num_blocks;
  const int32_t* token_bitmask;
  uint64_t num_bitmask_words; /* 0: every token is allowed */
  int32_t first_position;
  int32_t adapter_slot; /* -1: the base model */
  int32_t sample;       /* 0 or 1 */
  int32_t logprobs;     /* -1: none */
  int32_t num_prompt_rows;
  int32_t prompt_logprobs;
} TouchstoneEntry;

typedef struct TouchstonePlan {
  uint64_t struct_size;
  const TouchstoneEntry* entries;
  uint64_t num_entries;
  uint64_t entry_size; /* sizeof(TouchstoneEntry) of the caller */
} TouchstonePlan;

/* Sizes follow from the plan: a token for each entry, and rows of log-probabilities one after the
 * other: for each entry its num_prompt_rows rows of 1 + min(prompt_logprobs, vocab) elements, then,
 * if it samples and logprobs >= 0, one row of 1 + min(logprobs, vocab). */
typedef struct TouchstoneOutputs {
  uint64_t struct_size;
  int32_t* tokens;
  uint64_t num_tokens;
  int32_t* logprob_tokens;
  float* logprobs;
  int32_t* logprob_ranks;
  uint64_t num_logprobs;
} TouchstoneOutputs;

typedef struct TouchstoneBackend TouchstoneBackend; /* the plugin's own */

typedef struct TouchstonePlugin {
  uint32_t abi_version;
  uint32_t struct_size;
  const char* name;
  void* context; /* handed to the next three */
  int32_t (*probe)(void* context, TouchstoneError* error);
  int32_t (*capabilities)(void* context, TouchstoneCapabilities* out, TouchstoneError* error);
  int32_t (*create)(void* context, const TouchstoneCreateOptions* options, TouchstoneBackend** out,
                    TouchstoneError* error);
  void (*destroy)(TouchstoneBackend* backend);
  int32_t (*model)(TouchstoneBackend* backend, TouchstoneModelInfo* out, TouchstoneError* error);
  int32_t (*size)(TouchstoneBackend* backend, const TouchstoneLimits* limits, TouchstoneSizes* out,
                  TouchstoneError* error);
  int32_t (*allocate_kv)(TouchstoneBackend* backend, int64_t num_blocks, int32_t block_size,
                         TouchstoneError* error);
  int32_t (*load_adapter)(TouchstoneBackend* backend, int32_t slot,
                          const TouchstoneAdapterSource* source, TouchstoneError* error);
  int32_t (*begin)(TouchstoneBackend* backend, const TouchstoneRequest* request,
                   TouchstoneError* error);
  int32_t (*preempted)(TouchstoneBackend* backend, uint64_t id, TouchstoneError* error);
  int32_t (*end)(TouchstoneBackend* backend, uint64_t id, TouchstoneError* error);
  int32_t (*submit)(TouchstoneBackend* backend, const TouchstonePlan* plan, TouchstoneError* error);
  int32_t (*wait)(TouchstoneBackend* backend, TouchstoneOutputs* out, TouchstoneError* error);
} TouchstonePlugin;

/* What a plugin exports. The table lives as long as the shared object is loaded. */
typedef const TouchstonePlugin* (*TouchstonePluginFunction)(void);

#ifdef __cplusplus
}
#endif
