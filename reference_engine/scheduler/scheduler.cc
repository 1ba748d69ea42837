#include "reference_engine/scheduler/scheduler.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/check.h"
#include "reference_engine/scheduler/scheduler_impl.h"

namespace touchstone::scheduler {

const char* to_string(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop:
      return "stop";
    case FinishReason::kLength:
      return "length";
    case FinishReason::kAbort:
      return "abort";
    case FinishReason::kError:
      return "error";
  }
  BASE_CHECK(false, static_cast<int>(reason));
}

namespace {

Config checked(const Config& config) {
  const Status status = validate(config);
  BASE_CHECK(status.has_value(), status.error().message);
  return config;
}

Error refused(RequestId id, const char* field, int64_t got, const std::string& expected) {
  return invalid_argument("request " + std::to_string(id) + ": " + field + ": got " +
                          std::to_string(got) + ", expected " + expected);
}

}  // namespace

Scheduler::Impl::Impl(const Config& config, ExternalKv* external)
    : config_(checked(config)),
      external_(external),
      kv_(config_),
      policy_(make_policy(config_.policy)) {
  const size_t most = static_cast<size_t>(config_.max_num_seqs);
  running_.reserve(most);
  finished_.reserve(most);
  finished_hashes_.reserve(most);
  preempted_.reserve(most);
  passed_over_.reserve(most);
  releases_due_.reserve(2 * most);
  running_adapters_.reserve(std::min(most, static_cast<size_t>(config_.max_loras)));
  for (Plan& plan : plans_) {
    plan.step.scheduled.reserve(most);
    plan.step.preempted.reserve(most);
    plan.planned.reserve(most);
  }
}

Status Scheduler::Impl::check(const NewRequest& r) const {
  const int64_t prompt = r.num_prompt_tokens;
  const int64_t room = int64_t{config_.max_model_len} - prompt;
  if (prompt < 1 || room < 1) {
    return refused(r.id, "prompt tokens", prompt,
                   "1 to max_model_len - 1 (" + std::to_string(config_.max_model_len - 1) + ")");
  }
  if (r.max_tokens < 1) return refused(r.id, "max_tokens", r.max_tokens, "at least 1");
  // min_tokens precedes the length test, so it must not lead beyond the model's length.
  if (r.min_tokens > room) {
    return refused(r.id, "min_tokens", r.min_tokens,
                   "at most " + std::to_string(room) + " after the prompt");
  }
  if (r.adapter < 0) return refused(r.id, "adapter", r.adapter, "0 (none) or an adapter's id");
  const int64_t hashed = std::ssize(r.block_hashes) * int64_t{config_.block_size};
  const int64_t tail = std::ssize(r.unhashed_tail);
  const bool extends = hashed + tail == prompt && r.hash_source == nullptr;
  if (extends && tail >= config_.block_size) {
    return refused(r.id, "unhashed_tail", tail, "less than a block");
  }
  if (extends && r.block_hashes.empty() && r.chain_root == BlockHash{}) {
    return refused(r.id, "chain_root", 0, "the root of the chain; see set_prompt()");
  }
  if (requests_.find(r.id) != nullptr) {
    return invalid_argument("request " + std::to_string(r.id) + ": got its id twice, expected " +
                            "a new one");
  }
  return {};
}

