#include "reference_engine/server/beam_search.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/check.h"

namespace touchstone::server {

BeamSearch::BeamSearch(const Options& options, std::span<const int32_t> prompt)
    : options_(options), prompt_size_(std::ssize(prompt)), prompt_last_(prompt.back()), beams_(1) {}

int64_t BeamSearch::bytes_max(int32_t width, int64_t tokens, bool keep_logprobs) {
  constexpr int64_t kGrowth = 2;  // of a vector
  const int64_t row = keep_logprobs ? int64_t{sizeof(Row)} + (2 * int64_t{width} + 1) *
                                                                 int64_t{sizeof(Row::value_type)}
                                    : 0;
  return kGrowth * width * tokens * (int64_t{sizeof(Node)} + row);
}

std::vector<int32_t> BeamSearch::tokens(size_t i) const {
  std::vector<int32_t> tokens;
  for (int64_t at = beams_[i].last; at != kNone; at = nodes_[static_cast<size_t>(at)].parent) {
    tokens.push_back(nodes_[static_cast<size_t>(at)].token);
  }
  std::ranges::reverse(tokens);
  return tokens;
}

BeamSearch::Beam BeamSearch::extended(const Beam& beam, const sampling::TokenLogprob& next,
                                      int64_t row) {
  nodes_.push_back({.parent = beam.last, .row = row, .token = next.token});
  return {.last = std::ssize(nodes_) - 1,
          .length = beam.length + 1,
          .cumulative = beam.cumulative + double{next.logprob}};
}

/// Cumulative log-probability over length, the prompt's tokens included and an end not.
double BeamSearch::score(const Beam& beam) const {
  const int32_t last =
      beam.last != kNone ? nodes_[static_cast<size_t>(beam.last)].token : prompt_last_;
  const int64_t length = prompt_size_ + beam.length - (last == options_.eos_token_id ? 1 : 0);
  return beam.cumulative /
         std::pow(static_cast<double>(std::max<int64_t>(length, 1)), options_.length_penalty);
}

void BeamSearch::complete(const Beam& beam, const sampling::TokenLogprob& eos, int64_t row) {
  Beam ended = beam;
  if (options_.keep_eos) {
    ended = extended(beam, eos, row);
  } else {
    ended.cumulative += double{eos.logprob};
  }
  ended.stopped = true;
  // Scores do not change any more, so what is not among the best now never will be.
  const double its = score(ended);
  const auto place =
      std::ranges::find_if(completed_, [&](const Beam& other) { return score(other) < its; });
  completed_.insert(place, std::move(ended));
  if (std::ssize(completed_) > options_.width) completed_.pop_back();
}

void BeamSearch::advance(std::span<const Row> rows) {
  BASE_CHECK(rows.size() == beams_.size() && !done(), rows.size(), " ", beams_.size());
  struct Candidate {
    const Beam* beam;
    sampling::TokenLogprob next;
    int64_t row;
    double cumulative;
  };
  std::vector<Candidate> candidates;
  for (size_t i = 0; i < rows.size(); ++i) {
    std::vector<int32_t> seen;
    int64_t row = kNone;
    if (options_.keep_logprobs) {
      row = std::ssize(rows_);
      rows_.push_back(rows[i]);
    }
    for (const sampling::TokenLogprob& next : rows[i]) {
      if (std::ranges::find(seen, next.token) != seen.end()) continue;  // sampled and likely
      seen.push_back(next.token);
      if (next.token == options_.eos_token_id) {
        complete(beams_[i], next, row);
      } else {
        candidates.push_back({&beams_[i], next, row, beams_[i].cumulative + double{next.logprob}});
      }
    }
  }
  std::ranges::stable_sort(candidates, std::greater<>(), &Candidate::cumulative);
  std::vector<Beam> next;
  for (const Candidate& candidate : candidates) {
    if (std::ssize(next) == options_.width) break;
    next.push_back(extended(*candidate.beam, candidate.next, candidate.row));
  }
  beams_ = std::move(next);
  steps_ += 1;
}

std::vector<BeamSearch::Result> BeamSearch::best() const {
  std::vector<Beam> all = completed_;
  all.insert(all.end(), beams_.begin(), beams_.end());
  std::ranges::stable_sort(all, std::greater<>(), [this](const Beam& beam) { return score(beam); });
  all.resize(std::min(all.size(), static_cast<size_t>(options_.width)));
  std::vector<Result> results;
  for (const Beam& beam : all) {
    Result& result = results.emplace_back();
    result.stopped = beam.stopped;
    for (int64_t at = beam.last; at != kNone;) {
      const Node& node = nodes_[static_cast<size_t>(at)];
      at = node.parent;
      result.tokens.push_back(node.token);
      if (node.row == kNone) continue;
      Row row = rows_[static_cast<size_t>(node.row)];
      const auto chosen = *std::ranges::find(row, node.token, &sampling::TokenLogprob::token);
      row.insert(row.begin(), chosen);
      result.logprobs.push_back(std::move(row));
    }
    std::ranges::reverse(result.tokens);
    std::ranges::reverse(result.logprobs);
  }
  return results;
}

}  // namespace touchstone::server
