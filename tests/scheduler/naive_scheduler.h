// The scheduler's rules once more, slow and plain: vectors, whole token sequences instead of
// hashes, every question answered by looking at everything. The real one is compared with it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <list>
#include <map>
#include <tuple>
#include <utility>
#include <vector>

#include "reference_engine/scheduler/config.h"
#include "reference_engine/scheduler/types.h"

namespace touchstone::scheduler::testing {

using Tokens = std::vector<TokenId>;

class NaiveScheduler {
 public:
  struct Entry {
    RequestId id = 0;
    int computed = 0, scheduled = 0, cached = 0;
    bool samples = false, placeholder = false, first = false, resumed = false;
    std::vector<BlockId> blocks;
    bool operator==(const Entry&) const = default;
  };
  struct Plan {
    std::vector<Entry> scheduled;
    std::vector<RequestId> preempted;
  };
  struct Request {
    NewRequest r;
    Tokens tokens;
    int computed = 0, placeholders = 0, in_flight = 0, plans = 0;
    std::vector<BlockId> blocks;
    enum { kWaiting, kRunning, kPreempted, kOver } status = kWaiting;
    bool admitted = false, deferred = false;
  };

  explicit NaiveScheduler(const Config& config) : c_(config), blocks_(config.num_blocks) {
    for (BlockId b = 1; b < c_.num_blocks; ++b) free_.push_back(b);
  }

  void add(const NewRequest& r, const Tokens& tokens) {
    Request& request = all_[r.id];
    request.r = r;
    request.tokens = tokens;
    request.deferred = !r.ready;
    waiting_.push_back(&request);
    sort();
  }
  void ready(RequestId id) { all_.at(id).r.ready = true, all_.at(id).deferred = false; }
  void abort(RequestId id) { end(all_.at(id)); }
  bool knows(RequestId id) const {
    return all_.contains(id) && all_.at(id).status != Request::kOver;
  }

  Plan schedule() {
    Plan plan;
    size_t before = 0;
    do {
      before = preempted_.size();
      int budget = c_.max_num_batched_tokens;
      const bool stuck = run(plan, budget);
      if (preempted_.size() == before && !stuck) admit(plan, budget);
    } while (plan.scheduled.empty() && preempted_.size() > before && in_flight_.empty());
    if (plan.scheduled.empty()) return plan;
    plan.preempted = std::exchange(preempted_, {});
    for (const Entry& e : plan.scheduled) {
      Request& r = all_.at(e.id);
      r.computed += e.scheduled;
      r.in_flight += e.scheduled;
      r.placeholders += e.samples;
      ++r.plans;
    }
    in_flight_.push_back(plan);
    return plan;
  }

  /// Tokens by id; those of requests that are over are not looked at.
  std::vector<std::pair<RequestId, FinishReason>> complete(std::map<RequestId, TokenId> sampled) {
    const Plan plan = in_flight_.front();
    in_flight_.pop_front();
    std::vector<std::pair<RequestId, FinishReason>> finished;
    for (const Entry& e : plan.scheduled) {
      Request& r = all_.at(e.id);
      if (r.plans == 0) continue;  // aborted, synchronously
      r.in_flight -= e.scheduled;
      --r.plans;
      if (r.status != Request::kOver && e.samples) {
        --r.placeholders;
        r.tokens.push_back(sampled.at(e.id));
        if (r.status == Request::kRunning) cache(r, r.computed - r.placeholders);
        const int outputs = static_cast<int>(r.tokens.size()) - r.r.num_prompt_tokens;
        const bool eos = !r.r.ignore_eos && r.tokens.back() == r.r.eos_token_ids[0];
        const bool full = std::ssize(r.tokens) >= c_.max_model_len || outputs >= r.r.max_tokens;
        if (outputs >= r.r.min_tokens && (eos || full)) {
          finished.emplace_back(e.id, eos ? FinishReason::kStop : FinishReason::kLength);
          end(r);
        }
      }
      if (r.status != Request::kRunning && r.plans == 0) release(r);
    }
    return finished;
  }

  State state() const {
    State s;
    s.running = std::ssize(running_);
    s.waiting = std::ssize(waiting_);
    for (const Request* r : waiting_) s.waiting_deferred += r->deferred;
    s.free_blocks = std::ssize(free_);
    for (const BlockId b : free_) s.cached_blocks += !blocks_[b].content.empty();
    return s;
  }

 private:
  struct Block {
    int references = 0;
    Tokens content;  // of the sequence up to its end; empty: nobody may find it
    int64_t age = 0;
  };

