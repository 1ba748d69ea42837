#include "conformance/examples.h"

#include <algorithm>
#include <tuple>

#include "conformance/hash.h"

namespace touchstone::conformance {
namespace {

Example example_of(uint64_t hash, const SpanView& view) {
  Example example{.hash = hash,
                  .span = *view.span,
                  .entry = view.request == nullptr ? nullptr : view.request->entry,
                  .phases = {}};
  for (const char* phase : {"queue", "prefill", "decode", "ttft"}) {
    if (const auto seconds = view.number(phase)) example.phases.emplace_back(phase, *seconds);
  }
  return example;
}

bool smaller_hash(const Example& a, const Example& b) { return a.hash < b.hash; }

bool faster(const Example& a, const Example& b) {
  const int64_t a_ns = a.duration_ns();
  const int64_t b_ns = b.duration_ns();
  return std::tie(a_ns, a.hash) < std::tie(b_ns, b.hash);
}

}  // namespace

std::optional<double> Example::phase(const std::string& name) const {
  for (const auto& [phase, seconds] : phases) {
    if (phase == name) return seconds;
  }
  return std::nullopt;
}

void Examples::add(const SpanView& view) {
  const uint64_t hash = Hash64().add(view.span->trace_id).add(view.span->span_id).value();
  const int64_t duration_ns = view.span->end_unix_ns - view.span->start_unix_ns;
  const bool slower = !slowest_ || duration_ns > slowest_->duration_ns() ||
                      (duration_ns == slowest_->duration_ns() && hash > slowest_->hash);
  if (slower) slowest_ = example_of(hash, view);
  const bool full = sample_.size() == kSampleMax;
  if (full && hash >= sample_.front().hash) return;
  if (full) {
    std::pop_heap(sample_.begin(), sample_.end(), smaller_hash);
    sample_.pop_back();
  }
  sample_.push_back(example_of(hash, view));
  std::push_heap(sample_.begin(), sample_.end(), smaller_hash);
}

std::optional<Example> Examples::median() const {
  if (sample_.empty()) return std::nullopt;
  std::vector<const Example*> order;
  for (const Example& example : sample_) order.push_back(&example);
  const auto middle = order.begin() + static_cast<std::ptrdiff_t>(order.size() / 2);
  std::nth_element(order.begin(), middle, order.end(),
                   [](const Example* a, const Example* b) { return faster(*a, *b); });
  return **middle;
}

}  // namespace touchstone::conformance
