#include "reference_engine/tokenizer/decoder.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/text.h"
#include "base/utf8.h"
#include "reference_engine/tokenizer/byte_level.h"

namespace touchstone::tokenizer {
namespace {

// "<0x0A>" → 10. As the source has it, "+A" counts as hexadecimal too.
std::optional<uint8_t> byte_of(std::string_view token) {
  if (token.size() != 6 || token.substr(0, 3) != "<0x" || token[5] != '>') return std::nullopt;
  std::string_view digits = token.substr(3, 2);
  if (digits[0] == '+') digits.remove_prefix(1);
  uint8_t byte = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), byte, 16);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return byte;
}

bool starts_with(std::string_view text, std::string_view prefix) {
  return text.substr(0, prefix.size()) == prefix;
}

bool ends_with(std::string_view text, std::string_view suffix) {
  return text.size() >= suffix.size() && text.substr(text.size() - suffix.size()) == suffix;
}

}  // namespace

Result<Decoder> Decoder::parse(const Part& part) {
  Decoder result;
  if (part.is_null()) {
    result.rules_.separator = " ";
    return result;
  }
  if (Status added = result.add(part); !added) return std::move(added).error();
  return result;
}

Status Decoder::add(const Part& part) {
  const std::string type = part.type();
  if (type == "Sequence") {
    for (const Part& member : part["decoders"].elements()) RETURN_IF_ERROR(add(member));
    return {};
  }
  if (complete_) return part.unsupported(quote(type) + " after a decoder that is the last");
  const bool first = steps_.empty() && !reads_bytes_ && !fused_;
  if (type == "ByteLevel") {
    if (!first) return part.unsupported("ByteLevel after another decoder");
    rules_.is_byte_stream = complete_ = true;
    return {};
  }
  if (type == "Metaspace") {
    if (!first) return part.unsupported("Metaspace after another decoder");
    return add_metaspace(part);
  }
  if (type == "Fuse") {
    fused_ = true;
    return {};
  }
  if (type == "Strip") return add_strip(part);
  if (fused_ || reads_bytes_) return part.unsupported(quote(type) + " after Fuse or ByteFallback");
  if (type == "Replace") return add_replace(part);
  if (type == "ByteFallback") {
    reads_bytes_ = true;
    return {};
  }
  return part.unsupported("type " + quote(type));
}

Status Decoder::add_replace(const Part& part) {
  auto to = part["content"].text();
  if (!to) return std::move(to).error();
  auto pattern = pattern_of(part["pattern"]);
  if (!pattern) return std::move(pattern).error();
  auto regex = Regex::compile(*pattern);
  if (!regex) return std::move(regex).error().with_context(part.where());
  steps_.emplace_back(Replace{std::move(*regex), std::move(*to)});
  return {};
}

Status Decoder::add_strip(const Part& part) {
  auto character = part["content"].text();
  if (!character) return std::move(character).error();
  if (character->empty()) return part["content"].malformed("expected one character");
  const auto count = [&](const char* key) {
    const auto& value = part[key].value();
    return value.is_number_integer() ? std::max<int64_t>(0, value.get<int64_t>()) : 0;
  };
  const Strip strip{std::move(*character), count("start"), count("stop")};
  if (!fused_) {
    if (reads_bytes_) return part.unsupported("Strip after ByteFallback without Fuse");
    steps_.emplace_back(strip);
    return {};
  }
  if (strip.stop > 0) return part["stop"].unsupported("a text whose end is cut after Fuse");
  if (rules_.cut_max > 0) return part.unsupported("more than one Strip after Fuse");
  rules_.cut = strip.character;
  rules_.cut_max = strip.start;
  return {};
}

Status Decoder::add_metaspace(const Part& part) {
  auto replacement = part["replacement"].text();
  if (!replacement) return std::move(replacement).error();
  auto regex = Regex::compile(escape_for_regex(*replacement));
  if (!regex) return std::move(regex).error().with_context(part.where());
  steps_.emplace_back(Replace{std::move(*regex), " "});
  const bool prepended =
      part.flag("add_prefix_space", true) && part["prepend_scheme"].value() != "never";
  if (prepended) rules_.dropped_from_first = std::move(*replacement);
  complete_ = true;
  return {};
}

std::string Decoder::apply(const Step& step, std::string text) {
  if (const auto* strip = std::get_if<Strip>(&step)) {
    for (int64_t i = 0; i < strip->start && starts_with(text, strip->character); ++i) {
      text.erase(0, strip->character.size());
    }
    for (int64_t i = 0; i < strip->stop && ends_with(text, strip->character); ++i) {
      text.resize(text.size() - strip->character.size());
    }
    return text;
  }
  const auto& replace = std::get<Replace>(step);
  return replace_matches(text, replace.regex, replace.to);
}

TokenText Decoder::text_of(std::string_view spelling) const {
  if (rules_.is_byte_stream) {
    return {spelled_bytes(spelling).value_or(std::string(spelling)), false};
  }
  std::string text(spelling);
  for (const Step& step : steps_) text = apply(step, std::move(text));
  if (reads_bytes_) {
    if (const auto byte = byte_of(text)) return {std::string(1, static_cast<char>(*byte)), true};
  }
  return {std::move(text), false};
}

std::string first_text(const TextRules& rules, std::string_view spelling, const TokenText& text) {
  const std::string& dropped = rules.dropped_from_first;
  if (dropped.empty()) return text.bytes;
  std::string out;
  while (!spelling.empty()) {
    const size_t at = spelling.find(dropped);
    out += spelling.substr(0, at);
    if (at == std::string_view::npos) break;
    spelling.remove_prefix(at + dropped.size());
  }
  return out;
}

void TextJoiner::add(std::string_view spelling, const TokenText& text) {
  if (text.is_byte) {
    run_ += text.bytes;
  } else {
    end_run();
    if (first_) {
      out_ += first_text(rules_, spelling, text);
    } else {
      out_ += rules_.separator;
      out_ += text.bytes;
    }
  }
  first_ = false;
}

void TextJoiner::end_run() {
  if (is_valid_utf8(run_)) {
    out_ += run_;
  } else {
    for (size_t i = 0; i < run_.size(); ++i) out_ += kReplacementCharacter;
  }
  run_.clear();
}

std::string TextJoiner::finish() {
  end_run();
  if (rules_.is_byte_stream) {
    std::string text;
    append_lossy(out_, text);
    return text;
  }
  size_t begin = 0;
  for (int64_t i = 0; i < rules_.cut_max; ++i) {
    if (!starts_with(std::string_view(out_).substr(begin), rules_.cut)) break;
    begin += rules_.cut.size();
  }
  return out_.substr(begin);
}

}  // namespace touchstone::tokenizer
