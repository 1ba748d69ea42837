#include "workload/transform.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/check.h"
#include "base/random.h"
#include "base/text.h"

namespace touchstone::workload {
namespace {

class ScaledReader final : public RequestReader {
 public:
  ScaledReader(std::unique_ptr<RequestReader> from, const ScaleOptions& options)
      : from_(std::move(from)), options_(options) {}

  Result<bool> next(Request& request) override {
    auto there = from_->next(request);
    if (!there || !*there) return there;
    const double arrival_ns = static_cast<double>(request.arrival_ns) / options_.rate;
    if (!(arrival_ns < 9.2e18)) {
      return invalid_argument(where() + ": arrival_ns: got a time beyond 292 years after scaling");
    }
    if (options_.rate != 1) request.arrival_ns = static_cast<int64_t>(arrival_ns);
    scale(options_.prompt_tokens, request.prompt_tokens);
    scale(options_.output_tokens, request.output_tokens);
    if (options_.prompt_tokens != 1) {
      if (request.prompt || !request.prompt_token_ids.empty() || !request.messages.empty()) {
        return invalid_argument(where() + ": got a prompt of its own, expected its length alone",
                                "only traces without text have prompts that can be scaled");
      }
      if (request.prefix_block_size > 0) {
        const auto fits = static_cast<size_t>(request.prompt_tokens / request.prefix_block_size);
        if (request.prefix_block_ids.size() > fits) request.prefix_block_ids.resize(fits);
      }
    }
    return true;
  }
  std::string where() const override { return from_->where(); }
  std::string left_out() const override { return from_->left_out(); }

 private:
  static void scale(double factor, int64_t& tokens) {
    if (factor == 1 || tokens == 0) return;
    const double scaled = static_cast<double>(tokens) * factor;
    tokens = std::clamp<int64_t>(std::llround(std::min(scaled, 1e15)), 1, INT32_MAX);
  }

  const std::unique_ptr<RequestReader> from_;
  const ScaleOptions options_;
};

class ThinnedReader final : public RequestReader {
 public:
  ThinnedReader(std::unique_ptr<RequestReader> from, double share, uint64_t seed)
      : from_(std::move(from)), share_(share), seed_(seed) {}

  Result<bool> next(Request& request) override {
    for (;;) {
      auto there = from_->next(request);
      if (!there || !*there) return there;
      const std::string& who = request.session.empty() ? request.name : request.session;
      if (RandomStream(seed_, who).uniform() < share_) return true;
    }
  }
  std::string where() const override { return from_->where(); }
  std::string left_out() const override { return from_->left_out(); }

 private:
  const std::unique_ptr<RequestReader> from_;
  const double share_;
  const uint64_t seed_;
};

class WindowReader final : public RequestReader {
 public:
  WindowReader(std::unique_ptr<RequestReader> from, const WindowOptions& options)
      : from_(std::move(from)), options_(options) {}

  Result<bool> next(Request& request) override {
    for (;;) {
      auto there = from_->next(request);
      if (!there || !*there) return there;
      if (request.arrival_ns < options_.from_ns) continue;
      const int64_t into_ns = request.arrival_ns - options_.from_ns;
      if (into_ns >= options_.length_ns) return false;
      if (into_ns > INT64_MAX - options_.at_ns) {
        return invalid_argument(where() + ": arrival_ns: got a time beyond 292 years");
      }
      request.arrival_ns = options_.at_ns + into_ns;
      return true;
    }
  }
  std::string where() const override { return from_->where(); }
  std::string left_out() const override { return from_->left_out(); }

 private:
  const std::unique_ptr<RequestReader> from_;
  const WindowOptions options_;
};

class SplicedReader final : public RequestReader {
 public:
  SplicedReader(std::vector<std::unique_ptr<RequestReader>> inputs, const SpliceOptions& options)
      : options_(options) {
    inputs_.resize(inputs.size());
    for (size_t i = 0; i < inputs.size(); ++i) inputs_[i].reader = std::move(inputs[i]);
  }

