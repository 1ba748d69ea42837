#include "simulator/sources.h"

#include <algorithm>
#include <array>
#include <span>
#include <string>
#include <utility>

#include "base/ids.h"
#include "reference_engine/scheduler/block_hash.h"

namespace touchstone::simulator {
namespace {

using scheduler::BlockHash;

// Spaces of blocks that are known by numbers: those that a workload's ids name, and a request's
// own.
constexpr uint64_t kNamed = 1;
constexpr uint64_t kOwn = 2;

/// Never 0, which is none. FNV-1a.
uint64_t number_of(std::string_view name) {
  uint64_t number = 0xcbf29ce484222325;
  for (const char c : name) number = (number ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return number | 1;
}

/// The blocks of one choice: those that its tokens or a trace's ids name, then its own. A request
/// that waits holds the ids as the trace has them, not a hash for each block.
class ChoiceBlocks final : public scheduler::HashSource {
 public:
  ChoiceBlocks(const workload::Request& request, int32_t block_size, uint64_t prompt_owner,
               uint64_t owner, int64_t output_tokens)
      : block_size_(static_cast<size_t>(block_size)),
        ids_block_size_(static_cast<size_t>(request.prefix_block_size)),
        num_prompt_blocks_(static_cast<size_t>(request.prompt_tokens / block_size)),
        size_(static_cast<size_t>((request.prompt_tokens + output_tokens) / block_size)),
        prompt_owner_(prompt_owner),
        owner_(owner) {
    if (!request.prompt_token_ids.empty()) {
      by_tokens_ = scheduler::hash_blocks({.adapter = request.adapter}, request.prompt_token_ids,
                                          block_size);
    } else {
      ids_ = request.prefix_block_ids;
      if (!request.adapter.empty()) {  // other keys and values for the same text
        for (uint64_t& id : ids_) id ^= number_of(request.adapter);
      }
      num_named_ = ids_.size() * ids_block_size_ / block_size_;
    }
  }

  size_t size() const override { return size_; }

  void extend(std::vector<BlockHash>& hashes, size_t count) const override {
    std::array<BlockHash, 64> made;
    while (hashes.size() < count) {
      const size_t block = hashes.size();
      const Run run = run_at(block, count);
      if (block < by_tokens_.size()) {
        hashes.insert(hashes.end(), by_tokens_.begin() + static_cast<std::ptrdiff_t>(block),
                      by_tokens_.begin() + static_cast<std::ptrdiff_t>(run.end));
        continue;
      }
      const auto some = std::span(made).first(std::min(made.size(), run.end - block));
      numbered_hashes(run.space, run.number, block, some);
      hashes.insert(hashes.end(), some.begin(), some.end());
    }
  }

 private:
  /// Blocks up to `end` of which one number says what they hold.
  struct Run {
    size_t end;
    uint64_t space = 0;
    uint64_t number = 0;
  };

  /// From `block` on, at most to `most`.
  Run run_at(size_t block, size_t most) const {
    if (block < by_tokens_.size()) return {.end = std::min(most, by_tokens_.size())};
    if (block < num_named_) {
      // An id names everything up to its block's end, so the id at a block's last token says what
      // that block holds, whichever of the two block sizes is larger.
      const size_t id = ((block + 1) * block_size_ - 1) / ids_block_size_;
      const size_t end = (id + 1) * ids_block_size_ / block_size_;
      return {.end = std::min({most, num_named_, end}), .space = kNamed, .number = ids_[id]};
    }
    if (block < num_prompt_blocks_) {
      return {.end = std::min(most, num_prompt_blocks_), .space = kOwn, .number = prompt_owner_};
    }
    return {.end = most, .space = kOwn, .number = owner_};
  }

  const size_t block_size_;
  const size_t ids_block_size_;
  const size_t num_prompt_blocks_;
  const size_t size_;
  const uint64_t prompt_owner_;  // its choices share a prompt
  const uint64_t owner_;
  std::vector<BlockHash> by_tokens_;
  std::vector<uint64_t> ids_;
  size_t num_named_ = 0;
};

/// Workload requests from wherever, as the simulated requests that each becomes.
class WorkloadSource final : public RequestSource {
 public:
  WorkloadSource(WorkloadFeed feed, const scheduler::Config& config)
      : feed_(std::move(feed)), config_(config) {}

  Result<bool> next(SimulatedRequest& request) override {
    while (next_choice_ == choices_.size()) {
      auto there = feed_(request_);
      if (!there || !*there) return there;
      auto made = simulated_requests(request_, next_id_, config_);
      if (!made) return std::move(made).error();
      choices_ = std::move(*made);
      next_id_ += choices_.size();
      next_choice_ = 0;
    }
    request = std::move(choices_[next_choice_++]);
    return true;
  }

 private:
  WorkloadFeed feed_;
  const scheduler::Config config_;
  workload::Request request_;
  std::vector<SimulatedRequest> choices_;
  size_t next_choice_ = 0;
  uint64_t next_id_ = 1;
};

class RecordSource final : public RequestSource {
 public:
  explicit RecordSource(const std::vector<records::RequestRecord>& records) {
    for (const records::RequestRecord& record : records) {
      if (record.outcome != records::Outcome::kRefused) by_arrival_.push_back(&record);
    }
    std::sort(by_arrival_.begin(), by_arrival_.end(), [](const auto* a, const auto* b) {
      return std::pair(a->arrival_ns, a->id) < std::pair(b->arrival_ns, b->id);
    });
  }

  Result<bool> next(SimulatedRequest& request) override {
    if (next_ == by_arrival_.size()) return false;
    const records::RequestRecord& record = *by_arrival_[next_++];
    const int64_t origin_ns = by_arrival_.front()->arrival_ns;
    auto hashes = parse_block_hashes(record);
    if (!hashes) return std::move(hashes).error();
    request = SimulatedRequest{};
    request.name = record.request_id;
    request.request.id = record.id;
    request.request.arrival_ns = record.arrival_ns - origin_ns;
    request.request.priority = record.priority;
    request.request.num_prompt_tokens = static_cast<int32_t>(record.prompt_tokens);
    request.request.max_tokens = static_cast<int32_t>(record.completion_tokens);
    request.request.block_hashes = std::move(*hashes);
    request.request.skip_reading_prefix_cache = record.skip_reading_prefix_cache;
    request.outcome = record.outcome;
    if (record.completion_tokens == 0) {  // gone before its first token: at the time it went
      request.request.max_tokens = static_cast<int32_t>(record.max_tokens.value_or(1));
      request.abort_ns = record.finished_ns - origin_ns;
    }
    return true;
  }

 private:
  std::vector<const records::RequestRecord*> by_arrival_;
  size_t next_ = 0;
};

}  // namespace

Result<std::vector<SimulatedRequest>> simulated_requests(const workload::Request& request,
                                                         uint64_t first_id,
                                                         const scheduler::Config& config) {
  std::vector<SimulatedRequest> made;
  if (request.raw_body || request.expect_status != 200) return made;
  const std::string who = "request " + request.name;
  if (request.prompt_tokens < 1) {
    return invalid_argument(who + ": prompt_tokens: got none, expected the length of the prompt",
                            "the simulator has no tokenizer: give prompt_tokens or "
                            "prompt_token_ids, or simulate a measured run with --run");
  }
  if (request.output_tokens < 1) {
    return invalid_argument(who + ": output_tokens: got " + std::to_string(request.output_tokens) +
                                ", expected at least 1",
                            "the simulator cannot know when a model stops");
  }
  const int64_t longest = int64_t{config.max_model_len};
  if (request.prompt_tokens >= longest) {
    return invalid_argument(who + ": prompt_tokens: got " + std::to_string(request.prompt_tokens) +
                                ", expected at most " + std::to_string(longest - 1),
                            "max_model_len is " + std::to_string(longest));
  }
  int64_t output = std::min(request.output_tokens, longest - request.prompt_tokens);
  SimulatedRequest choice{.name = request.name};
  if (request.hang_up_after_chunks && *request.hang_up_after_chunks < output) {
    output = std::max<int64_t>(1, *request.hang_up_after_chunks);
    choice.outcome = records::Outcome::kAbort;
  }
  if (!request.session.empty()) choice.session = number_of(request.session);
  choice.adapter = request.adapter;
  if (request.timeout_ns) {
    choice.abort_ns =
        request.arrival_ns + std::min(*request.timeout_ns, INT64_MAX - request.arrival_ns);
  }
  choice.request.arrival_ns = request.arrival_ns;
  choice.request.priority = request.priority;
  choice.request.num_prompt_tokens = static_cast<int32_t>(request.prompt_tokens);
  choice.request.max_tokens = static_cast<int32_t>(output);
  const int64_t choices = request.sampling.n.value_or(1);
  for (int64_t i = 0; i < choices; ++i) {
    choice.request.id = first_id + static_cast<uint64_t>(i);
    choice.request.hash_source = std::make_shared<ChoiceBlocks>(
        request, config.block_size, first_id, choice.request.id, output);
    if (choices > 1) choice.name = request.name + "-" + std::to_string(i);
    made.push_back(i + 1 < choices ? choice : std::move(choice));
  }
  return made;
}

WorkloadFeed generator_feed(const workload::GenerateOptions& options) {
  return
      [generator = workload::Generator(options)](
          workload::Request& request) mutable -> Result<bool> { return generator.next(request); };
}

std::unique_ptr<RequestSource> make_workload_source(WorkloadFeed feed,
                                                    const scheduler::Config& config) {
  return std::make_unique<WorkloadSource>(std::move(feed), config);
}

std::unique_ptr<RequestSource> make_workload_source(const workload::Workload& workload,
                                                    const scheduler::Config& config) {
  return make_workload_source(
      [&workload, i = size_t{0}](workload::Request& request) mutable -> Result<bool> {
        if (i == workload.requests.size()) return false;
        request = workload.requests[i++];
        return true;
      },
      config);
}

std::unique_ptr<RequestSource> make_record_source(
    const std::vector<records::RequestRecord>& records) {
  return std::make_unique<RecordSource>(records);
}

Result<std::vector<BlockHash>> parse_block_hashes(const records::RequestRecord& record) {
  std::vector<BlockHash> hashes;
  for (const std::string& text : record.block_hashes) {
    const std::optional<BlockHash> hash = scheduler::parse_block_hash(text);
    if (!hash) {
      return invalid_argument("request " + record.request_id + ": block_hashes: got \"" + text +
                              "\", expected 32 hex digits");
    }
    hashes.push_back(*hash);
  }
  return hashes;
}

}  // namespace touchstone::simulator
