// Beam search over what an engine says of one token at a time: which beams go on, which are
// complete, and which are best in the end. Pure; thread-compatible. Source: vLLM 0.32
// entrypoints/generate/beam_search/{online,utils}.py; where two candidates are equal numpy's order
// is unspecified, here the earlier beam and the likelier token come first.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "reference_engine/sampling/logprobs.h"

namespace touchstone::server {

class BeamSearch final {
 public:
  struct Options {
    int32_t width = 1;       ///< >= 1
    int32_t max_tokens = 1;  ///< >= 1
    double length_penalty = 1.0;
    std::optional<int32_t> eos_token_id = {};  ///< absent: nothing ends a beam early
    bool keep_eos = false;                     ///< it is part of the tokens
    bool keep_logprobs = false;
  };
  using Row = std::vector<sampling::TokenLogprob>;
  /// The most that `width` beams of `tokens` tokens take.
  static int64_t bytes_max(int32_t width, int64_t tokens, bool keep_logprobs);
  /// One answer.
  struct Result {
    std::vector<int32_t> tokens;
    std::vector<Row> logprobs;  ///< of each token: itself, then the most likely ones
    bool stopped = false;       ///< by the end of the text, not by its length
  };

  /// REQUIRES: the prompt is not empty.
  BeamSearch(const Options& options, std::span<const int32_t> prompt);

  bool done() const { return beams_.empty() || steps_ == options_.max_tokens; }
  /// Beams that wait for their next token; at most Options::width.
  size_t size() const { return beams_.size(); }
  /// What beam `i` has said after the prompt.
  std::vector<int32_t> tokens(size_t i) const;
  /// What may follow each beam: its sampled token and the 2 * width most likely ones.
  /// REQUIRES: rows.size() == size(), !done().
  void advance(std::span<const Row> rows);
  /// The best ones, at most Options::width, best first.
  std::vector<Result> best() const;

 private:
  static constexpr int64_t kNone = -1;
  /// A token and what came before it; beams share their beginnings.
  struct Node {
    int64_t parent = kNone;  // of nodes_; kNone: the prompt
    int64_t row = kNone;     // of rows_: what it was chosen from; kNone unless they are kept
    int32_t token = 0;
  };
  struct Beam {
    int64_t last = kNone;  // of nodes_; kNone: nothing was said yet
    int32_t length = 0;
    double cumulative = 0;
    bool stopped = false;
  };
  Beam extended(const Beam& beam, const sampling::TokenLogprob& next, int64_t row);
  void complete(const Beam& beam, const sampling::TokenLogprob& eos, int64_t row);
  double score(const Beam& beam) const;

  const Options options_;
  const int64_t prompt_size_;
  const int32_t prompt_last_;
  int32_t steps_ = 0;
  std::vector<Node> nodes_;
  std::vector<Row> rows_;
  std::vector<Beam> beams_;
  std::vector<Beam> completed_;  // the best so far, at most width, best first
};

}  // namespace touchstone::server
