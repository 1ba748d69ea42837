// What runs on the device, as plain C++ functions: each puts one or more kernels on a stream and
// returns. A launch that fails leaves its error to cudaGetLastError(), which the caller asks once a
// plan. The sources (kernels/*.cu) compile with nvcc, and a second time as plain C++ against the
// emulator of tests/cuda_emulator/. nvcc takes -std=c++20 -fmad=false --expt-relaxed-constexpr: an
// operation is fused where the source says so, here as there.
//
// Batch invariance (INV-5): every output is one reduction in an order that depends on nothing but
// the widths of its own row and, in attention, on absolute positions. So no bit changes with the
// other rows of a call, with how a prompt was cut, or with which of two functions computed it where
// two may (attend_prefill and attend_decode; matmul() for any number of rows).
//
// Conventions. Pointers are to device memory, aligned to 16 bytes unless said otherwise, and not
// null unless said otherwise. `T` is Element of the call: activations, weights, keys and values
// have one element type; sums and functions are f32, rounded to T where an array of T is written.
// Strides count elements. Rows of matrices have strides that are multiples of 8 elements where a
// field says `stride (x8)`. Thread-compatible.
#pragma once

#include <cstdint>

namespace touchstone::backend::cuda {

/// A cudaStream_t; null is the default stream.
using Stream = void*;

enum class Element : int32_t { kFloat32 = 0, kBFloat16 = 1, kFloat16 = 2 };

constexpr int64_t element_bytes(Element element) { return element == Element::kFloat32 ? 4 : 2; }

// ---- rows.cu: embedding, norms, biases, activations, gathers ----

/// out[r] = table[token] (+ positions_table[position + position_offset], rounded once more).
struct Embed {
  Element element = Element::kFloat32;
  int64_t rows = 0;
  int64_t width = 0;
  /// (rows): >= 0 a token; -1 - s: `latest[s]`, what was last sampled into slot s.
  const int32_t* tokens = nullptr;
  const int32_t* latest = nullptr;       ///< may be null when no token is negative
  const void* table = nullptr;           ///< T (vocab, width)
  const void* position_table = nullptr;  ///< T (positions, width); null: none
  const int32_t* positions = nullptr;    ///< (rows); may be null without a position table
  int32_t position_offset = 0;
  void* out = nullptr;  ///< T (rows, out_stride)
  int64_t out_stride = 0;
};
void embed(const Embed& args, Stream stream);

enum class Norm : int32_t {
  kRms,   ///< x / rms(x) * weight
  kLayer  ///< (x - mean) / deviation * weight + bias
};

/// sum = residual + added; residual = sum rounded to T; out = norm of the sum before it is rounded.
struct AddNorm {
  Element element = Element::kFloat32;
  Norm norm = Norm::kRms;
  int64_t rows = 0;
  int64_t width = 0;
  void* residual = nullptr;      ///< T (rows, stride)
  const void* added = nullptr;   ///< T (rows, stride); null: nothing is added, residual stays
  const void* weight = nullptr;  ///< T (width)
  const void* bias = nullptr;    ///< T (width); null: none
  float eps = 0;
  void* out = nullptr;  ///< T (rows, stride); may not be `residual`
  int64_t stride = 0;
};
void add_norm(const AddNorm& args, Stream stream);

/// out = in + bias, rounded once.
struct AddBias {
  Element element = Element::kFloat32;
  int64_t rows = 0;
  int64_t columns = 0;
  const float* in = nullptr;  ///< (rows, in_stride) f32: sums that were not rounded yet
  int64_t in_stride = 0;
  const void* bias = nullptr;  ///< T (columns)
  void* out = nullptr;         ///< T (rows, out_stride)
  int64_t out_stride = 0;
};
void add_bias(const AddBias& args, Stream stream);

enum class Activation : int32_t {
  kSilu,     ///< x / (1 + e^-x)
  kRelu,     ///< max(x, 0)
  kGelu,     ///< x * Phi(x)
  kGeluTanh  ///< its approximation by tanh
};

/// out = f(gate), or f(gate) rounded * up.
struct Activate {
  Element element = Element::kFloat32;
  Activation activation = Activation::kSilu;
  int64_t rows = 0;
  int64_t width = 0;
  const void* gate = nullptr;  ///< T (rows, in_stride)
  const void* up = nullptr;    ///< T (rows, in_stride); null: not gated
  int64_t in_stride = 0;
  void* out = nullptr;  ///< T (rows, out_stride); may be `gate`
  int64_t out_stride = 0;
};
void activate(const Activate& args, Stream stream);

/// out[r] = in[indices[r]].
struct GatherRows {
  Element element = Element::kFloat32;
  int64_t rows = 0;
  int64_t width = 0;
  const int32_t* indices = nullptr;  ///< (rows)
  const void* in = nullptr;          ///< T (…, in_stride)
  int64_t in_stride = 0;
  void* out = nullptr;  ///< T (rows, out_stride)
  int64_t out_stride = 0;
};
void gather_rows(const GatherRows& args, Stream stream);

// ---- heads.cu, attention.cu: keys and values in pages ----

inline constexpr int32_t kMaxHeadDim = 128;

/// Elements of one head's key or value in the cache: head_dim, up to a multiple of 16, zeros behind
/// head_dim.
constexpr int32_t cached_head_dim(int32_t head_dim) { return (head_dim + 15) / 16 * 16; }

/// One layer's keys and values. Element d of head h at slot s of block b lies at
/// b * block_stride + (h * block_size + s) * cached_head_dim(head_dim) + d, for keys and values.
struct KvPages {
  void* keys = nullptr;      ///< T, of the layer's block 0
  void* values = nullptr;    ///< T, of the layer's block 0
  int64_t block_stride = 0;  ///< elements from one block to the next (x8)
  int32_t block_size = 0;    ///< tokens; a multiple of 16
};

/// Queries: normed, rotated (as far as asked for), in place. Keys: the same, then cached. Values:
/// cached. Rounded to T after the norm and after the rotation.
struct StoreHeads {
  Element element = Element::kFloat32;
  int64_t rows = 0;
  int32_t num_heads = 0;
  int32_t num_kv_heads = 0;
  int32_t head_dim = 0;  ///< even, at most kMaxHeadDim
  /// T (rows, stride): heads side by side from the named columns on.
  void* qkv = nullptr;
  int64_t stride = 0;
  int64_t k_column = 0;
  int64_t v_column = 0;
  const void* q_norm = nullptr;  ///< T (head_dim): RMS norm of each head; null: none
  const void* k_norm = nullptr;
  float eps = 0;
  /// (positions, head_dim / 2) f32, rounded to T by whoever made them; null: no rotation. Pairs are
  /// (i, i + head_dim / 2).
  const float* cosines = nullptr;
  const float* sines = nullptr;
  const int32_t* positions = nullptr;  ///< (rows); may be null without rotation
  /// (rows): block * block_size + slot; negative: the row is padding, nothing is cached.
  const int64_t* slots = nullptr;
  KvPages pages = {};
};
void store_heads(const StoreHeads& args, Stream stream);

/// Attention of consecutive query rows to the pages of their sequences. The order of every sum:
/// splits of kAttendSplit absolute positions, in each of them tiles of kAttendTile with the online
/// softmax, then the splits merged in order.
inline constexpr int32_t kAttendSplit = 128;
inline constexpr int32_t kAttendTile = 32;

struct Attend {
  Element element = Element::kFloat32;
  int32_t num_sequences = 0;
  int32_t num_heads = 0;
  int32_t num_kv_heads = 0;       ///< divides num_heads
  int32_t head_dim = 0;           ///< at most kMaxHeadDim
  const void* queries = nullptr;  ///< T (rows, query_stride): head h at column h * head_dim
  int64_t query_stride = 0;
  void* out = nullptr;  ///< T (rows, out_stride): likewise
  int64_t out_stride = 0;
  /// (num_sequences + 1): sequence s has rows [row_starts[s], row_starts[s + 1]), its last ones.
  const int32_t* row_starts = nullptr;
  /// (num_sequences): positions in the cache, the rows' own included; 0: padding, whose rows are
  /// written with zeros. Row i of n has position lengths[s] - n + i and sees none after it.
  const int32_t* lengths = nullptr;
  const int32_t* block_tables = nullptr;  ///< (num_sequences, table_stride), 4-byte aligned
  int64_t table_stride = 0;
  int32_t window = 0;  ///< positions that a query sees, itself included; 0: all
  float scale = 0;
  KvPages pages = {};
  int32_t max_rows = 0;    ///< the most rows of one sequence
  int32_t max_length = 0;  ///< no length is larger; the grid of attend_decode() follows from it
};
/// Any number of rows a sequence.
void attend_prefill(const Attend& args, Stream stream);
/// REQUIRES: one row a sequence (row_starts[s] == row_starts[0] + s). `workspace`:
/// attend_workspace_bytes() of device memory. The same bits as attend_prefill().
void attend_decode(const Attend& args, void* workspace, Stream stream);
int64_t attend_workspace_bytes(int32_t num_sequences, int32_t num_heads, int32_t head_dim,
                               int32_t max_length);

// ---- sampling.cu, logprobs.cu: from logits to tokens ----

/// One row of logits and how to sample from it: sampling::Params as the device needs them. Indices
/// into arrays of SampleLogits; -1: none.
struct SampleRow {
  double temperature = 1.0;
  double top_p = 1.0;
  double min_p = 0.0;
  uint64_t seed = 0;
  int32_t position = 0;  ///< tokens sampled before: counter of the draw, and length of the output
  int32_t top_k = 0;
  float presence_penalty = 0;
  float frequency_penalty = 0;
  float repetition_penalty = 1;
  int32_t logits_row = 0;
  int32_t slot = -1;        ///< row of `latest` and `outputs`
  int32_t counts_row = -1;  ///< row of `counts`; without one no penalty applies
  int32_t bitmask_row = -1;
  int32_t first_bias = 0;  ///< [first_bias, first_bias + num_biases) of bias_tokens, bias_values
  int32_t num_biases = 0;
  int32_t first_masked = 0;  ///< [first_masked, … + num_masked) of masked_tokens: never sampled
  int32_t num_masked = 0;
  /// Words first_word … of word_starts: word w is word_tokens[word_starts[w] … word_starts[w + 1]).
  int32_t first_word = 0;
  int32_t num_words = 0;
};

struct SampleLogits {
  Element element = Element::kFloat32;  ///< of the logits
  int32_t num_rows = 0;
  int32_t vocab_size = 0;
  const SampleRow* rows = nullptr;  ///< (num_rows), on the device
  const void* logits = nullptr;     ///< T (…, logits_stride)
  int64_t logits_stride = 0;
  const int32_t* bitmasks = nullptr;  ///< (…, bitmask_stride): sampling/sampler.h has the layout
  int64_t bitmask_stride = 0;
  const int32_t* bias_tokens = nullptr;
  const float* bias_values = nullptr;
  const int32_t* masked_tokens = nullptr;
  const int32_t* word_starts = nullptr;
  const int32_t* word_tokens = nullptr;
  /// (…, vocab_size): how often a token was said; negative: in the prompt only. The sampled one is
  /// counted.
  int32_t* counts = nullptr;
  int32_t* latest = nullptr;   ///< (slots): the sampled token is stored
  int32_t* outputs = nullptr;  ///< (slots, outputs_stride): and stored at the row's position
  int64_t outputs_stride = 0;
  int32_t* tokens = nullptr;  ///< (num_rows): what was sampled
};
/// The token that sampling::sample() (after apply_token_bitmask()) yields for the same logits.
/// `workspace`: sample_workspace_bytes() of device memory.
void sample(const SampleLogits& args, void* workspace, Stream stream);
int64_t sample_workspace_bytes(int32_t num_rows, int32_t vocab_size);

/// One row of SampleLogits::counts for a new request. Tokens outside of the vocabulary do not
/// count.
void count_prompt(int32_t* counts, int32_t vocab_size, const int32_t* prompt, int32_t length,
                  Stream stream);

/// One row of log-probabilities: layout and order as sampling::write_logprobs().
struct LogprobsRow {
  int32_t logits_row = 0;
  int32_t token = 0;         ///< >= 0: a token; -1 - r: `sampled[r]`
  int32_t bitmask_row = -1;  ///< applied first, as in sample()
  int32_t top = 0;           ///< most likely ones after the token's own; at most vocab_size
  int64_t first = 0;         ///< element of the output arrays where 1 + top elements go
};
struct Logprobs {
  Element element = Element::kFloat32;
  int32_t num_rows = 0;
  int32_t vocab_size = 0;
  const LogprobsRow* rows = nullptr;  ///< (num_rows), on the device
  const void* logits = nullptr;       ///< T (…, logits_stride)
  int64_t logits_stride = 0;
  const int32_t* bitmasks = nullptr;
  int64_t bitmask_stride = 0;
  const int32_t* sampled = nullptr;
  int32_t* tokens = nullptr;
  float* logprobs = nullptr;
  int32_t* ranks = nullptr;
};
void logprobs(const Logprobs& args, Stream stream);

// ---- matmul.cu: the project's own GEMM ----

/// out = in · weightᵀ (+ bias), rounded once. Every output is one sum over K in slices of
/// kMatmulSlice, each of them in order from zero, the slices added in order: the same bits for any
/// number of rows, whichever of its kernels runs.
inline constexpr int32_t kMatmulSlice = 512;
struct Matmul {
  Element element = Element::kFloat32;
  int64_t rows = 0;
  int64_t columns = 0;       ///< output features
  int64_t k = 0;             ///< input features
  const void* in = nullptr;  ///< T (rows, in_stride (x8))
  int64_t in_stride = 0;
  const void* weight = nullptr;  ///< T (columns, weight_stride (x8))
  int64_t weight_stride = 0;
  const void* bias = nullptr;  ///< T (columns); null: none
  void* out = nullptr;         ///< T (rows, out_stride)
  int64_t out_stride = 0;
};
void matmul(const Matmul& args, Stream stream);

// ---- lora.cu: adapters ----

/// out[r] += scale[a] * B[a] · (A[a] · in[r]) for rows with an adapter a >= 0, the inner product
/// kept in f32, out rounded once.
struct ApplyLora {
  Element element = Element::kFloat32;
  int64_t rows = 0;
  int64_t columns = 0;
  int64_t k = 0;
  int32_t max_rank = 0;               ///< rows of A and columns of B of each slot, zeros behind
  const int32_t* adapters = nullptr;  ///< (rows): slot, or -1
  const float* scales = nullptr;      ///< (slots)
  const void* a = nullptr;            ///< T (slots, max_rank, k)
  const void* b = nullptr;            ///< T (slots, columns, max_rank)
  const void* in = nullptr;           ///< T (rows, in_stride)
  int64_t in_stride = 0;
  void* out = nullptr;  ///< T (rows, out_stride)
  int64_t out_stride = 0;
};
/// `workspace`: f32 (rows, max_rank).
void apply_lora(const ApplyLora& args, float* workspace, Stream stream);

}  // namespace touchstone::backend::cuda
