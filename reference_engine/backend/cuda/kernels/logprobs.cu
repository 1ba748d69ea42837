// Log-probabilities of a token and of the most likely ones, a block a row: sampling/logprobs.cc on
// the device.
#include "reference_engine/backend/cuda/kernels.h"
#include "reference_engine/backend/cuda/kernels/device.h"
#include "reference_engine/backend/cuda/kernels/dispatch.h"
#include "reference_engine/backend/cuda/kernels/likelihood.h"
#include "reference_engine/backend/cuda/kernels/reduce.h"

namespace touchstone::backend::cuda {
namespace {

template <typename T>
struct MaskedLogits {
  const T* logits;
  const int32_t* bitmask;  // null: all allowed

  TOUCHSTONE_DEVICE_MEMBER float operator()(int32_t i) const {
    const bool allowed =
        bitmask == nullptr || (static_cast<uint32_t>(load(bitmask + i / 32)) >> (i % 32) & 1U) != 0;
    return allowed ? to_float(load(logits + i)) : float_of(0xFF800000U);
  }
};

/// log sum e^logit, relative to the most likely token.
template <typename F>
TOUCHSTONE_DEVICE double normaliser(int32_t vocab, const F& logit,
                                    const VocabularyScratch& scratch) {
  const double top = static_cast<double>(logit(most_likely(vocab, logit, scratch.keys)));
  double sum = 0;
  for (int32_t i = thread_index(); i < vocab; i += kVocabularyThreads) {
    sum = add_rn(sum, token_weight(logit(i), top, 1.0, 0.0));
  }
  return top + log_of(reduce_block<Plus>(sum, scratch.weights));
}

/// How many tokens are at least as likely: equals share the worst of their ranks.
template <typename F>
TOUCHSTONE_DEVICE int32_t rank_of(int32_t vocab, const F& logit, float own,
                                  const Shared<double>& scratch) {
  double count = 0;
  for (int32_t i = thread_index(); i < vocab; i += kVocabularyThreads) {
    if (logit(i) >= own) count += 1;
  }
  const int32_t rank = static_cast<int32_t>(reduce_block<Plus>(count, scratch));
  return rank > 0 ? rank : 1;
}

/// Tokens with a key of at least `cut`, in no order, to `ids`: exactly `count` of them.
template <typename F>
TOUCHSTONE_DEVICE void collect(int32_t vocab, const F& logit, uint64_t cut, int32_t count,
                               int32_t* ids, const Shared<int32_t>& next) {
  if (thread_index() == 0) next[0] = 0;
  sync_block();
  for (int32_t i = thread_index(); i < vocab; i += kVocabularyThreads) {
    if (likelihood_key(logit(i), i) < cut) continue;
    const int32_t at = atomic_add(next, 0, 1);
    if (at < count) store(ids + at, i);
  }
  sync_block();
}

template <typename T>
TOUCHSTONE_KERNEL TOUCHSTONE_BOUNDS(kVocabularyThreads, 1) logprobs_kernel(const Logprobs args) {
  TOUCHSTONE_SHARED(uint64_t, keys, kVocabularyWarps);
  TOUCHSTONE_SHARED(double, sums, kVocabularyWarps);
  TOUCHSTONE_SHARED(int32_t, next, 1);
  const LogprobsRow row = load_struct(args.rows + block_index().x);
  const int32_t vocab = args.vocab_size;
  const MaskedLogits<T> logit = {
      static_cast<const T*>(args.logits) + row.logits_row * args.logits_stride,
      row.bitmask_row < 0 ? nullptr : args.bitmasks + row.bitmask_row * args.bitmask_stride};
  const int32_t token = row.token >= 0 ? row.token : load(args.sampled + (-1 - row.token));
  const double normal = normaliser(vocab, logit, {keys, sums});
  const float own = logit(token);
  const int32_t rank = rank_of(vocab, logit, own, sums);
  const auto write = [&](int64_t at, int32_t id, float value) {
    store(args.tokens + row.first + at, id);
    store(args.logprobs + row.first + at,
          static_cast<float>(add_rn(static_cast<double>(value), -normal)));
  };
  if (thread_index() == 0) {
    write(0, token, own);
    store(args.ranks + row.first, rank);
  }
  if (row.top == 0) return;
  const uint64_t cut = select_cut(vocab, row.top,
                                  [&](int32_t i, uint64_t& key) {
                                    key = likelihood_key(logit(i), i);
                                    return 1.0;
                                  },
                                  {keys, sums});
  // Until the ranks are written, their place holds the ids.
  int32_t* ids = args.ranks + row.first + 1;
  collect(vocab, logit, cut, row.top, ids, next);
  for (int32_t i = thread_index(); i < row.top; i += kVocabularyThreads) {
    const int32_t id = load(ids + i);
    const float value = logit(id);
    const uint64_t key = likelihood_key(value, id);
    int32_t before = 0;
    for (int32_t j = 0; j < row.top; ++j) {
      const int32_t other = load(ids + j);
      if (likelihood_key(logit(other), other) > key) before += 1;
    }
    write(1 + before, id, value);
  }
  sync_block();
  for (int32_t i = thread_index(); i < row.top; i += kVocabularyThreads) store(ids + i, i + 1);
}

}  // namespace

void logprobs(const Logprobs& args, Stream stream) {
  if (args.num_rows == 0) return;
  with_element(args.element, [&](auto zero) {
    launch("logprobs", logprobs_kernel<decltype(zero)>, {args.num_rows, 1, 1}, kVocabularyThreads,
           0, stream, args);
  });
}

}  // namespace touchstone::backend::cuda