  int blocks_for(int tokens) const { return (tokens + c_.block_size - 1) / c_.block_size; }
  Tokens head(const Request& r, int blocks) const {
    return {r.tokens.begin(), r.tokens.begin() + blocks * c_.block_size};
  }
  BlockId find(const Tokens& content) const {
    BlockId best = 0;
    for (BlockId b = 1; b < c_.num_blocks; ++b) {
      if (blocks_[b].content == content && (best == 0 || blocks_[b].age < blocks_[best].age))
        best = b;
    }
    return best;
  }
  void free_one(BlockId b) {
    if (b == kNullBlock || --blocks_[b].references > 0) return;
    blocks_[b].content.empty() ? free_.push_front(b) : free_.push_back(b);
  }
  void release(Request& r) {
    for (; !r.blocks.empty(); r.blocks.pop_back()) free_one(r.blocks.back());
  }
  bool grow(Request& r, int tokens) {
    const int missing = blocks_for(tokens) - static_cast<int>(r.blocks.size());
    if (missing > std::ssize(free_)) return false;
    for (int i = 0; i < missing; ++i) {
      r.blocks.push_back(free_.front());
      blocks_[free_.front()] = {.references = 1, .content = {}, .age = 0};
      free_.pop_front();
    }
    return true;
  }
  void cache(Request& r, int tokens) {
    if (!c_.enable_prefix_caching) return;
    tokens = std::min<int>(tokens, static_cast<int>(r.tokens.size()));
    for (int i = 0; (i + 1) * c_.block_size <= tokens; ++i) {
      if (r.blocks[i] == kNullBlock || !blocks_[r.blocks[i]].content.empty()) continue;
      blocks_[r.blocks[i]].content = head(r, i + 1);
      blocks_[r.blocks[i]].age = ++age_;
    }
  }
  void sort() {
    if (c_.policy == Policy::kFcfs) return;
    std::sort(waiting_.begin(), waiting_.end(), [](const Request* a, const Request* b) {
      return std::tie(a->r.priority, a->r.arrival_ns, a->r.id) <
             std::tie(b->r.priority, b->r.arrival_ns, b->r.id);
    });
  }
  bool any_due() const {
    return std::any_of(all_.begin(), all_.end(), [](const auto& r) {
      return r.second.status != Request::kRunning && r.second.plans > 0;
    });
  }
  void end(Request& r) {
    std::erase(running_, &r);
    std::erase(waiting_, &r);
    std::erase(preempted_, r.r.id);
    r.status = Request::kOver;
    if (!c_.async_scheduling) r.plans = 0;
    if (r.plans == 0) release(r);
  }
  void plan_one(Plan& plan, Request& r, int want, int cached, int& budget) {
    const int known = static_cast<int>(r.tokens.size());
    budget -= want;
    cache(r, r.computed + want);
    plan.scheduled.push_back({.id = r.r.id,
                              .computed = r.computed,
                              .scheduled = want,
                              .cached = cached,
                              .samples = r.computed + want == known + r.placeholders,
                              .placeholder = r.computed + want > known,
                              .first = !r.admitted,
                              .resumed = r.status == Request::kPreempted,
                              .blocks = r.blocks});
    r.admitted = true;
    r.status = Request::kRunning;
  }
  int cut(int want) const {
    const int most = c_.long_prefill_token_threshold;
    return most > 0 ? std::min(want, most) : want;
  }

  /// True: somebody waits for blocks in flight.
  bool run(Plan& plan, int& budget) {
    for (size_t i = 0; i < running_.size() && budget > 0;) {
      Request& r = *running_[i];
      const int known = static_cast<int>(r.tokens.size());
      const int outputs = known + r.placeholders - r.r.num_prompt_tokens;
      const bool last = r.placeholders > 0 && outputs >= std::max(r.r.max_tokens, r.r.min_tokens);
      const int want = std::min(
          {cut(known + r.placeholders - r.computed), budget, c_.max_model_len - 1 - r.computed});
      if (!last && want > 0) {
        if (c_.sliding_window > 0) {
          const int gone = r.computed - r.in_flight - c_.sliding_window + 1;
          for (int b = gone / c_.block_size; gone > 0 && b > 0; --b) {
            free_one(std::exchange(r.blocks[b - 1], kNullBlock));
          }
        }
        while (!grow(r, r.computed + want)) {
          if (any_due()) return true;
          if (!preempt(plan, budget, r)) return false;
        }
        plan_one(plan, r, want, 0, budget);
      }
      i = static_cast<size_t>(std::find(running_.begin(), running_.end(), &r) - running_.begin()) +
          1;
    }
    return false;
  }