Status Scheduler::Impl::add(NewRequest&& request) {
  RETURN_IF_ERROR(check(request));
  const int32_t prompt = request.num_prompt_tokens;
  Request& r = requests_.add(request.id);
  r.arrival_ns = request.arrival_ns;
  r.priority = request.priority;
  r.num_prompt_tokens = r.num_tokens = prompt;
  r.max_tokens = request.max_tokens;
  r.min_tokens = request.min_tokens;
  r.adapter = request.adapter;
  r.ready = request.ready;
  r.ignore_eos = request.ignore_eos;
  r.skip_reading_prefix_cache = request.skip_reading_prefix_cache;
  r.hashes = std::move(request.block_hashes);
  r.hash_source = std::move(request.hash_source);
  r.tail = std::move(request.unhashed_tail);
  r.chain_root = request.chain_root;
  r.eos_token_ids = std::move(request.eos_token_ids);
  r.stop_token_ids = std::move(request.stop_token_ids);
  const size_t block_size = static_cast<size_t>(config_.block_size);
  r.extends_hashes = r.hash_source == nullptr &&
                     r.hashes.size() * block_size + r.tail.size() == static_cast<size_t>(prompt);
  const int64_t longest =
      std::min<int64_t>(int64_t{prompt} + request.max_tokens, config_.max_model_len);
  r.length_limit = static_cast<int32_t>(longest);
  // Once here, so that no step allocates.
  if (!r.hash_source) r.blocks.reserve(static_cast<size_t>(longest) / block_size + 1);
  if (r.extends_hashes) {
    r.hashes.reserve(static_cast<size_t>(longest) / block_size);
    r.tail.reserve(block_size);
  }
  set_deferred(r, !r.ready);
  if (passed_over_.capacity() < requests_.size()) passed_over_.reserve(2 * requests_.size());
  policy_->push(r);
  return {};
}

bool Scheduler::Impl::ready(RequestId id) {
  Request* const request = requests_.find(id);
  if (request == nullptr) return false;
  request->ready = true;
  set_deferred(*request, false);
  return true;
}

bool Scheduler::Impl::abort(RequestId id) {
  Request* const request = requests_.find(id);
  if (request == nullptr) return false;
  if (request->status == Request::Status::kRunning) {
    running_.erase(std::find(running_.begin(), running_.end(), request));
    stop_running(*request);
  } else {
    policy_->remove(*request);
    set_deferred(*request, false);
  }
  if (!config_.async_scheduling && request->plans_in_flight > 0) {
    std::vector<Request*>& planned = plans_[oldest_].planned;
    std::replace(planned.begin(), planned.end(), request, static_cast<Request*>(nullptr));
    request->plans_in_flight = 0;
  }
  std::erase(preempted_, id);
  request->status = Request::Status::kFinished;
  requests_.forget(*request);
  give_blocks_back(*request);
  if (request->plans_in_flight == 0) requests_.recycle(*request);
  return true;
}

bool Scheduler::Impl::reset_prefix_cache(Running running) {
  BASE_CHECK(running == Running::kKeep || num_in_flight_ == 0, num_in_flight_, " in flight");
  while (running == Running::kPreempt && !running_.empty()) {  // the last first: order is kept
    Request& victim = *running_.back();
    running_.pop_back();
    wait_again(victim);
  }
  if (kv_.pool().free() != kv_.pool().total()) return false;
  kv_.forget_prefixes();
  return true;
}

void Scheduler::Impl::set_deferred(Request& request, bool deferred) {
  num_deferred_ += static_cast<int>(deferred) - static_cast<int>(request.deferred);
  request.deferred = deferred;
}

void Scheduler::Impl::start_running(Request& request) {
  running_.push_back(&request);
  if (request.adapter == 0) return;
  for (RunningAdapter& slot : running_adapters_) {
    if (slot.adapter != request.adapter) continue;
    ++slot.requests;
    return;
  }
  running_adapters_.push_back({request.adapter, 1});
}

/// The rest of taking a request out of running_.
void Scheduler::Impl::stop_running(Request& request) {
  if (request.adapter == 0) return;
  std::erase_if(running_adapters_, [&](RunningAdapter& slot) {
    return slot.adapter == request.adapter && --slot.requests == 0;
  });
}

State Scheduler::Impl::state() const {
  return {.running = std::ssize(running_),
          .waiting = static_cast<int64_t>(policy_->size()),
          .waiting_deferred = num_deferred_,
          .free_blocks = kv_.pool().free(),
          .cached_blocks = kv_.pool().free_cached(),
          .total_blocks = kv_.pool().total()};
}

const Request& Scheduler::Impl::known(RequestId id) const {
  const Request* const request = requests_.find(id);
  BASE_CHECK(request != nullptr, "request ", id, " is not known");
  return *request;
}

std::span<const BlockHash> Scheduler::Impl::block_hashes(RequestId id) const {
  return known(id).hashes;
}

