// From logits to tokens, a block a row: sampling/sampler.cc on the device.
#include "reference_engine/backend/cuda/kernels.h"
#include "reference_engine/backend/cuda/kernels/device.h"
#include "reference_engine/backend/cuda/kernels/dispatch.h"
#include "reference_engine/backend/cuda/kernels/likelihood.h"
#include "reference_engine/backend/cuda/kernels/reduce.h"

namespace touchstone::backend::cuda {
namespace {

constexpr double kGreedyTemperature = 1e-5;
constexpr double kWeightGrid = 0x1p17;
constexpr double kSmallestDouble = 0x1p-1074;

/// One row's part of the workspace.
struct Working {
  float* logits;    // (vocab), biased and penalised
  double* weights;  // (vocab)
};

TOUCHSTONE_DEVICE bool in_vocabulary(int32_t token, int32_t vocab) {
  return token >= 0 && token < vocab;
}

TOUCHSTONE_DEVICE bool allowed(const int32_t* bitmask, int32_t token) {
  return bitmask == nullptr ||
         (static_cast<uint32_t>(load(bitmask + token / 32)) >> (token % 32) & 1U) != 0;
}

template <typename T>
TOUCHSTONE_DEVICE void copy_logits(const SampleLogits& args, const SampleRow& row, float* out) {
  const T* logits = static_cast<const T*>(args.logits) + row.logits_row * args.logits_stride;
  const int32_t* bitmask =
      row.bitmask_row < 0 ? nullptr : args.bitmasks + row.bitmask_row * args.bitmask_stride;
  for (int32_t i = thread_index(); i < args.vocab_size; i += kVocabularyThreads) {
    store(out + i, allowed(bitmask, i) ? to_float(load(logits + i)) : float_of(0xFF800000U));
  }
}

/// Whether all tokens of word `w` but the last were just said.
TOUCHSTONE_DEVICE bool word_is_near(const SampleLogits& args, const SampleRow& row, int32_t first,
                                    int32_t before) {
  if (row.position < before) return false;
  const int32_t* said = args.outputs + row.slot * args.outputs_stride + row.position - before;
  for (int32_t i = 0; i < before; ++i) {
    if (load(said + i) != load(args.word_tokens + first + i)) return false;
  }
  return true;
}

/// What must not be sampled becomes minus infinity. Several threads may mask one token: as an
/// atomic minimum, so that it is no race.
TOUCHSTONE_DEVICE void mask_tokens(const SampleLogits& args, const SampleRow& row, float* logits) {
  for (int32_t i = thread_index(); i < row.num_masked; i += kVocabularyThreads) {
    const int32_t token = load(args.masked_tokens + row.first_masked + i);
    if (in_vocabulary(token, args.vocab_size)) atomic_mask(logits + token);
  }
  for (int32_t i = thread_index(); i < row.num_words; i += kVocabularyThreads) {
    const int32_t first = load(args.word_starts + row.first_word + i);
    const int32_t last = load(args.word_starts + row.first_word + i + 1) - 1;
    if (last < first || !word_is_near(args, row, first, last - first)) continue;
    const int32_t token = load(args.word_tokens + last);
    if (in_vocabulary(token, args.vocab_size)) atomic_mask(logits + token);
  }
}

/// The first of a token's biases adds all of them, in order.
TOUCHSTONE_DEVICE void add_biases(const SampleLogits& args, const SampleRow& row, float* logits) {
  const int32_t* tokens = args.bias_tokens + row.first_bias;
  const float* values = args.bias_values + row.first_bias;
  for (int32_t i = thread_index(); i < row.num_biases; i += kVocabularyThreads) {
    const int32_t token = load(tokens + i);
    bool first = in_vocabulary(token, args.vocab_size);
    for (int32_t j = 0; j < i && first; ++j) first = load(tokens + j) != token;
    if (!first) continue;
    float logit = load(logits + token);
    for (int32_t j = i; j < row.num_biases; ++j) {
      if (load(tokens + j) == token) logit = add_rn(logit, load(values + j));
    }
    store(logits + token, logit);
  }
}

TOUCHSTONE_DEVICE void penalise(const SampleLogits& args, const SampleRow& row, float* logits) {
  const int32_t* counts = args.counts + int64_t{row.counts_row} * args.vocab_size;
  for (int32_t i = thread_index(); i < args.vocab_size; i += kVocabularyThreads) {
    const int32_t count = load(counts + i);
    if (count == 0) continue;
    float logit = load(logits + i);
    if (row.repetition_penalty != 1.0F) {
      logit =
          logit > 0 ? div_rn(logit, row.repetition_penalty) : mul_rn(logit, row.repetition_penalty);
    }
    if (count > 0) {
      logit = add_rn(logit, -mul_rn(row.frequency_penalty, static_cast<float>(count)));
      logit = add_rn(logit, -row.presence_penalty);
    }
    store(logits + i, logit);
  }
}

/// Which tokens may be drawn: those that weigh `least` and whose key is at least `cut`.
struct Candidates {
  const Working* row;
  double least;
  uint64_t cut;

