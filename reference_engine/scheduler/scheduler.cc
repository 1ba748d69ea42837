#include "reference_engine/scheduler/scheduler.h"

#include <algorithm>
#include <deque>
#include <utility>

#include "base/check.h"
#include "reference_engine/scheduler/block_hash.h"
#include "reference_engine/scheduler/flat_index.h"
#include "reference_engine/scheduler/kv_manager.h"
#include "reference_engine/scheduler/policies.h"
#include "reference_engine/scheduler/request.h"

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

bool contains(const std::vector<TokenId>& tokens, TokenId token) {
  return std::find(tokens.begin(), tokens.end(), token) != tokens.end();
}

/// Sequential ids must not fill neighbouring cells of a power-of-two table.
uint64_t hash_id(RequestId id) { return (id ^ (id >> 31)) * 0x9e3779b97f4a7c15u >> 17; }

Config checked(const Config& config) {
  const Status status = validate(config);
  BASE_CHECK(status.has_value(), status.error().message);
  return config;
}

}  // namespace

class Scheduler::Impl {
 public:
  explicit Impl(const Config& config)
      : config_(checked(config)), kv_(config_), policy_(make_policy(config_.policy)) {
    running_.reserve(static_cast<size_t>(config_.max_num_seqs));
    planned_.reserve(static_cast<size_t>(config_.max_num_seqs));
    finished_.reserve(static_cast<size_t>(config_.max_num_seqs));
    plan_.scheduled.reserve(static_cast<size_t>(config_.max_num_seqs));
    plan_.preempted.reserve(static_cast<size_t>(config_.max_num_seqs));
  }

  void add(NewRequest&& request);
  bool abort(RequestId id);
  const StepPlan& schedule();
  std::span<const FinishedRequest> complete(std::span<const SampledToken> sampled);
  State state() const;
  const Request& known(RequestId id) const;
  std::span<const BlockHash> block_hashes(RequestId id) const;
  std::vector<RequestId> running_ids() const;
  void check_invariants() const;

  const Config config_;
  Counters counters_;
  KvManager kv_;
  std::unique_ptr<SchedulingPolicy> policy_;
  std::vector<Request*> running_;

 private:
  void schedule_running(int32_t& budget);
  void admit_waiting(int32_t& budget);
  bool make_room(size_t& index, int32_t num_tokens, int32_t& budget);
  void preempt(size_t victim_index, size_t& index, int32_t& budget);
  ScheduledRequest& plan_request(Request& request, int32_t num_tokens, int32_t& budget);
  void append_token(Request& request, TokenId token) const;
  std::optional<FinishedRequest> finish_of(const Request& request,
                                           const SampledToken& sampled) const;
  Request* find(RequestId id);
  const Request* find(RequestId id) const { return const_cast<Impl*>(this)->find(id); }
  Request& new_slot();
  void forget(Request& request);

  std::deque<Request> storage_;  // stable addresses; slots are used again
  std::vector<int32_t> free_slots_;
  FlatIndex by_id_;
  StepPlan plan_;
  std::vector<Request*> planned_;  // of plan_.scheduled, same order; null once aborted
  std::vector<FinishedRequest> finished_;
  int64_t steps_ = 0;
  bool plan_is_open_ = false;  // schedule() was called, complete() not yet
};