std::vector<RequestId> Scheduler::Impl::running_ids() const {
  std::vector<RequestId> ids;
  for (const Request* request : running_) ids.push_back(request->id);
  return ids;
}

void Scheduler::Impl::check_invariants() const {
  const BlockPool& pool = kv_.pool();
  pool.check_invariants();
  std::vector<int32_t> references(static_cast<size_t>(pool.total()) + 1, 0);
  const auto hold = [&](const Request& r) {
    for (size_t i = 0; i < r.blocks.size(); ++i) {
      const bool outside = i < static_cast<size_t>(r.num_window_blocks);
      BASE_CHECK((r.blocks[i] == kNullBlock) == outside, "INV-12: request ", r.id, ", block ", i);
      if (!outside) ++references[static_cast<size_t>(r.blocks[i])];
    }
  };
  for (const Request* r : running_) {
    BASE_CHECK(r->status == Request::Status::kRunning, "request ", r->id);
    BASE_CHECK(0 <= r->num_computed_tokens &&
                   r->num_computed_tokens <= r->num_tokens + r->num_output_placeholders &&
                   r->num_tokens + r->num_output_placeholders <= config_.max_model_len,
               "INV-6: request ", r->id, ": ", r->num_computed_tokens, "/", r->num_tokens, "+",
               r->num_output_placeholders);
    BASE_CHECK(r->blocks.size() * static_cast<size_t>(config_.block_size) >=
                   static_cast<size_t>(r->num_computed_tokens),
               "INV-6: request ", r->id, " holds ", r->blocks.size(), " blocks");
    hold(*r);
  }
  for (const Request* r : releases_due_) {
    BASE_CHECK(r->plans_in_flight > 0, "INV-11: nothing in flight holds request ", r->id);
    hold(*r);
  }
  for (BlockId block = 1; block <= pool.total(); ++block) {
    BASE_CHECK(pool.references(block) == references[static_cast<size_t>(block)], "INV-2: block ",
               block, " has ", pool.references(block), " references, ",
               references[static_cast<size_t>(block)], " holders");
  }
  BASE_CHECK(requests_.size() == running_.size() + policy_->size(), "INV-4: ", requests_.size(),
             " known, ", running_.size(), " running, ", policy_->size(), " waiting");
  BASE_CHECK(running_adapters_.size() <= static_cast<size_t>(config_.max_loras),
             "INV-13: ", running_adapters_.size(), " adapters run");
}

Scheduler::Scheduler(const Config& config, ExternalKv* external)
    : impl_(std::make_unique<Impl>(config, external)) {}
Scheduler::~Scheduler() = default;
Status Scheduler::add(NewRequest request) { return impl_->add(std::move(request)); }
bool Scheduler::ready(RequestId id) { return impl_->ready(id); }
bool Scheduler::abort(RequestId id) { return impl_->abort(id); }
bool Scheduler::reset_prefix_cache(Running running) { return impl_->reset_prefix_cache(running); }
const StepPlan& Scheduler::schedule() { return impl_->schedule(); }
std::span<const FinishedRequest> Scheduler::complete(std::span<const SampledToken> sampled) {
  return impl_->complete(sampled);
}
bool Scheduler::has_requests() const {
  return !impl_->running_.empty() || impl_->policy_->size() > 0;
}
int Scheduler::plans_in_flight() const { return static_cast<int>(impl_->num_in_flight_); }
State Scheduler::state() const { return impl_->state(); }
const Counters& Scheduler::counters() const { return impl_->counters_; }
const Config& Scheduler::config() const { return impl_->config_; }
std::span<const BlockHash> Scheduler::block_hashes(RequestId id) const {
  return impl_->block_hashes(id);
}
int32_t Scheduler::num_tokens(RequestId id) const { return impl_->known(id).num_tokens; }
std::vector<RequestId> Scheduler::waiting_ids() const { return impl_->policy_->ids(); }
std::vector<RequestId> Scheduler::running_ids() const { return impl_->running_ids(); }
void Scheduler::check_invariants() const { impl_->check_invariants(); }

}  // namespace touchstone::scheduler
