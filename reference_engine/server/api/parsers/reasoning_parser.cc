#include "reference_engine/server/api/parsers/reasoning_parser.h"

#include <algorithm>
#include <utility>

#include "reference_engine/server/api/parsers/tag_search.h"

namespace touchstone::server::api {
namespace {

constexpr ReasoningParserRow kRows[] = {
    {"deepseek_r1", "<think>", "</think>", "", nullptr},
    {"qwen3", "<think>", "</think>", "<tool_call>", "enable_thinking"},
};

constexpr std::string_view kTurn = "<|im_start|>";

}  // namespace

std::span<const ReasoningParserRow> reasoning_parsers() { return kRows; }

bool reasons_after(const ReasoningParserRow& row, std::string_view prompt) {
  if (const size_t turn = prompt.rfind(kTurn); turn != std::string_view::npos) {
    prompt.remove_prefix(turn);
  }
  const size_t close = prompt.rfind(row.close);
  const size_t open = prompt.rfind(row.open);
  return close == std::string_view::npos || (open != std::string_view::npos && open > close);
}

std::string ReasoningParser::add(std::string_view text, ParsedText& out) {
  if (ended_) return std::string(text);
  pending_ += text;
  if (!opened_) {
    const size_t first = std::min(pending_.find_first_not_of(" \n\r\t"), pending_.size());
    const std::string_view rest = std::string_view(pending_).substr(first);
    if (rest.size() < row_.open.size() && row_.open.starts_with(rest)) return {};
    if (rest.starts_with(row_.open)) pending_.erase(0, first + row_.open.size());
    opened_ = true;
  }
  const size_t close = pending_.find(row_.close);
  const size_t other =
      row_.also_closes.empty() ? std::string::npos : pending_.find(row_.also_closes);
  if (close == std::string::npos && other == std::string::npos) {
    const size_t kept =
        std::max(partial_tag(pending_, row_.close),
                 row_.also_closes.empty() ? 0 : partial_tag(pending_, row_.also_closes));
    out.reasoning += pending_.substr(0, pending_.size() - kept);
    pending_.erase(0, pending_.size() - kept);
    return {};
  }
  ended_ = true;
  const size_t end = std::min(close, other);
  out.reasoning += pending_.substr(0, end);
  std::string rest = pending_.substr(end + (close < other ? row_.close.size() : 0));
  pending_.clear();
  return rest;
}

void ReasoningParser::finish(ParsedText& out) { out.reasoning += std::exchange(pending_, {}); }

}  // namespace touchstone::server::api
