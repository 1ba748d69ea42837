// complete(): what the oldest plan in flight yielded; who finishes, whose blocks come free.
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "reference_engine/scheduler/scheduler_impl.h"

namespace touchstone::scheduler {
namespace {

bool contains(const std::vector<TokenId>& tokens, TokenId token) {
  return std::find(tokens.begin(), tokens.end(), token) != tokens.end();
}

}  // namespace

std::span<const FinishedRequest> Scheduler::Impl::complete(std::span<const SampledToken> sampled) {
  BASE_CHECK(num_in_flight_ > 0, "complete() without a plan");
  const Plan& plan = plans_[oldest_];
  --num_in_flight_;
  oldest_ = num_in_flight_ == 0 ? 0 : (oldest_ + 1) % plans_.size();
  finished_.clear();
  finished_hashes_.clear();
  size_t used = 0;
  for (size_t i = 0; i < plan.planned.size(); ++i) {
    const ScheduledRequest& entry = plan.step.scheduled[i];
    Request* const request = plan.planned[i];
    if (request == nullptr) continue;
    request->num_tokens_in_flight -= entry.num_scheduled_tokens;
    --request->plans_in_flight;
    const bool is_over = request->status == Request::Status::kFinished;
    const bool brought = used < sampled.size() && sampled[used].id == entry.id;
    if (entry.samples_token && !is_over) {
      BASE_CHECK(brought, "token ", used, " of ", sampled.size(), " is not that of request ",
                 entry.id);
      take_token(*request, sampled[used++]);
    } else if (entry.samples_token && brought) {
      ++used;  // it was over before this plan was: nobody wants the token
    }
    if (request->status != Request::Status::kRunning) settle(*request);
  }
  BASE_CHECK(used == sampled.size(), sampled.size() - used, " tokens too many");
  if (!finished_.empty()) {
    std::erase_if(running_, [this](Request* request) {
      if (request->status != Request::Status::kFinished) return false;
      stop_running(*request);
      return true;
    });
  }
  return finished_;
}

void Scheduler::Impl::take_token(Request& request, const SampledToken& token) {
  --request.num_output_placeholders;
  append_token(request, token.token);
  const bool runs = request.status == Request::Status::kRunning;
  if (runs && config_.async_scheduling) {
    // The plan that computed a placeholder could not say what its block holds.
    kv_.cache_full_blocks(request, request.num_computed_tokens - request.num_output_placeholders);
  }
  const auto finish = finish_of(request, token);
  if (!finish) return;
  finished_hashes_.push_back(std::move(request.hashes));
  finished_.push_back(*finish);
  finished_.back().block_hashes = finished_hashes_.back();
  if (!runs) {  // preempted while its last token was computed
    policy_->remove(request);
    std::erase(preempted_, request.id);
  }
  request.status = Request::Status::kFinished;
  requests_.forget(request);
  give_blocks_back(request);
}

void Scheduler::Impl::append_token(Request& request, TokenId token) {
  ++request.num_tokens;
  if (!request.extends_hashes) return;
  request.tail.push_back(token);
  if (request.tail.size() < static_cast<size_t>(config_.block_size)) return;
  const BlockHash parent = request.hashes.empty() ? request.chain_root : request.hashes.back();
  request.hashes.push_back(hasher_.next(parent, request.tail));
  kv_.pool().prefetch(request.hashes.back());  // the next plan gives it to the block
  request.tail.clear();
}

/// Order of the tests as in vLLM 0.32 v1/core/sched/utils.py, check_stop().
std::optional<FinishedRequest> Scheduler::Impl::finish_of(const Request& request,
                                                          const SampledToken& sampled) const {
  const bool may_end = sampled.stop_string || !request.stop_token_ids.empty() ||
                       !request.eos_token_ids.empty() || request.num_tokens >= request.length_limit;
  if (!may_end) return std::nullopt;
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

/// Blocks that a plan in flight computes or reads come free when it is done.
void Scheduler::Impl::give_blocks_back(Request& request) {
  if (request.plans_in_flight == 0) {
    kv_.release(request);
  } else if (std::find(releases_due_.begin(), releases_due_.end(), &request) ==
             releases_due_.end()) {
    releases_due_.push_back(&request);
  }
}

/// After a plan that held it is done.
void Scheduler::Impl::settle(Request& request) {
  if (request.plans_in_flight > 0) return;
  const auto due = std::find(releases_due_.begin(), releases_due_.end(), &request);
  if (due != releases_due_.end()) {
    releases_due_.erase(due);
    kv_.release(request);
  }
  if (request.status == Request::Status::kFinished) requests_.recycle(request);
}

}  // namespace touchstone::scheduler