  Result<bool> next(Request& request) override {
    if (options_.one_after_another) return next_in_turn(request);
    size_t first = inputs_.size();
    for (size_t i = 0; i < inputs_.size(); ++i) {
      RETURN_IF_ERROR(fill(inputs_[i]));
      if (!inputs_[i].there) continue;
      if (first == inputs_.size() || inputs_[i].head.arrival_ns < inputs_[first].head.arrival_ns) {
        first = i;
      }
    }
    if (first == inputs_.size()) return false;
    request = std::move(inputs_[first].head);
    inputs_[first].there = false;
    last_ = first;
    mark(request, first);
    return true;
  }
  std::string where() const override { return inputs_[last_].reader->where(); }
  std::string left_out() const override {
    std::vector<std::string> all;
    for (const Input& input : inputs_) {
      if (std::string some = input.reader->left_out(); !some.empty())
        all.push_back(std::move(some));
    }
    return join(all, "; ");
  }

 private:
  struct Input {
    std::unique_ptr<RequestReader> reader;
    Request head;
    bool there = false;
    bool over = false;
  };

  static Status fill(Input& input) {
    if (input.there || input.over) return {};
    const auto there = input.reader->next(input.head);
    if (!there) return there.error();
    input.there = *there;
    input.over = !*there;
    return {};
  }

  Result<bool> next_in_turn(Request& request) {
    for (; last_ < inputs_.size(); ++last_) {
      auto there = inputs_[last_].reader->next(request);
      if (!there) return there;
      if (*there) {
        if (request.arrival_ns > INT64_MAX - start_ns_) {
          return invalid_argument(where() + ": arrival_ns: got a time beyond 292 years");
        }
        request.arrival_ns += start_ns_;
        latest_ns_ = request.arrival_ns;
        mark(request, last_);
        return true;
      }
      if (last_ + 1 == inputs_.size()) return false;
      start_ns_ =
          latest_ns_ > INT64_MAX - options_.gap_ns ? INT64_MAX : latest_ns_ + options_.gap_ns;
    }
    return false;
  }

  static void mark(Request& request, size_t input) {
    const std::string prefix = std::to_string(input) + "/";
    request.name = prefix + request.name;
    if (!request.session.empty()) request.session = prefix + request.session;
    for (uint64_t& id : request.prefix_block_ids) {
      uint64_t state = id + input * 0x9e3779b97f4a7c15;
      if (input > 0) id = splitmix64(state) >> 1;
    }
  }

  const SpliceOptions options_;
  std::vector<Input> inputs_;
  size_t last_ = 0;
  int64_t start_ns_ = 0;   // one after another: of the present input
  int64_t latest_ns_ = 0;  // arrival
};

Status check_factor(const char* what, double factor) {
  if (factor >= 1e-6 && factor <= 1e6) return {};
  return invalid_argument(std::string("scale: ") + what + ": got " + format_double(factor) +
                          ", expected 0.000001 to 1000000");
}

}  // namespace

Result<std::unique_ptr<RequestReader>> make_scaled(std::unique_ptr<RequestReader> from,
                                                   const ScaleOptions& options) {
  RETURN_IF_ERROR(check_factor("rate", options.rate));
  RETURN_IF_ERROR(check_factor("prompt tokens", options.prompt_tokens));
  RETURN_IF_ERROR(check_factor("output tokens", options.output_tokens));
  return std::unique_ptr<RequestReader>(std::make_unique<ScaledReader>(std::move(from), options));
}

Result<std::unique_ptr<RequestReader>> make_thinned(std::unique_ptr<RequestReader> from,
                                                    double share, uint64_t seed) {
  if (!(share > 0) || !(share <= 1)) {
    return invalid_argument("thin: share: got " + format_double(share) +
                            ", expected more than 0, at most 1");
  }
  return std::unique_ptr<RequestReader>(
      std::make_unique<ThinnedReader>(std::move(from), share, seed));
}

Result<std::unique_ptr<RequestReader>> make_window(std::unique_ptr<RequestReader> from,
                                                   const WindowOptions& options) {
  if (options.from_ns < 0 || options.length_ns < 0 || options.at_ns < 0) {
    return invalid_argument("shift: got a negative time, expected 0 or later");
  }
  return std::unique_ptr<RequestReader>(std::make_unique<WindowReader>(std::move(from), options));
}

Result<std::unique_ptr<RequestReader>> make_spliced(
    std::vector<std::unique_ptr<RequestReader>> inputs, const SpliceOptions& options) {
  BASE_CHECK(!inputs.empty());
  if (options.gap_ns < 0) {
    return invalid_argument("splice: gap: got a negative time, expected 0 or more");
  }
  return std::unique_ptr<RequestReader>(
      std::make_unique<SplicedReader>(std::move(inputs), options));
}

}  // namespace touchstone::workload
