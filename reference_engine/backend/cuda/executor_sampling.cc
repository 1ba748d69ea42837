// What follows the forward pass of a plan: sampling, log-probabilities, results on their way back.
#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "reference_engine/backend/cuda/executor.h"
#include "reference_engine/sampling/sampler.h"

namespace touchstone::backend::cuda {
namespace {

/// Groups of a step begin at a multiple of this many tokens: addresses stay aligned.
constexpr int64_t kTokenAlignment = 16;
/// The event that a step of several parts waits for within submit(); others are those of halves.
constexpr int32_t kPartEvent = Staging::kHalves;
static_assert(kPartEvent < Device::kEvents - 1, "the last event is that of uploads");

/// A history that begins with the prompt alone.
bool is_fresh(const RequestState& request) { return request.output.empty(); }

}  // namespace

Status Executor::send_sampling(std::span<const RequestState* const> newcomers, size_t half) {
  sampling_staging_.add(sampling_.bias_tokens, inputs_.bias_tokens);
  sampling_staging_.add(sampling_.bias_values, inputs_.bias_values);
  sampling_staging_.add(sampling_.masked_tokens, inputs_.masked_tokens);
  sampling_staging_.add(sampling_.word_starts, inputs_.word_starts);
  sampling_staging_.add(sampling_.word_tokens, inputs_.word_tokens);
  sampling_staging_.add(sampling_.bitmasks, inputs_.bitmasks);
  inputs_.groups.assign(sampling_.groups.size(), {});
  for (size_t i = 0; i < sampling_.groups.size(); ++i) {
    sampling_staging_.add(sampling_.groups[i].rows, inputs_.groups[i].rows);
    sampling_staging_.add(sampling_.groups[i].samples, inputs_.groups[i].samples);
    sampling_staging_.add(sampling_.groups[i].logprobs, inputs_.groups[i].logprobs);
  }
  inputs_.prompts.assign(newcomers.size(), nullptr);
  for (size_t i = 0; i < newcomers.size(); ++i) {
    if (!newcomers[i]->has_penalties() || !is_fresh(*newcomers[i])) continue;
    sampling_staging_.add(newcomers[i]->prompt, inputs_.prompts[i]);
  }
  return sampling_staging_.send(device_, half);
}

/// A request that lost its slot to another and comes back with tokens that it has said.
Status Executor::restore_history(const RequestState& request) {
  const size_t vocab = static_cast<size_t>(decoder_.config().vocab_size);
  const int64_t slot = *request.slot;
  if (request.has_penalties()) {
    std::vector<int32_t> counts(vocab, 0);
    for (const int32_t token : request.prompt) {
      if (token >= 0 && static_cast<size_t>(token) < vocab) counts[static_cast<size_t>(token)] = -1;
    }
    for (const int32_t token : request.output) {
      int32_t& count = counts.at(static_cast<size_t>(token));
      count = std::max(count, 0) + 1;
    }
    RETURN_IF_ERROR(upload(device_, history_, std::as_bytes(std::span(counts)),
                           counts_ + slot * static_cast<int64_t>(vocab)));
  }
  if (request.params.bad_words.empty()) return {};
  return upload(device_, history_, std::as_bytes(std::span(request.output)),
                outputs_ + slot * limits_.max_model_len);
}

Status Executor::start_histories(std::span<const RequestState* const> newcomers) {
  const int32_t vocab = decoder_.config().vocab_size;
  for (size_t i = 0; i < newcomers.size(); ++i) {
    const RequestState& request = *newcomers[i];
    if (!is_fresh(request)) {
      RETURN_IF_ERROR(restore_history(request));
      continue;
    }
    if (inputs_.prompts[i] == nullptr) continue;
    int32_t* const counts = counts_ + int64_t{*request.slot} * vocab;
    const int32_t* const prompt = inputs_.prompts[i];
    const int32_t length = static_cast<int32_t>(request.prompt.size());
    RETURN_IF_ERROR(device_.enqueue([=](Stream stream) -> Status {
      count_prompt(counts, vocab, prompt, length, stream);
      return {};
    }));
  }
  return {};
}

/// Samples and finds log-probabilities of the group whose logits were computed last.
Status Executor::sample_group(const LogitGroup& group, const GroupInputs& inputs,
                              int64_t first_token, int64_t first_element) {
  const int32_t vocab = decoder_.config().vocab_size;
  int32_t* const tokens = results_.at<int32_t>(layout_.tokens) + first_token;
  if (!group.samples.empty()) {
    const SampleLogits args{.element = decoder_.element(),
                            .num_rows = static_cast<int32_t>(group.samples.size()),
                            .vocab_size = vocab,
                            .rows = inputs.samples,
                            .logits = decoder_.logits(),
                            .logits_stride = decoder_.logits_stride(),
                            .bitmasks = inputs_.bitmasks,
                            .bitmask_stride = sampling::bitmask_words(vocab),
                            .bias_tokens = inputs_.bias_tokens,
                            .bias_values = inputs_.bias_values,
                            .masked_tokens = inputs_.masked_tokens,
                            .word_starts = inputs_.word_starts,
                            .word_tokens = inputs_.word_tokens,
                            .counts = counts_,
                            .latest = latest_,
                            .outputs = outputs_,
                            .outputs_stride = limits_.max_model_len,
                            .tokens = tokens};
    void* const workspace = sample_workspace_.at();
    RETURN_IF_ERROR(device_.enqueue([args, workspace](Stream stream) -> Status {
      sample(args, workspace, stream);
      return {};
    }));
  }
  if (group.logprobs.empty()) return {};
  const Logprobs args{.element = decoder_.element(),
                      .num_rows = static_cast<int32_t>(group.logprobs.size()),
                      .vocab_size = vocab,
                      .rows = inputs.logprobs,
                      .logits = decoder_.logits(),
                      .logits_stride = decoder_.logits_stride(),
                      .bitmasks = inputs_.bitmasks,
                      .bitmask_stride = sampling::bitmask_words(vocab),
                      .sampled = tokens,
                      .tokens = results_.at<int32_t>(layout_.logprob_tokens) + first_element,
                      .logprobs = results_.at<float>(layout_.logprobs) + first_element,
                      .ranks = results_.at<int32_t>(layout_.ranks) + first_element};
  return device_.enqueue([args](Stream stream) -> Status {
    logprobs(args, stream);
    return {};
  });
}

Status Executor::bring_back_logprobs(Flight& flight, int64_t elements) {
  flight.num_pinned_elements = elements;
  if (elements == 0) return {};
  for (const int64_t array : {layout_.logprob_tokens, layout_.logprobs, layout_.ranks}) {
    RETURN_IF_ERROR(
        device_.copy_out(flight.pinned.data() + array, results_.at(array), 4 * elements));
  }
  return {};
}

/// Log-probabilities that have come, behind those that came before.
void Executor::take_back_logprobs(Flight& flight) {
  const auto append = [&](int64_t from, auto& to) {
    const size_t before = to.size();
    const size_t some = static_cast<size_t>(flight.num_pinned_elements);
    to.resize(before + some);
    if (some > 0) std::memcpy(to.data() + before, flight.pinned.data() + from, 4 * some);
  };
  append(layout_.logprob_tokens, flight.results.logprob_tokens);
  append(layout_.logprobs, flight.results.logprobs);
  append(layout_.ranks, flight.results.ranks);
  flight.num_pinned_elements = 0;
}

/// `logits_are_there`: those of the only group were computed with the forward pass.
Status Executor::sample_groups(bool logits_are_there, Flight& flight) {
  int64_t tokens = 0;    // on the device
  int64_t elements = 0;  // on the device, not fetched yet
  for (size_t i = 0; i < sampling_.groups.size(); ++i) {
    const LogitGroup& group = sampling_.groups[i];
    if (elements + group.num_elements > layout_.elements) {
      RETURN_IF_ERROR(bring_back_logprobs(flight, elements));
      RETURN_IF_ERROR(device_.record(kPartEvent));
      RETURN_IF_ERROR(device_.synchronize(kPartEvent));
      take_back_logprobs(flight);
      elements = 0;
    }
    if (!logits_are_there) {
      RETURN_IF_ERROR(
          decoder_.compute_logits(inputs_.groups[i].rows, static_cast<int64_t>(group.rows.size())));
    }
    RETURN_IF_ERROR(sample_group(group, inputs_.groups[i], tokens, elements));
    for (size_t k = 0; k < group.samples.size(); ++k) {
      flight.results.entries.push_back(group.sampled_entries[k]);
      flight.token_places.push_back(tokens + static_cast<int64_t>(k));
    }
    const int64_t sampled = static_cast<int64_t>(group.samples.size());
    tokens += (sampled + kTokenAlignment - 1) / kTokenAlignment * kTokenAlignment;
    elements += group.num_elements;
  }
  if (tokens > 0) {
    RETURN_IF_ERROR(device_.copy_out(flight.pinned.data(), results_.at(), 4 * tokens));
  }
  return bring_back_logprobs(flight, elements);
}

Status Executor::submit(const Plan& plan, std::span<RequestState* const> requests,
                        std::span<const RequestState* const> newcomers, size_t half) {
  BASE_CHECK(is_allocated(), "allocate_kv() comes before the first plan");
  std::optional<DecodeShape> shape;
  if (use_graphs_ == Graphs::kOn) {
    shape = decode_shape(plan, largest_graph(), limits_.max_model_len);
  }
  std::vector<int32_t> slots;
  for (const RequestState* request : requests) slots.push_back(*request->slot);
  lay_out_step(plan, slots, cache_->block_size(), shape, step_);
  graph_rows_.clear();
  if (shape) {
    for (int32_t row = 0; row < shape->rows; ++row) graph_rows_.push_back(row);
  }
  const int32_t* graph_rows = nullptr;
  const auto inputs = send_step(half, graph_rows);
  if (!inputs) return inputs.error();
  lay_out_sampling(plan, step_, requests, decoder_.config().vocab_size,
                   {.rows = room(limits_).logit_rows, .elements = layout_.elements}, sampling_);
  Flight& flight = flights_.at(half);
  flight.results.entries.clear();
  flight.results.tokens.clear();
  flight.results.places = sampling_.places;
  flight.results.logprob_tokens.clear();
  flight.results.logprobs.clear();
  flight.results.ranks.clear();
  flight.token_places.clear();
  RETURN_IF_ERROR(send_sampling(newcomers, half));
  RETURN_IF_ERROR(start_histories(newcomers));
  RETURN_IF_ERROR(run_forward(shape, *inputs, graph_rows));
  RETURN_IF_ERROR(sample_groups(shape.has_value(), flight));
  return device_.record(static_cast<int32_t>(half));
}

Result<const StepResults*> Executor::wait(size_t half) {
  RETURN_IF_ERROR(device_.synchronize(static_cast<int32_t>(half)));
  Flight& flight = flights_.at(half);
  take_back_logprobs(flight);
  for (const int64_t place : flight.token_places) {
    int32_t token = 0;
    std::memcpy(&token, flight.pinned.data() + 4 * place, sizeof(token));
    flight.results.tokens.push_back(token);
  }
  return &flight.results;
}

}  // namespace touchstone::backend::cuda
