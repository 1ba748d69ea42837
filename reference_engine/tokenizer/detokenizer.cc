#include "reference_engine/tokenizer/detokenizer.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/utf8.h"

namespace touchstone::tokenizer {
namespace {

// Bytes of `text` before its last `characters` characters.
size_t size_without_last(const std::string& text, size_t characters) {
  size_t position = text.size();
  while (position > 0 && characters > 0) {
    --position;
    if ((static_cast<uint8_t>(text[position]) & 0xC0) != 0x80) --characters;
  }
  return position;
}

}  // namespace

Detokenizer::Detokenizer(const Tokenizer& tokenizer, DetokenizerOptions options)
    : tokenizer_(tokenizer), options_(std::move(options)) {
  for (const std::string& stop : options_.stop) {
    BASE_CHECK(!stop.empty(), "an empty stop string");
    stop_bytes_max_ = std::max(stop_bytes_max_, stop.size());
    // A stop string that stays in the text takes nothing back.
    if (!options_.include_stop_in_output) {
      hold_back_characters_ = std::max(hold_back_characters_, count_characters(stop) - 1);
    }
  }
}

std::optional<std::string> Detokenizer::add(int32_t token) {
  BASE_CHECK(!finished_, "a token after the end");
  ++tokens_;
  if (options_.skip_special_tokens && tokenizer_.is_special(token)) return std::nullopt;
  const size_t old_size = held_.size();
  pending_ += tokenizer_.token_bytes(token);
  take_whole_characters();
  if (tokens_ > options_.min_tokens && held_.size() > old_size) {
    if (auto stop = find_stop(held_.size() - old_size)) return stop;
  }
  release(size_without_last(held_, hold_back_characters_));
  return std::nullopt;
}

void Detokenizer::take_whole_characters() {
  std::string_view rest = pending_;
  while (!rest.empty()) {
    const Utf8Sequence sequence = next_sequence(rest);
    if (sequence.kind == Utf8Kind::kIncomplete) break;
    held_ +=
        sequence.kind == Utf8Kind::kValid ? rest.substr(0, sequence.size) : kReplacementCharacter;
    rest.remove_prefix(sequence.size);
  }
  pending_.erase(0, pending_.size() - rest.size());
}

std::optional<std::string> Detokenizer::find_stop(size_t new_bytes) {
  if (options_.stop.empty()) return std::nullopt;
  const size_t tail = std::min(text_.size(), stop_bytes_max_ - 1);
  const std::string window = text_.substr(text_.size() - tail) + held_;
  const size_t old_bytes = window.size() - new_bytes;
  for (const std::string& stop : options_.stop) {
    // Only a match that reaches into the new text is news.
    const size_t from = old_bytes >= stop.size() - 1 ? old_bytes - (stop.size() - 1) : 0;
    const size_t position = window.find(stop, from);
    if (position == std::string::npos) continue;
    const size_t cut = options_.include_stop_in_output ? position + stop.size() : position;
    BASE_CHECK(cut >= tail, "a stop string reaches into text that was sent");
    held_.resize(cut - tail);
    pending_.clear();
    release(held_.size());
    finished_ = true;
    return stop;
  }
  return std::nullopt;
}

void Detokenizer::release(size_t bytes) {
  text_.append(held_, 0, bytes);
  held_.erase(0, bytes);
}

void Detokenizer::finish() {
  if (finished_) return;
  finished_ = true;
  release(held_.size());
  pending_.clear();
}

std::string Detokenizer::take_delta() {
  std::string delta = text_.substr(taken_);
  taken_ = text_.size();
  return delta;
}

}  // namespace touchstone::tokenizer