  /// What token i weighs; 0: it is none.
  TOUCHSTONE_DEVICE_MEMBER double weight(int32_t i, uint64_t& key) const {
    const double weight = load(row->weights + i);
    key = likelihood_key(load(row->logits + i), i);
    return weight >= least && key >= cut ? weight : 0.0;
  }
};

TOUCHSTONE_DEVICE double sum_weights(const Candidates& candidates, int32_t vocab,
                                     const Shared<double>& scratch) {
  double sum = 0;
  for (int32_t i = thread_index(); i < vocab; i += kVocabularyThreads) {
    uint64_t key = 0;
    sum = add_rn(sum, candidates.weight(i, key));
  }
  return reduce_block<Plus>(sum, scratch);
}

/// Philox4x32-10 (base/random.h), to a double in [0, 1).
TOUCHSTONE_DEVICE double uniform_draw(uint64_t seed, uint64_t position) {
  uint32_t k0 = static_cast<uint32_t>(seed);
  uint32_t k1 = static_cast<uint32_t>(seed >> 32U);
  uint32_t c[4] = {static_cast<uint32_t>(position), static_cast<uint32_t>(position >> 32U), 0, 0};
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{0xD2511F53U} * c[0];
    const uint64_t p1 = uint64_t{0xCD9E8D57U} * c[2];
    const uint32_t next0 = static_cast<uint32_t>(p1 >> 32U) ^ c[1] ^ k0;
    const uint32_t next2 = static_cast<uint32_t>(p0 >> 32U) ^ c[3] ^ k1;
    c[1] = static_cast<uint32_t>(p1);
    c[3] = static_cast<uint32_t>(p0);
    c[0] = next0;
    c[2] = next2;
    k0 += 0x9E3779B9U;
    k1 += 0xBB67AE85U;
  }
  const uint64_t bits = (uint64_t{c[0]} << 32U | c[1]) >> 11U;
  return mul_rn(static_cast<double>(bits), 0x1p-53);
}

/// The candidate at `target` of the weights, walked in order of ids; the last one when rounding
/// left the target at the very end. Each warp has a run of ids. Prefix sums are exact, so they can
/// be taken in any grouping.
TOUCHSTONE_DEVICE int32_t inverse_cdf(const Candidates& candidates, int32_t vocab, double target,
                                      const VocabularyScratch& scratch) {
  const int32_t run = (vocab + kVocabularyThreads - 1) / kVocabularyThreads * 32;
  const int32_t first = warp() * run;
  const int32_t end = first + run < vocab ? first + run : vocab;
  double sum = 0;
  for (int32_t i = first + lane(); i < end; i += 32) {
    uint64_t key = 0;
    sum = add_rn(sum, candidates.weight(i, key));
  }
  sum = reduce_warp<Plus>(sum);
  if (lane() == 0) scratch.weights[warp()] = sum;
  sync_block();
  double passed = 0;
  for (int i = 0; i < warp(); ++i) passed = add_rn(passed, scratch.weights[i]);
  // Above: 2^32 + id, so that the smallest wins; below: the largest candidate.
  uint64_t found = 0;
  for (int32_t start = first; start < end; start += 32) {
    const int32_t i = start + lane();
    uint64_t key = 0;
    const double weight = i < end ? candidates.weight(i, key) : 0.0;
    double prefix = weight;
    TOUCHSTONE_UNROLL
    for (int step = 1; step < 32; step *= 2) {
      const double before = shuffle(prefix, lane() - step);
      if (lane() >= step) prefix = add_rn(prefix, before);
    }
    if (weight > 0) {
      const bool reached = target < add_rn(passed, prefix);
      const uint64_t mine = reached ? uint64_t{2} << 32U | (0xFFFFFFFFU - static_cast<uint32_t>(i))
                                    : uint64_t{1} << 32U | static_cast<uint32_t>(i);
      found = Larger::of(found, mine);
    }
    passed = add_rn(passed, shuffle(prefix, 31));
  }
  found = reduce_block<Larger>(found, scratch.keys);
  const uint32_t low = static_cast<uint32_t>(found);
  return static_cast<int32_t>(found >> 32U == 2 ? 0xFFFFFFFFU - low : low);
}

/// Temperature, min-p, top-k, top-p and the draw.
TOUCHSTONE_DEVICE int32_t draw(const SampleRow& row, const Working& working, int32_t vocab,
                               float top, const VocabularyScratch& scratch) {
  const double scale = 1.0 / row.temperature;
  for (int32_t i = thread_index(); i < vocab; i += kVocabularyThreads) {
    store(working.weights + i,
          token_weight(load(working.logits + i), static_cast<double>(top), scale, kWeightGrid));
  }
  sync_block();
  Candidates candidates = {&working, row.min_p > kSmallestDouble ? row.min_p : kSmallestDouble, 0};
  if (row.top_k > 0) {
    candidates.cut = select_cut(
        vocab, row.top_k,
        [&](int32_t i, uint64_t& key) { return candidates.weight(i, key) > 0 ? 1.0 : 0.0; },
        scratch);
  }
  double total = sum_weights(candidates, vocab, scratch.weights);
  if (row.top_p < 1.0) {
    const uint64_t cut = select_cut(
        vocab, mul_rn(row.top_p, total),
        [&](int32_t i, uint64_t& key) { return candidates.weight(i, key); }, scratch);
    if (cut > candidates.cut) candidates.cut = cut;
    total = sum_weights(candidates, vocab, scratch.weights);
  }
  const double u = uniform_draw(row.seed, static_cast<uint64_t>(row.position));
  return inverse_cdf(candidates, vocab, mul_rn(u, total), scratch);
}

TOUCHSTONE_DEVICE void keep_token(const SampleLogits& args, const SampleRow& row, int32_t token) {
  store(args.tokens + block_index().x, token);
  if (args.latest != nullptr && row.slot >= 0) store(args.latest + row.slot, token);
  if (args.outputs != nullptr && row.slot >= 0) {
    store(args.outputs + row.slot * args.outputs_stride + row.position, token);
  }
  if (row.counts_row < 0) return;
  int32_t* count = args.counts + int64_t{row.counts_row} * args.vocab_size + token;
  const int32_t before = load(count);
  store(count, before > 0 ? before + 1 : 1);
}

template <typename T>
TOUCHSTONE_KERNEL TOUCHSTONE_BOUNDS(kVocabularyThreads, 1)
    sample_kernel(const SampleLogits args, float* logits, double* weights) {
  TOUCHSTONE_SHARED(uint64_t, keys, kVocabularyWarps);
  TOUCHSTONE_SHARED(double, sums, kVocabularyWarps);
  const SampleRow row = load_struct(args.rows + block_index().x);
  const int32_t vocab = args.vocab_size;
  const Working working = {logits + int64_t{block_index().x} * vocab,
                           weights + int64_t{block_index().x} * vocab};
  copy_logits<T>(args, row, working.logits);
  sync_block();
  mask_tokens(args, row, working.logits);
  sync_block();
  add_biases(args, row, working.logits);
  sync_block();
  if (row.counts_row >= 0) penalise(args, row, working.logits);
  sync_block();
  int32_t token = most_likely(
      vocab, [&](int32_t i) { return load(working.logits + i); }, keys);
  const float top = load(working.logits + token);
  const bool finite = top - top == 0.0F;
  // Nothing is allowed, or the model yielded no number: the first token, as if greedy.
  if (row.temperature >= kGreedyTemperature && finite) {
    token = draw(row, working, vocab, top, {keys, sums});
  }
  if (thread_index() == 0) keep_token(args, row, token);
}

TOUCHSTONE_KERNEL clear_kernel(int32_t* counts, int32_t vocab) {
  const int32_t i = block_index().x * kVocabularyThreads + thread_index();
  if (i < vocab) store(counts + i, 0);
}

TOUCHSTONE_KERNEL count_kernel(int32_t* counts, int32_t vocab, const int32_t* prompt,
                               int32_t length) {
  const int32_t i = block_index().x * kVocabularyThreads + thread_index();
  if (i >= length) return;
  const int32_t token = load(prompt + i);
  if (in_vocabulary(token, vocab)) atomic_add(counts + token, -1);
}

}  // namespace

