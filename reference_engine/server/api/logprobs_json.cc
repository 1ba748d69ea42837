#include "reference_engine/server/api/logprobs_json.h"

#include <algorithm>
#include <array>

#include "base/json_text.h"
#include "base/python_repr.h"
#include "base/utf8.h"

namespace touchstone::server::api {
namespace {

/// As Python writes a float; -inf and NaN become -9999.0, as vLLM clamps them.
void append_logprob(std::string& out, double value) {
  constexpr double kLowest = -9999.0;
  out += python_repr(value > kLowest ? value : kLowest);
}

std::string token_text(int32_t token, const GenerationRequest& request, const ApiContext& context) {
  if (request.return_tokens_as_token_ids) return "token_id:" + std::to_string(token);
  return context.tokenizer->decode(std::array{token}, false);
}

// Each token once: the sampled one, then the top ones without it.
TokenLogprobs without_repeats(const TokenLogprobs& entries) {
  TokenLogprobs unique;
  for (const auto& entry : entries) {
    const bool seen = std::any_of(unique.begin(), unique.end(),
                                  [&](const auto& other) { return other.token == entry.token; });
    if (!seen) unique.push_back(entry);
  }
  return unique;
}

void append_bytes(std::string& out, const std::string& text) {
  std::vector<int32_t> bytes;
  for (const char c : text) bytes.push_back(static_cast<unsigned char>(c));
  append_json_integers(out, bytes);
}

void append_token(std::string& out, const sampling::TokenLogprob& entry,
                  const GenerationRequest& request, const ApiContext& context) {
  const std::string text = token_text(entry.token, request, context);
  out += "\"token\":";
  append_json_string(out, text);
  out += ",\"logprob\":";
  append_logprob(out, double{entry.logprob});
  out += ",\"bytes\":";
  append_bytes(out, request.return_tokens_as_token_ids
                        ? context.tokenizer->decode(std::array{entry.token}, false)
                        : text);
}

template <typename Range, typename Append>
void append_list(std::string& out, const char* name, const Range& range, const Append& append) {
  out += name;
  out += ":[";
  bool first = true;
  for (const auto& element : range) {
    if (!first) out.push_back(',');
    first = false;
    append(element);
  }
  out.push_back(']');
}

}  // namespace

void append_completion_logprobs(std::string& out, const CompletionLogprobs& tokens,
                                const GenerationRequest& request, const ApiContext& context) {
  std::vector<std::string> texts;
  std::vector<int32_t> offsets;
  auto offset = static_cast<int32_t>(tokens.first_offset);
  for (const int32_t token : tokens.token_ids) {
    offsets.push_back(offset);
    texts.push_back(token_text(token, request, context));
    offset += static_cast<int32_t>(count_characters(texts.back()));
  }
  out += "{\"text_offset\":";
  append_json_integers(out, offsets);
  append_list(out, ",\"token_logprobs\"", tokens.logprobs, [&](const TokenLogprobs& entries) {
    if (entries.empty()) {
      out += "null";
    } else {
      append_logprob(out, double{entries[0].logprob});
    }
  });
  append_list(out, ",\"tokens\"", texts,
              [&](const std::string& text) { append_json_string(out, text); });
  append_list(out, ",\"top_logprobs\"", tokens.logprobs, [&](const TokenLogprobs& entries) {
    if (entries.empty()) {
      out += "null";
      return;
    }
    // The sampled token and the top ones, as the API has it: up to logprobs + 1 entries. Tokens
    // that spell the same text are one key, with the later value.
    std::vector<std::pair<std::string, float>> members;
    TokenLogprobs unique = without_repeats(entries);
    unique.resize(std::min(unique.size(), static_cast<size_t>(request.logprobs.value_or(0)) + 1));
    for (const auto& entry : unique) {
      const std::string text = token_text(entry.token, request, context);
      const auto same = std::find_if(members.begin(), members.end(),
                                     [&](const auto& member) { return member.first == text; });
      if (same != members.end()) {
        same->second = entry.logprob;
      } else {
        members.emplace_back(text, entry.logprob);
      }
    }
    out.push_back('{');
    for (size_t i = 0; i < members.size(); ++i) {
      if (i > 0) out.push_back(',');
      append_json_string(out, members[i].first);
      out.push_back(':');
      append_logprob(out, double{members[i].second});
    }
    out.push_back('}');
  });
  out.push_back('}');
}

void append_chat_logprobs(std::string& out, std::span<const TokenLogprobs> logprobs,
                          const GenerationRequest& request, const ApiContext& context) {
  out.push_back('{');
  append_list(out, "\"content\"", logprobs, [&](const TokenLogprobs& entries) {
    out.push_back('{');
    append_token(out, entries.at(0), request, context);
    TokenLogprobs top = without_repeats(entries);
    top.resize(std::min(top.size(), static_cast<size_t>(request.logprobs.value_or(0))));
    append_list(out, ",\"top_logprobs\"", top, [&](const sampling::TokenLogprob& entry) {
      out.push_back('{');
      append_token(out, entry, request, context);
      out.push_back('}');
    });
    out.push_back('}');
  });
  out.push_back('}');
}

void append_prompt_logprobs(std::string& out, std::span<const TokenLogprobs> logprobs,
                            const ApiContext& context) {
  out.push_back('[');
  for (size_t i = 0; i < logprobs.size(); ++i) {
    if (i > 0) out.push_back(',');
    if (logprobs[i].empty()) {
      out += "null";
      continue;
    }
    const TokenLogprobs unique = without_repeats(logprobs[i]);
    out.push_back('{');
    for (size_t k = 0; k < unique.size(); ++k) {
      if (k > 0) out.push_back(',');
      out += "\"" + std::to_string(unique[k].token) + "\":{\"logprob\":";
      append_logprob(out, double{unique[k].logprob});
      out += ",\"rank\":" + std::to_string(unique[k].rank) + ",\"decoded_token\":";
      append_json_string(out, context.tokenizer->decode(std::array{unique[k].token}, false));
      out.push_back('}');
    }
    out.push_back('}');
  }
  out.push_back(']');
}

}  // namespace touchstone::server::api
