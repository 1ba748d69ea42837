#include "reference_engine/backend/plan.h"

#include "base/check.h"

namespace touchstone::backend {

void Outputs::lay_out(const Plan& plan, int32_t vocab_size) {
  tokens.assign(plan.entries.size(), 0);
  rows_.clear();
  int64_t elements = 0;
  for (const Entry& entry : plan.entries) {
    Rows rows{.first = elements, .num_prompt_rows = entry.num_prompt_rows};
    if (entry.num_prompt_rows > 0) {
      rows.prompt_row_size = sampling::logprob_row_size(entry.prompt_logprobs, vocab_size);
    }
    if (entry.sample && entry.logprobs) {
      rows.sampled_row_size = sampling::logprob_row_size(*entry.logprobs, vocab_size);
    }
    elements += rows.num_prompt_rows * rows.prompt_row_size + rows.sampled_row_size;
    rows_.push_back(rows);
  }
  logprobs.resize(elements);
}

std::vector<sampling::TokenLogprob> Outputs::sampled_logprobs(size_t entry) const {
  const Rows& rows = rows_.at(entry);
  return logprobs.copy_row(rows.first + rows.num_prompt_rows * rows.prompt_row_size,
                           rows.sampled_row_size);
}

std::vector<sampling::TokenLogprob> Outputs::prompt_logprobs(size_t entry, int64_t k) const {
  const Rows& rows = rows_.at(entry);
  BASE_CHECK(k >= 0 && k < rows.num_prompt_rows, k);
  return logprobs.copy_row(rows.first + k * rows.prompt_row_size, rows.prompt_row_size);
}

sampling::LogprobRow Outputs::sampled_row(size_t entry) {
  const Rows& rows = rows_.at(entry);
  return logprobs.row(rows.first + rows.num_prompt_rows * rows.prompt_row_size,
                      rows.sampled_row_size);
}

sampling::LogprobRow Outputs::prompt_row(size_t entry, int64_t k) {
  const Rows& rows = rows_.at(entry);
  BASE_CHECK(k >= 0 && k < rows.num_prompt_rows, k);
  return logprobs.row(rows.first + k * rows.prompt_row_size, rows.prompt_row_size);
}

}  // namespace touchstone::backend