int64_t sample_workspace_bytes(int32_t num_rows, int32_t vocab_size) {
  return int64_t{num_rows} * vocab_size * static_cast<int64_t>(sizeof(double) + sizeof(float));
}

void sample(const SampleLogits& args, void* workspace, Stream stream) {
  if (args.num_rows == 0) return;
  double* weights = static_cast<double*>(workspace);
  float* logits = reinterpret_cast<float*>(weights + int64_t{args.num_rows} * args.vocab_size);
  with_element(args.element, [&](auto zero) {
    launch("sample", sample_kernel<decltype(zero)>, {args.num_rows, 1, 1}, kVocabularyThreads, 0,
           stream, args, logits, weights);
  });
}

void count_prompt(int32_t* counts, int32_t vocab_size, const int32_t* prompt, int32_t length,
                  Stream stream) {
  launch("clear_counts", clear_kernel, {ceil_div(vocab_size, kVocabularyThreads), 1, 1},
         kVocabularyThreads, 0, stream, counts, vocab_size);
  if (length == 0) return;
  launch("count_prompt", count_kernel, {ceil_div(length, kVocabularyThreads), 1, 1},
         kVocabularyThreads, 0, stream, counts, vocab_size, prompt, length);
}

}  // namespace touchstone::backend::cuda
