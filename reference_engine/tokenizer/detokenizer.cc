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

bool shows_text(const Tokenizer& tokenizer, std::span<const int32_t> ids,
                bool skip_special_tokens) {
  return std::any_of(ids.begin(), ids.end(), [&](int32_t id) {
    return !(skip_special_tokens && tokenizer.is_special(id)) && !tokenizer.token_bytes(id).empty();
  });
}

Detokenizer::Detokenizer(const Tokenizer& tokenizer, DetokenizerOptions options)
    : tokenizer_(tokenizer),
      options_(std::move(options)),
      any_shown_(options_.after_text),
      cuts_left_(options_.after_text ? 0 : tokenizer.rules().cut_max) {
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
  append_bytes(token);
  if (tokens_ > options_.min_tokens && held_.size() > old_size) {
    if (auto stop = find_stop(held_.size() - old_size)) return stop;
  }
  release(size_without_last(held_, hold_back_characters_));
  return std::nullopt;
}

void Detokenizer::append_bytes(int32_t token) {
  const TextRules& rules = tokenizer_.rules();
  // Text ends a run of bytes; in a stream of bytes there is no such end.
  if (!rules.is_byte_stream && !tokenizer_.is_byte_token(token)) replace_pending();
  if (any_shown_) {
    pending_ += rules.separator;
    pending_ += tokenizer_.token_bytes(token);
  } else {
    pending_ += tokenizer_.first_bytes(token);
    any_shown_ = true;
  }
  take_whole_characters();
  if (cuts_left_ > 0) cut_beginning();
}

void Detokenizer::take_whole_characters() {
  const bool is_byte_stream = tokenizer_.rules().is_byte_stream;
  std::string_view rest = pending_;
  while (!rest.empty()) {
    const Utf8Sequence sequence = next_sequence(rest);
    if (sequence.kind == Utf8Kind::kIncomplete) break;
    if (sequence.kind == Utf8Kind::kValid) {
      held_ += rest.substr(0, sequence.size);
    } else {
      const size_t count = is_byte_stream ? 1 : sequence.size;
      for (size_t i = 0; i < count; ++i) held_ += kReplacementCharacter;
    }
    rest.remove_prefix(sequence.size);
  }
  pending_.erase(0, pending_.size() - rest.size());
}

void Detokenizer::replace_pending() {
  for (size_t i = 0; i < pending_.size(); ++i) held_ += kReplacementCharacter;
  pending_.clear();
}

void Detokenizer::cut_beginning() {
  const std::string& cut = tokenizer_.rules().cut;
  // One character, so held_ begins with all of it or with something else.
  while (cuts_left_ > 0 && !held_.empty()) {
    if (held_.compare(0, cut.size(), cut) != 0) {
      cuts_left_ = 0;
      return;
    }
    held_.erase(0, cut.size());
    --cuts_left_;
  }
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