  /// False: `wanting` was its own victim.
  bool preempt(Plan& plan, int& budget, const Request& wanting) {
    size_t victim = running_.size() - 1;
    if (c_.policy == Policy::kPriority) {
      victim = 0;
      for (size_t i = 1; i < running_.size(); ++i) {
        const NewRequest &a = running_[victim]->r, &b = running_[i]->r;
        if (std::tie(a.priority, a.arrival_ns) < std::tie(b.priority, b.arrival_ns)) victim = i;
      }
    }
    Request& r = *running_[victim];
    running_.erase(running_.begin() + static_cast<std::ptrdiff_t>(victim));
    std::erase_if(plan.scheduled, [&](const Entry& e) {
      if (e.id != r.r.id) return false;
      budget += e.scheduled;
      for (size_t b = static_cast<size_t>(r.computed / c_.block_size); b < r.blocks.size(); ++b) {
        blocks_[r.blocks[b]].content.clear();
      }
      return true;
    });
    r.status = Request::kPreempted;
    r.computed = 0;
    if (r.plans == 0) release(r);
    waiting_.insert(waiting_.begin(), &r);
    sort();
    preempted_.push_back(r.r.id);
    return &r != &wanting;
  }

  void admit(Plan& plan, int& budget) {
    for (size_t i = 0; i < waiting_.size() && budget > 0;) {
      if (std::ssize(running_) >= c_.max_num_seqs || free_.empty()) return;
      Request& r = *waiting_[i];
      std::vector<int32_t> adapters;
      for (const Request* other : running_) {
        if (other->r.adapter != 0) adapters.push_back(other->r.adapter);
      }
      std::sort(adapters.begin(), adapters.end());
      adapters.erase(std::unique(adapters.begin(), adapters.end()), adapters.end());
      const bool slot = r.r.adapter == 0 || std::ssize(adapters) < c_.max_loras ||
                        std::count(adapters.begin(), adapters.end(), r.r.adapter) > 0;
      r.deferred = !r.r.ready || !slot;
      if (r.deferred) {
        ++i;
        continue;
      }
      const std::vector<BlockId> hits = prefix(r);
      const int cached = static_cast<int>(hits.size()) * c_.block_size;
      const int all = static_cast<int>(r.tokens.size());
      int want = cut(all - cached);
      if (!c_.enable_chunked_prefill && want > budget) return;
      want = std::min(want, budget);
      const int64_t must = blocks_for(c_.reserve_full_prompt ? all : cached + want);
      const int64_t free_hits = std::count_if(hits.begin(), hits.end(), [&](BlockId b) {
        return b != kNullBlock && blocks_[b].references == 0;
      });
      const int64_t watermark = running_.empty() ? 0 : c_.watermark_blocks;
      if (must - std::ssize(hits) + free_hits + watermark > std::ssize(free_)) return;
      waiting_.erase(waiting_.begin() + static_cast<std::ptrdiff_t>(i));
      running_.push_back(&r);
      for (const BlockId b : hits) {
        if (b != kNullBlock && blocks_[b].references++ == 0) free_.remove(b);
      }
      r.blocks = hits;
      r.computed = cached;
      grow(r, cached + want);
      plan_one(plan, r, want, cached, budget);
    }
  }

  std::vector<BlockId> prefix(const Request& r) const {
    std::vector<BlockId> found;
    if (!c_.enable_prefix_caching || r.r.skip_reading_prefix_cache) return found;
    const int most = (static_cast<int>(r.tokens.size()) - 1) / c_.block_size;
    for (int i = 1; i <= most; ++i) found.push_back(find(head(r, i)));
    if (c_.sliding_window == 0) {
      found.erase(std::find(found.begin(), found.end(), kNullBlock), found.end());
      return found;
    }
    const int needed = std::max(1, blocks_for(c_.sliding_window - 1));
    for (; !found.empty(); found.pop_back()) {
      int row = 0;
      const int size = static_cast<int>(found.size());
      while (row < size && row < needed && found[size - 1 - row] != kNullBlock) ++row;
      if (row < needed && row < size) continue;
      std::fill(found.begin(), found.end() - row, kNullBlock);
      return found;
    }
    return found;
  }

  const Config c_;
  std::map<RequestId, Request> all_;
  std::vector<Request*> waiting_, running_;
  std::vector<RequestId> preempted_;
  std::deque<Plan> in_flight_;
  std::vector<Block> blocks_;
  std::list<BlockId> free_;
  int64_t age_ = 0;
};

}  // namespace touchstone::scheduler::testing
