#include "reference_engine/tokenizer/normalizer.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <utility>

#include "base/check.h"
#include "base/text.h"
#include "base/utf8.h"
#include "reference_engine/tokenizer/newer_unicode.h"
#include "reference_engine/tokenizer/white_space.h"

namespace touchstone::tokenizer {
namespace {

constexpr auto kNfc =
    static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE);  // canonical
constexpr auto kNfd = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE);
constexpr auto kNfkc = static_cast<utf8proc_option_t>(kNfc | UTF8PROC_COMPAT);
constexpr auto kNfkd = static_cast<utf8proc_option_t>(kNfd | UTF8PROC_COMPAT);

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<uint8_t>(c) < 0x80; });
}

std::string in_form(const std::string& text, utf8proc_option_t options) {
  utf8proc_uint8_t* out = nullptr;
  const utf8proc_ssize_t size =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                   static_cast<utf8proc_ssize_t>(text.size()), &out, options);
  if (size < 0) return text;
  std::string result(reinterpret_cast<const char*>(out), static_cast<size_t>(size));
  std::free(out);  // NOLINT: utf8proc allocates with malloc
  return result;
}

// Newer characters part the text: they stay, and what is beside them does not meet.
std::string in_known_form(const std::string& text, utf8proc_option_t options) {
  std::string out;
  std::string known;
  std::string_view rest = text;
  while (!rest.empty()) {
    const CodePoint c = decode_character(rest);
    if (is_unknown_to_forms(c.value)) {
      out += in_form(known, options);
      out += rest.substr(0, c.size);
      known.clear();
    } else {
      known += rest.substr(0, c.size);
    }
    rest.remove_prefix(c.size);
  }
  return out + in_form(known, options);
}

template <typename Visit>
void for_each_character(std::string_view text, const Visit& visit) {
  while (!text.empty()) {
    const CodePoint c = decode_character(text);
    visit(c.value, text.substr(0, c.size));
    text.remove_prefix(c.size);
  }
}

// Character by character, as Rust's char::to_lowercase: no final sigma.
std::string lowercase(std::string_view text) {
  constexpr int32_t kCapitalIWithDot = 0x130;
  std::string out;
  for_each_character(text, [&](int32_t c, std::string_view) {
    if (c == kCapitalIWithDot) {
      out += "i\u0307";
    } else {
      append_character(utf8proc_tolower(c), out);
    }
  });
  return out;
}

std::string without_marks(std::string_view text) {
  std::string out;
  for_each_character(text, [&](int32_t c, std::string_view bytes) {
    const auto category = utf8proc_category(c);
    const bool mark = category == UTF8PROC_CATEGORY_MN || category == UTF8PROC_CATEGORY_MC ||
                      category == UTF8PROC_CATEGORY_ME;
    if (!mark) out += bytes;
  });
  return out;
}

std::string replace_text(std::string_view text, const std::string& from, const std::string& to) {
  std::string out;
  out.reserve(text.size() + text.size() / 4);
  size_t done = 0;
  for (size_t at = text.find(from); at != std::string_view::npos; at = text.find(from, done)) {
    out.append(text, done, at - done);
    out += to;
    done = at + from.size();
  }
  out.append(text, done);
  return out;
}

}  // namespace

Result<Normalizer> Normalizer::parse(const Part& part) {
  Normalizer result;
  if (part.is_null()) return result;
  if (Status added = result.add(part); !added) return std::move(added).error();
  return result;
}

Status Normalizer::add(const Part& part) {
  const std::string type = part.type();
  if (type == "Sequence") {
    for (const Part& member : part["normalizers"].elements()) RETURN_IF_ERROR(add(member));
    return {};
  }
  constexpr std::array<std::pair<std::string_view, Form>, 4> kForms = {
      {{"NFC", Form::kNfc}, {"NFD", Form::kNfd}, {"NFKC", Form::kNfkc}, {"NFKD", Form::kNfkd}}};
  for (const auto& [name, form] : kForms) {
    if (type == name) {
      steps_.emplace_back(form);
      return {};
    }
  }
  if (type == "Replace") return add_replace(part);
  if (type == "Prepend") {
    auto text = part["prepend"].text();
    if (!text) return std::move(text).error();
    steps_.emplace_back(Prepend{std::move(*text)});
  } else if (type == "Lowercase") {
    steps_.emplace_back(Lowercase{});
  } else if (type == "StripAccents") {
    steps_.emplace_back(StripAccents{});
  } else if (type == "Strip") {
    steps_.emplace_back(Strip{part.flag("strip_left", true), part.flag("strip_right", true)});
  } else {
    return part.unsupported("type " + quote(type));
  }
  return {};
}

Status Normalizer::add_replace(const Part& part) {
  auto to = part["content"].text();
  if (!to) return std::move(to).error();
  const Part literal = part["pattern"]["String"];
  if (!literal.is_null()) {
    auto from = literal.text();
    if (!from) return std::move(from).error();
    if (from->empty()) return literal.unsupported("the empty text");
    steps_.emplace_back(ReplaceText{std::move(*from), std::move(*to)});
    return {};
  }
  auto pattern = pattern_of(part["pattern"]);
  if (!pattern) return std::move(pattern).error();
  auto regex = Regex::compile(*pattern);
  if (!regex) return std::move(regex).error().with_context(part.where());
  steps_.emplace_back(ReplaceMatches{std::move(*regex), std::move(*to)});
  return {};
}

bool Normalizer::may_cut_the_beginning() const {
  return std::any_of(steps_.begin(), steps_.end(), [](const Step& step) {
    return std::holds_alternative<StripAccents>(step) || std::holds_alternative<Strip>(step) ||
           std::holds_alternative<ReplaceText>(step) ||
           std::holds_alternative<ReplaceMatches>(step);
  });
}

std::string Normalizer::apply(const Step& step, std::string text) {
  if (const auto* form = std::get_if<Form>(&step)) {
    if (is_ascii(text)) return text;
    constexpr std::array<utf8proc_option_t, 4> kOptions = {kNfc, kNfd, kNfkc, kNfkd};
    return in_known_form(text, kOptions[static_cast<size_t>(*form)]);
  }
  if (std::holds_alternative<Lowercase>(step)) return lowercase(text);
  if (std::holds_alternative<StripAccents>(step)) return without_marks(text);
  if (const auto* strip = std::get_if<Strip>(&step)) {
    if (strip->right) text.resize(without_trailing_space(text));
    if (strip->left) text.erase(0, leading_space(text));
    return text;
  }
  if (const auto* prepend = std::get_if<Prepend>(&step)) {
    return text.empty() ? text : prepend->text + text;
  }
  if (const auto* replace = std::get_if<ReplaceText>(&step)) {
    return replace_text(text, replace->from, replace->to);
  }
  const auto& replace = std::get<ReplaceMatches>(step);
  return replace_matches(text, replace.regex, replace.to);
}

std::string Normalizer::normalize(std::string_view text) const {
  std::string out(text);
  for (const Step& step : steps_) out = apply(step, std::move(out));
  return out;
}

}  // namespace touchstone::tokenizer
