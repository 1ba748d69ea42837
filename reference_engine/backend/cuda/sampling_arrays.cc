#include "reference_engine/backend/cuda/sampling_arrays.h"

#include <algorithm>

#include "base/check.h"
#include "reference_engine/sampling/logprobs.h"
#include "reference_engine/sampling/sampler.h"

namespace touchstone::backend::cuda {
namespace {

/// Groups begin at a multiple of this many elements: addresses stay aligned.
constexpr int64_t kElementAlignment = 16;

/// Where each entry's rows begin among the plan's outputs.
struct FlatRows {
  int64_t first = 0;
  int64_t prompt_row_size = 0;
  int64_t sampled_row_size = 0;
};

std::vector<FlatRows> flat_rows(const Plan& plan, int32_t vocab_size) {
  std::vector<FlatRows> all;
  int64_t elements = 0;
  for (const Entry& entry : plan.entries) {
    FlatRows rows{.first = elements};
    if (entry.num_prompt_rows > 0) {
      rows.prompt_row_size = sampling::logprob_row_size(entry.prompt_logprobs, vocab_size);
    }
    if (entry.sample && entry.logprobs) {
      rows.sampled_row_size = sampling::logprob_row_size(*entry.logprobs, vocab_size);
    }
    elements += entry.num_prompt_rows * rows.prompt_row_size + rows.sampled_row_size;
    all.push_back(rows);
  }
  return all;
}

class Builder final {
 public:
  Builder(const Plan& plan, std::span<RequestState* const> requests, int32_t vocab_size,
          const GroupLimits& limits, SamplingArrays& arrays)
      : plan_(plan),
        requests_(requests),
        vocab_size_(vocab_size),
        limits_(limits),
        flat_(flat_rows(plan, vocab_size)),
        arrays_(arrays) {
    arrays_ = {};
    arrays_.word_starts.push_back(0);
  }

  void add(const WantedRow& wanted) {
    const Entry& entry = plan_.entries[wanted.entry];
    const FlatRows& flat = flat_[wanted.entry];
    const bool of_prompt = wanted.token < static_cast<size_t>(entry.num_prompt_rows);
    const bool sampled = entry.sample && wanted.token + 1 == entry.tokens.size();
    const int64_t elements =
        (of_prompt ? flat.prompt_row_size : 0) + (sampled ? flat.sampled_row_size : 0);
    LogitGroup& group = group_for(elements);
    const int32_t logits_row = static_cast<int32_t>(group.rows.size());
    group.rows.push_back(wanted.row);
    const RequestState& request = *requests_[wanted.entry];
    if (of_prompt) {
      const size_t next = static_cast<size_t>(entry.first_position) + wanted.token + 1;
      place_row(group, {.logits_row = logits_row, .token = request.prompt.at(next)},
                flat.prompt_row_size,
                flat.first + static_cast<int64_t>(wanted.token) * flat.prompt_row_size);
    }
    if (!sampled) return;
    const int32_t bitmask_row = add_bitmask(entry);
    if (flat.sampled_row_size > 0) {
      place_row(group,
                {.logits_row = logits_row,
                 .token = -1 - static_cast<int32_t>(group.samples.size()),
                 .bitmask_row = bitmask_row},
                flat.sampled_row_size, flat.first + entry.num_prompt_rows * flat.prompt_row_size);
    }
    group.samples.push_back(sample_row(*requests_[wanted.entry], logits_row, bitmask_row));
    group.sampled_entries.push_back(wanted.entry);
  }

 private:
  LogitGroup& group_for(int64_t elements) {
    if (arrays_.groups.empty() ||
        static_cast<int64_t>(arrays_.groups.back().rows.size()) == limits_.rows ||
        arrays_.groups.back().num_elements + elements > limits_.elements) {
      if (!arrays_.groups.empty()) {
        int64_t& before = arrays_.groups.back().num_elements;
        before = (before + kElementAlignment - 1) / kElementAlignment * kElementAlignment;
        elements_ += before;
      }
      arrays_.groups.emplace_back();
    }
    return arrays_.groups.back();
  }

  void place_row(LogitGroup& group, LogprobsRow row, int64_t size, int64_t flat_first) {
    row.top = static_cast<int32_t>(size - 1);
    row.first = group.num_elements;
    group.logprobs.push_back(row);
    arrays_.places.push_back(
        {.first = elements_ + group.num_elements, .size = size, .flat_first = flat_first});
    group.num_elements += size;
  }

  int32_t add_bitmask(const Entry& entry) {
    if (entry.token_bitmask.empty()) return -1;
    const size_t words = static_cast<size_t>(sampling::bitmask_words(vocab_size_));
    BASE_CHECK(entry.token_bitmask.size() == words, entry.token_bitmask.size());
    arrays_.bitmasks.insert(arrays_.bitmasks.end(), entry.token_bitmask.begin(),
                            entry.token_bitmask.end());
    return static_cast<int32_t>(arrays_.bitmasks.size() / words) - 1;
  }

  SampleRow sample_row(RequestState& request, int32_t logits_row, int32_t bitmask_row) {
    const sampling::Params& params = request.params;
    SampleRow row{.temperature = params.temperature,
                  .top_p = params.top_p,
                  .min_p = params.min_p,
                  .seed = params.seed,
                  .position = request.sampled++,
                  .top_k = params.top_k,
                  .presence_penalty = static_cast<float>(params.presence_penalty),
                  .frequency_penalty = static_cast<float>(params.frequency_penalty),
                  .repetition_penalty = static_cast<float>(params.repetition_penalty),
                  .logits_row = logits_row,
                  .slot = *request.slot,
                  .counts_row = request.has_penalties() ? *request.slot : -1,
                  .bitmask_row = bitmask_row};
    row.first_bias = static_cast<int32_t>(arrays_.bias_tokens.size());
    for (const auto& [token, value] : params.logit_bias) {
      arrays_.bias_tokens.push_back(token);
      arrays_.bias_values.push_back(value);
    }
    row.num_biases = static_cast<int32_t>(params.logit_bias.size());
    row.first_masked = static_cast<int32_t>(arrays_.masked_tokens.size());
    if (row.position < params.min_tokens) {
      arrays_.masked_tokens.insert(arrays_.masked_tokens.end(),
                                   params.masked_before_min_tokens.begin(),
                                   params.masked_before_min_tokens.end());
    }
    row.num_masked = static_cast<int32_t>(arrays_.masked_tokens.size()) - row.first_masked;
    row.first_word = static_cast<int32_t>(arrays_.word_starts.size()) - 1;
    for (const std::vector<int32_t>& word : params.bad_words) {
      arrays_.word_tokens.insert(arrays_.word_tokens.end(), word.begin(), word.end());
      arrays_.word_starts.push_back(static_cast<int32_t>(arrays_.word_tokens.size()));
    }
    row.num_words = static_cast<int32_t>(params.bad_words.size());
    return row;
  }

  const Plan& plan_;
  std::span<RequestState* const> requests_;
  int32_t vocab_size_;
  GroupLimits limits_;
  std::vector<FlatRows> flat_;
  SamplingArrays& arrays_;
  int64_t elements_ = 0;  // of the groups before the last
};

}  // namespace

void lay_out_sampling(const Plan& plan, const StepArrays& step,
                      std::span<RequestState* const> requests, int32_t vocab_size,
                      const GroupLimits& limits, SamplingArrays& arrays) {
  Builder builder(plan, requests, vocab_size, limits, arrays);
  for (const WantedRow& wanted : step.wanted) builder.add(wanted);
}

}  // namespace touchstone::backend::cuda