void Scheduler::Impl::add(NewRequest&& request) {
  const int32_t prompt = request.num_prompt_tokens;
  BASE_CHECK(prompt >= 1 && prompt < config_.max_model_len, "request ", request.id, ": ", prompt,
             " prompt tokens, max_model_len ", config_.max_model_len);
  BASE_CHECK(request.max_tokens >= 1, "request ", request.id, ": ", request.max_tokens);
  // min_tokens precedes the length test, so it must not lead beyond the model's length.
  BASE_CHECK(request.min_tokens <= config_.max_model_len - prompt, "request ", request.id,
             ": min_tokens ", request.min_tokens, " after ", prompt, " prompt tokens");
  BASE_CHECK(find(request.id) == nullptr, "request ", request.id, " is not new");
  Request& r = new_slot();
  r.id = request.id;
  r.arrival_ns = request.arrival_ns;
  r.priority = request.priority;
  r.num_prompt_tokens = r.num_tokens = prompt;
  r.max_tokens = request.max_tokens;
  r.min_tokens = request.min_tokens;
  r.num_computed_tokens = r.num_hashed_blocks = 0;
  r.status = Request::Status::kWaiting;
  r.ignore_eos = request.ignore_eos;
  r.skip_reading_prefix_cache = request.skip_reading_prefix_cache;
  r.admitted_before = false;
  r.hashes = std::move(request.block_hashes);
  r.tail = std::move(request.unhashed_tail);
  r.chain_root = request.chain_root;
  r.eos_token_ids = std::move(request.eos_token_ids);
  r.stop_token_ids = std::move(request.stop_token_ids);
  const size_t block_size = static_cast<size_t>(config_.block_size);
  r.extends_hashes = r.hashes.size() * block_size + r.tail.size() == static_cast<size_t>(prompt);
  // Once here, so that no step allocates.
  const int64_t longest =
      std::min<int64_t>(int64_t{prompt} + request.max_tokens, config_.max_model_len);
  r.blocks.reserve(static_cast<size_t>(longest) / block_size + 1);
  if (r.extends_hashes) {
    BASE_CHECK(r.tail.size() < block_size, "request ", request.id, ": the tail has a full block");
    BASE_CHECK(!r.hashes.empty() || r.chain_root != BlockHash{}, "request ", request.id,
               ": chain_root is missing; see set_prompt()");
    r.hashes.reserve(static_cast<size_t>(longest) / block_size);
    r.tail.reserve(block_size);
  }
  by_id_.insert(r.slot, [this](int32_t s) { return hash_id(storage_[static_cast<size_t>(s)].id); });
  policy_->push(r);
}

bool Scheduler::Impl::abort(RequestId id) {
  Request* const request = find(id);
  if (request == nullptr) return false;
  if (request->status == Request::Status::kRunning) {
    running_.erase(std::find(running_.begin(), running_.end(), request));
    std::replace(planned_.begin(), planned_.end(), request, static_cast<Request*>(nullptr));
    kv_.release(*request);
  } else {
    policy_->remove(*request);
  }
  forget(*request);
  return true;
}

const StepPlan& Scheduler::Impl::schedule() {
  BASE_CHECK(!plan_is_open_, "complete() must follow the plan of step ", plan_.step);
  plan_.scheduled.clear();
  plan_.preempted.clear();
  planned_.clear();
  size_t preempted_before;
  int32_t budget;
  do {
    preempted_before = plan_.preempted.size();
    budget = config_.max_num_batched_tokens;
    schedule_running(budget);
    if (plan_.preempted.size() == preempted_before) admit_waiting(budget);
    // A pass that did nothing but preempt is a step without work: the next one follows at once.
  } while (plan_.scheduled.empty() && plan_.preempted.size() > preempted_before);
  plan_.total_tokens = config_.max_num_batched_tokens - budget;
  BASE_CHECK(budget >= 0, "INV-6: the step has ", plan_.total_tokens, " tokens");
  for (size_t i = 0; i < planned_.size(); ++i) {
    planned_[i]->num_computed_tokens += plan_.scheduled[i].num_scheduled_tokens;
  }
  plan_.step = steps_;
  if (!plan_.scheduled.empty()) {
    ++steps_;
    plan_is_open_ = true;
  }
  return plan_;
}

void Scheduler::Impl::schedule_running(int32_t& budget) {
  for (size_t i = 0; i < running_.size() && budget > 0; ++i) {
    Request& request = *running_[i];
    const int32_t computed = request.num_computed_tokens;
    int32_t want = request.num_tokens - computed;
    if (config_.long_prefill_token_threshold > 0) {
      want = std::min(want, config_.long_prefill_token_threshold);
    }
    want = std::min({want, budget, config_.max_model_len - computed - 1});
    if (!make_room(i, computed + want, budget)) return;
    plan_request(request, want, budget);
  }
}

/// Gives running_[index] blocks for `num_tokens` tokens, preempting others while it must. False:
/// it was its own victim. Preemption moves `index` when somebody before it is gone.
bool Scheduler::Impl::make_room(size_t& index, int32_t num_tokens, int32_t& budget) {
  Request* const request = running_[index];
  while (!kv_.grow(*request, num_tokens)) {
    const size_t victim_index = policy_->choose_victim(running_);
    const Request* const victim = running_[victim_index];
    preempt(victim_index, index, budget);
    if (victim == request) return false;
  }
  return true;
}

