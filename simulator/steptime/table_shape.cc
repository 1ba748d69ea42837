#include "simulator/steptime/table_shape.h"

#include <algorithm>
#include <utility>

namespace touchstone::simulator {
namespace {

class TableShape final : public StepShape {
 public:
  TableShape(StepTable table, const Validity& validity)
      : table_(std::move(table)), validity_(validity) {}

  StepParts parts_ns(const StepFeatures& f) const override {
    const double whole = time_ns(f);
    const StepFeatures decode{.decode_requests = f.decode_requests,
                              .sampled_requests = std::min(f.sampled_requests, f.decode_requests),
                              .context_tokens = f.context_tokens,
                              .longest_context = f.longest_context};
    const double without = std::min(whole, time_ns(decode));
    return {.decode_ns = without, .prefill_ns = whole - without};
  }
  Validity validity() const override { return validity_; }
  std::string describe() const override { return table_.what; }

 private:
  double time_ns(const StepFeatures& f) const {
    const auto decode = static_cast<double>(f.decode_requests);
    const auto prompts = static_cast<double>(f.prefill_requests);
    const auto prefill = static_cast<double>(f.prefill_tokens);
    double ns = table_.step_ns + table_.request_ns * (decode + prompts);
    if (decode + prefill > 0) ns += table_.dense.at(0, decode + prefill);
    if (f.sampled_requests > 0) ns += table_.head.at(0, static_cast<double>(f.sampled_requests));
    if (decode > 0) {
      const double even =
          table_.decode_attention.at(decode, static_cast<double>(f.context_tokens) / decode);
      const double longest =
          table_.decode_attention.at(decode, static_cast<double>(f.longest_context));
      ns += even + table_.skew * std::max(0.0, longest - even);
    }
    if (prompts > 0) {
      // Token k of a chunk (from 1) reads what was computed before and k others.
      const double chunk = prefill / prompts;
      const double read = static_cast<double>(f.prefill_attention) / prefill;
      const double before = std::max(0.0, read - (chunk + 1) / 2);
      ns += prompts * table_.prefill_attention.at(chunk, before);
    }
    return ns;
  }

  const StepTable table_;
  const Validity validity_;
};

int64_t last(const std::vector<double>& axis) { return static_cast<int64_t>(axis.back()); }

}  // namespace

std::shared_ptr<const StepShape> make_table_shape(StepTable table, const Validity& validity) {
  return std::make_shared<TableShape>(std::move(table), validity);
}

Validity validity_of(const StepTable& table) {
  Validity validity;
  if (!table.dense.empty()) validity.high.prefill_tokens = last(table.dense.columns());
  if (!table.head.empty()) validity.high.sampled_requests = last(table.head.columns());
  if (!table.decode_attention.empty()) {
    validity.high.decode_requests = last(table.decode_attention.rows());
    validity.high.context_tokens =
        last(table.decode_attention.rows()) * last(table.decode_attention.columns());
  }
  return validity;
}

}  // namespace touchstone::simulator