void Scheduler::Impl::preempt(size_t victim_index, size_t& index, int32_t& budget) {
  Request& victim = *running_[victim_index];
  running_.erase(running_.begin() + static_cast<std::ptrdiff_t>(victim_index));
  const auto planned = std::find(planned_.begin(), planned_.end(), &victim);
  if (planned != planned_.end()) {
    // It gives its share of this step back. What that share would have filled was not computed, so
    // nobody may find it (vLLM 0.32 leaves these hashes in place).
    const auto entry = plan_.scheduled.begin() + (planned - planned_.begin());
    budget += entry->num_scheduled_tokens;
    plan_.scheduled.erase(entry);
    planned_.erase(planned);
    kv_.uncache_after(victim, victim.num_computed_tokens);
  }
  if (victim_index < index) --index;
  kv_.release(victim);
  victim.num_computed_tokens = 0;
  victim.status = Request::Status::kPreempted;
  policy_->push_preempted(victim);
  plan_.preempted.push_back(victim.id);
  ++counters_.preemptions;
}

void Scheduler::Impl::admit_waiting(int32_t& budget) {
  const size_t most = static_cast<size_t>(config_.max_num_seqs);
  while (budget > 0 && running_.size() < most) {
    Request* const request = policy_->head();
    if (request == nullptr || kv_.pool().free() == 0) return;  // a hit needs a new block too
    const int32_t cached = kv_.find_prefix(*request);
    int32_t want = request->num_tokens - cached;
    if (config_.long_prefill_token_threshold > 0) {
      want = std::min(want, config_.long_prefill_token_threshold);
    }
    if (!config_.enable_chunked_prefill && want > budget) return;
    want = std::min(want, budget);
    const int64_t watermark = running_.empty() ? 0 : config_.watermark_blocks;
    if (!kv_.admit(*request, want, watermark)) return;  // nobody overtakes the head

    policy_->remove(*request);
    running_.push_back(request);
    request->num_computed_tokens = cached;
    ScheduledRequest& entry = plan_request(*request, want, budget);
    entry.num_cached_tokens = cached;
    entry.first_schedule = !request->admitted_before;
    entry.resumed = request->status == Request::Status::kPreempted;
    request->status = Request::Status::kRunning;
    if (!request->admitted_before && config_.enable_prefix_caching &&
        !request->skip_reading_prefix_cache) {
      counters_.prefix_cache_queries += request->num_tokens;
      counters_.prefix_cache_hits += cached;
    }
    request->admitted_before = true;
  }
}

ScheduledRequest& Scheduler::Impl::plan_request(Request& request, int32_t num_tokens,
                                                int32_t& budget) {
  const int32_t reached = request.num_computed_tokens + num_tokens;
  kv_.cache_full_blocks(request, reached);
  budget -= num_tokens;
  planned_.push_back(&request);
  return plan_.scheduled.emplace_back(ScheduledRequest{
      .id = request.id,
      .num_computed_tokens = request.num_computed_tokens,
      .num_scheduled_tokens = num_tokens,
      .num_prompt_tokens = request.num_prompt_tokens,
      .samples_token = reached == request.num_tokens,
      .block_table = request.blocks,
  });
}

std::span<const FinishedRequest> Scheduler::Impl::complete(std::span<const SampledToken> sampled) {
  BASE_CHECK(plan_is_open_, "complete() without a plan");
  plan_is_open_ = false;
  finished_.clear();
  size_t used = 0;
  for (size_t i = 0; i < planned_.size(); ++i) {
    Request* const request = planned_[i];
    if (request == nullptr || !plan_.scheduled[i].samples_token) continue;
    BASE_CHECK(used < sampled.size() && sampled[used].id == request->id, "token ", used, " of ",
               sampled.size(), " is not that of request ", request->id);
    const SampledToken& token = sampled[used++];
    append_token(*request, token.token);
    if (const auto finish = finish_of(*request, token)) {
      finished_.push_back(*finish);
      finished_.back().block_hashes = request->hashes;
      kv_.release(*request);
      request->status = Request::Status::kFinished;
    }
  }
  BASE_CHECK(used == sampled.size(), sampled.size() - used, " tokens too many");
  if (!finished_.empty()) {
    std::erase_if(running_, [this](Request* request) {
      if (request->status != Request::Status::kFinished) return false;
      forget(*request);
      return true;
    });
  }
  return finished_;
}

void Scheduler::Impl::append_token(Request& request, TokenId token) const {
  ++request.num_tokens;
  if (!request.extends_hashes) return;
  request.tail.push_back(token);
  if (request.tail.size() < static_cast<size_t>(config_.block_size)) return;
  const BlockHash parent = request.hashes.empty() ? request.chain_root : request.hashes.back();
  request.hashes.push_back(chain_hash(parent, request.tail));
  request.tail.clear();
}

/// Order of the tests as in vLLM 0.32 v1/core/sched/utils.py, check_stop().
std::optional<FinishedRequest> Scheduler::Impl::finish_of(const Request& request,
                                                          const SampledToken& sampled) const {
  if (sampled.stop_string) return FinishedRequest{request.id, FinishReason::kStop, std::nullopt};
  const int32_t outputs = request.num_output_tokens();
  if (outputs < request.min_tokens) return std::nullopt;
  if (!request.ignore_eos && contains(request.eos_token_ids, sampled.token)) {
    return FinishedRequest{request.id, FinishReason::kStop, std::nullopt};
  }
  if (contains(request.stop_token_ids, sampled.token)) {
    return FinishedRequest{request.id, FinishReason::kStop, sampled.token};
  }
  if (request.num_tokens >= config_.max_model_len || outputs >= request.max_tokens) {
    return FinishedRequest{request.id, FinishReason::kLength, std::nullopt};
  }
  return std::nullopt;
}

Request* Scheduler::Impl::find(RequestId id) {
  const int32_t slot = by_id_.find(
      hash_id(id), [&](int32_t s) { return storage_[static_cast<size_t>(s)].id == id; });
  return slot == FlatIndex::kNone ? nullptr : &storage_[static_cast<size_t>(slot)];
}

Request& Scheduler::Impl::new_slot() {
  if (free_slots_.empty()) {
    Request& request = storage_.emplace_back();
    request.slot = static_cast<int32_t>(storage_.size() - 1);
    // Room to give every slot back without allocating in a step.
    if (free_slots_.capacity() < storage_.size()) free_slots_.reserve(2 * storage_.size());
    return request;
  }
  Request& request = storage_[static_cast<size_t>(free_slots_.back())];
  free_slots_.pop_back();
  return request;
}

/// The slot of a request that holds no blocks and stands in no queue can be used again.
void Scheduler::Impl::forget(Request& request) {
  by_id_.erase(request.slot,
               [this](int32_t s) { return hash_id(storage_[static_cast<size_t>(s)].id); });
  free_slots_.push_back(request.slot);
}

State Scheduler::Impl::state() const {
  return {.running = static_cast<int64_t>(running_.size()),
          .waiting = static_cast<int64_t>(policy_->size()),
          .free_blocks = kv_.pool().free(),
          .cached_blocks = kv_.pool().free_cached(),
          .total_blocks = kv_.pool().total()};
}

const Request& Scheduler::Impl::known(RequestId id) const {
  const Request* const request = find(id);
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
  for (const Request* r : running_) {
    BASE_CHECK(r->status == Request::Status::kRunning, "request ", r->id);
    BASE_CHECK(0 <= r->num_computed_tokens && r->num_computed_tokens <= r->num_tokens &&
                   r->num_tokens <= config_.max_model_len,
               "INV-6: request ", r->id, ": ", r->num_computed_tokens, "/", r->num_tokens);
    BASE_CHECK(r->blocks.size() * static_cast<size_t>(config_.block_size) >=
                   static_cast<size_t>(r->num_computed_tokens),
               "INV-6: request ", r->id, " holds ", r->blocks.size(), " blocks");
    for (const BlockId block : r->blocks) {
      BASE_CHECK(block != kNullBlock, "request ", r->id, " holds the null block");
      ++references[static_cast<size_t>(block)];
    }
  }
  for (BlockId block = 1; block <= pool.total(); ++block) {
    BASE_CHECK(pool.references(block) == references[static_cast<size_t>(block)], "INV-2: block ",
               block, " has ", pool.references(block), " references, ",
               references[static_cast<size_t>(block)], " holders");
  }
  BASE_CHECK(by_id_.size() == running_.size() + policy_->size(), "INV-4: ", by_id_.size(),
             " known, ", running_.size(), " running, ", policy_->size(), " waiting");
}

Scheduler::Scheduler(const Config& config) : impl_(std::make_unique<Impl>(config)) {}
Scheduler::~Scheduler() = default;
void Scheduler::add(NewRequest request) { impl_->add(std::move(request)); }
bool Scheduler::abort(RequestId id) { return impl_->abort(id); }
const StepPlan& Scheduler::schedule() { return impl_->schedule(); }
std::span<const FinishedRequest> Scheduler::complete(std::span<const SampledToken> sampled) {
  return impl_->complete(sampled);
}
bool Scheduler::has_requests() const {
  return !impl_->running_.empty() || impl_->policy_->size() > 0;
}
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
