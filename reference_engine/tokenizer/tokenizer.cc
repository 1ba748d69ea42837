#include "reference_engine/tokenizer/tokenizer.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "base/document.h"
#include "base/files.h"
#include "base/text.h"
#include "base/utf8.h"
#include "reference_engine/tokenizer/added_tokens.h"
#include "reference_engine/tokenizer/bpe.h"
#include "reference_engine/tokenizer/byte_level.h"
#include "reference_engine/tokenizer/pre_tokenizer.h"
#include "reference_engine/tokenizer/word_cache.h"

namespace touchstone::tokenizer {
namespace {

using nlohmann::json;

// Ids beyond this are a damaged file, not a vocabulary.
constexpr int64_t kTokenIdMax = 1 << 24;

Error unsupported(std::string message) { return {ErrorCode::kUnsupported, std::move(message), {}}; }

const json& member(const json& object, const char* key) {
  static const json null;
  const auto found = object.is_object() ? object.find(key) : object.end();
  return found == object.end() ? null : *found;
}

std::string normalized(std::string_view text, utf8proc_option_t options) {
  if (std::all_of(text.begin(), text.end(),
                  [](char c) { return static_cast<uint8_t>(c) < 0x80; })) {
    return std::string(text);
  }
  utf8proc_uint8_t* mapped = nullptr;
  const auto size = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                 static_cast<utf8proc_ssize_t>(text.size()), &mapped, options);
  if (size < 0) return std::string(text);
  std::string out(reinterpret_cast<const char*>(mapped), static_cast<size_t>(size));
  std::free(mapped);  // NOLINT: utf8proc allocates with malloc
  return out;
}

constexpr auto kNfc = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE);
constexpr auto kNfd = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE);
constexpr auto kNfkc = static_cast<utf8proc_option_t>(kNfc | UTF8PROC_COMPAT);
constexpr auto kNfkd = static_cast<utf8proc_option_t>(kNfd | UTF8PROC_COMPAT);

}  // namespace

class Tokenizer::Impl {
 public:
  Status load(const json& tree);
  void mark_special(const json& config);

  std::vector<int32_t> encode(std::string_view text, bool add_special_tokens) const;
  std::string decode(std::span<const int32_t> ids, bool skip_special_tokens) const;

  struct Token {
    std::string spelling;
    std::string bytes;
    bool special = false;
  };
  std::vector<Token> tokens;
  StringMap<int32_t> ids;

 private:
  Status load_model(const json& model);
  Status load_merges(const json& merges);
  Status load_vocabulary(const json& vocabulary);
  Status load_added_tokens(const json& added);
  Status load_normalizer(const json& normalizer);
  Status load_post_processor(const json& processor);
  Status load_template(const json& processor);
  Status load_decoder(const json& decoder) const;
  Status define(int64_t id, const std::string& spelling);
  std::string normalize(std::string_view text) const;
  void encode_piece(std::string_view text, std::vector<int32_t>& out) const;
  void encode_text(std::string_view text, std::vector<int32_t>& out) const;

  std::optional<Bpe> bpe_;
  std::optional<PreTokenizer> pre_tokenizer_;
  std::vector<utf8proc_option_t> normalizers_;
  AddedTokenMatcher raw_matcher_;
  AddedTokenMatcher normalized_matcher_;
  std::vector<int32_t> prefix_;  // special tokens of the post-processor, before and after the text
  std::vector<int32_t> suffix_;
  mutable WordCache cache_;
};

Status Tokenizer::Impl::load(const json& tree) {
  if (!tree.is_object()) return malformed("expected an object");
  RETURN_IF_ERROR(load_model(member(tree, "model")));
  RETURN_IF_ERROR(load_normalizer(member(tree, "normalizer")));
  RETURN_IF_ERROR(load_added_tokens(member(tree, "added_tokens")));
  auto pre_tokenizer = PreTokenizer::parse(member(tree, "pre_tokenizer"));
  if (!pre_tokenizer) return std::move(pre_tokenizer).error();
  pre_tokenizer_ = std::move(*pre_tokenizer);
  RETURN_IF_ERROR(load_post_processor(member(tree, "post_processor")));
  return load_decoder(member(tree, "decoder"));
}

Status Tokenizer::Impl::load_model(const json& model) {
  if (!model.is_object()) return malformed("model: expected an object");
  const json& type = member(model, "type");
  if (type != "BPE" && !(type.is_null() && model.contains("merges"))) {
    return unsupported("model: got type " + type.dump() + ", expected \"BPE\"");
  }
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    const json& value = member(model, key);
    if (!value.is_null() && value != "") return unsupported(std::string("model: ") + key);
  }
  if (const json& dropout = member(model, "dropout"); !dropout.is_null() && dropout != 0.0) {
    return unsupported("model: dropout");
  }
  if (member(model, "byte_fallback") == true) return unsupported("model: byte_fallback");
  bpe_.emplace(member(model, "ignore_merges") == true ? Bpe::WholeWords::kLookUpFirst
                                                      : Bpe::WholeWords::kMerge);
  RETURN_IF_ERROR(load_vocabulary(member(model, "vocab")));
  RETURN_IF_ERROR(load_merges(member(model, "merges")));
  bpe_->seal();
  const json& unknown = member(model, "unk_token");
  if (!unknown.is_null() && unknown != "" && !bpe_->covers_all_bytes()) {
    return unsupported("model: unk_token with a vocabulary that lacks some bytes");
  }
  return {};
}

Status Tokenizer::Impl::load_vocabulary(const json& vocabulary) {
  if (!vocabulary.is_object()) return malformed("model.vocab: expected an object");
  for (const auto& [spelling, id] : vocabulary.items()) {
    if (!id.is_number_integer()) {
      return malformed("model.vocab: " + quote(spelling) + ": expected an id, got " + id.dump());
    }
    RETURN_IF_ERROR(define(id.get<int64_t>(), spelling));
    if (auto bytes = spelled_bytes(spelling)) {
      bpe_->add_token(std::move(*bytes), static_cast<int32_t>(id.get<int64_t>()));
    }
  }
  return {};
}

Status Tokenizer::Impl::define(int64_t id, const std::string& spelling) {
  if (id < 0 || id > kTokenIdMax) {
    return malformed("token " + quote(spelling) + ": got id " + std::to_string(id) +
                     ", expected 0 to " + std::to_string(kTokenIdMax));
  }
  const auto index = static_cast<size_t>(id);
  if (index >= tokens.size()) tokens.resize(index + 1);
  tokens[index].spelling = spelling;
  tokens[index].bytes = spelled_bytes(spelling).value_or(spelling);
  ids.insert_or_assign(spelling, static_cast<int32_t>(id));
  return {};
}

Status Tokenizer::Impl::load_merges(const json& merges) {
  if (!merges.is_array()) return malformed("model.merges: expected a list");
  for (const json& merge : merges) {
    std::string left;
    std::string right;
    if (merge.is_string()) {
      const auto& text = merge.get_ref<const std::string&>();
      const size_t space = text.find(' ');
      if (space == std::string::npos || text.find(' ', space + 1) != std::string::npos) {
        return malformed("model.merges: got " + quote(text) + ", expected two parts");
      }
      left = text.substr(0, space);
      right = text.substr(space + 1);
    } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() &&
               merge[1].is_string()) {
      left = merge[0].get<std::string>();
      right = merge[1].get<std::string>();
    } else {
      return malformed("model.merges: got " + quote(merge.dump()) + ", expected two parts");
    }
    const auto left_bytes = spelled_bytes(left);
    const auto right_bytes = spelled_bytes(right);
    if (!left_bytes || !right_bytes) {
      return unsupported("model.merges: " + quote(left + " " + right) +
                         ": not in the byte alphabet (a SentencePiece vocabulary?)");
    }
    RETURN_IF_ERROR(bpe_->add_merge(*left_bytes, *right_bytes));
  }
  return {};
}

Status Tokenizer::Impl::load_added_tokens(const json& added) {
  if (added.is_null()) return {};
  if (!added.is_array()) return malformed("added_tokens: expected a list");
  for (const json& entry : added) {
    const json& id = member(entry, "id");
    const json& content = member(entry, "content");
    if (!id.is_number_integer() || !content.is_string()) {
      return malformed("added_tokens: expected id and content, got " + quote(entry.dump()));
    }
    AddedToken token;
    token.content = content.get<std::string>();
    RETURN_IF_ERROR(define(id.get<int64_t>(), token.content));
    token.id = static_cast<int32_t>(id.get<int64_t>());
    token.single_word = member(entry, "single_word") == true;
    token.lstrip = member(entry, "lstrip") == true;
    token.rstrip = member(entry, "rstrip") == true;
    token.special = member(entry, "special") == true;
    token.normalized = member(entry, "normalized") == true;
    tokens[static_cast<size_t>(token.id)].special = token.special;
    if (token.normalized) {
      token.content = normalize(token.content);
      normalized_matcher_.add(token);
    } else {
      raw_matcher_.add(token);
    }
  }
  return {};
}

Status Tokenizer::Impl::load_normalizer(const json& normalizer) {
  if (normalizer.is_null()) return {};
  const json& type = member(normalizer, "type");
  if (type == "Sequence") {
    for (const json& part : member(normalizer, "normalizers")) {
      RETURN_IF_ERROR(load_normalizer(part));
    }
    return {};
  }
  for (const auto& [name, options] :
       {std::pair{"NFC", kNfc}, {"NFD", kNfd}, {"NFKC", kNfkc}, {"NFKD", kNfkd}}) {
    if (type == name) {
      normalizers_.push_back(options);
      return {};
    }
  }
  return unsupported("normalizer: type " + type.dump());
}

Status Tokenizer::Impl::load_post_processor(const json& processor) {
  if (processor.is_null()) return {};
  const json& type = member(processor, "type");
  if (type == "Sequence") {
    for (const json& part : member(processor, "processors")) {
      RETURN_IF_ERROR(load_post_processor(part));
    }
    return {};
  }
  if (type == "ByteLevel") return {};  // moves offsets only
  if (type == "TemplateProcessing") return load_template(processor);
  return unsupported("post_processor: type " + type.dump());
}

Status Tokenizer::Impl::load_template(const json& processor) {
  if (!prefix_.empty() || !suffix_.empty()) {
    return unsupported("post_processor: more than one TemplateProcessing");
  }
  bool after_text = false;
  for (const json& piece : member(processor, "single")) {
    if (piece.is_object() && piece.contains("Sequence")) {
      if (after_text) return unsupported("post_processor: a template that repeats the text");
      after_text = true;
      continue;
    }
    const json& name = member(member(piece, "SpecialToken"), "id");
    const json& token = name.is_string() ? member(member(processor, "special_tokens"),
                                                  name.get<std::string>().c_str())
                                         : name;
    for (const json& id : member(token, "ids")) {
      if (!id.is_number_integer() || id.get<int64_t>() < 0 ||
          id.get<int64_t>() >= static_cast<int64_t>(tokens.size())) {
        return malformed("post_processor: special token " + name.dump() + ": got id " + id.dump());
      }
      (after_text ? suffix_ : prefix_).push_back(id.get<int32_t>());
    }
  }
  return {};
}

Status Tokenizer::Impl::load_decoder(const json& decoder) const {
  const json& type = member(decoder, "type");
  if (type == "ByteLevel") return {};
  const json& members = member(decoder, "decoders");
  if (type == "Sequence" && members.is_array() && members.size() == 1) {
    return load_decoder(members[0]);
  }
  return unsupported("decoder: got type " + type.dump() + ", expected \"ByteLevel\"");
}

void Tokenizer::Impl::mark_special(const json& config) {
  const auto mark = [&](const json& value) {
    const json& text = value.is_object() ? member(value, "content") : value;
    if (!text.is_string()) return;
    const auto found = ids.find(text.get_ref<const std::string&>());
    if (found != ids.end()) tokens[static_cast<size_t>(found->second)].special = true;
  };
  for (const char* key : {"bos_token", "eos_token", "unk_token", "pad_token"}) {
    mark(member(config, key));
  }
  for (const json& token : member(config, "additional_special_tokens")) mark(token);
}

std::string Tokenizer::Impl::normalize(std::string_view text) const {
  std::string out(text);
  for (const auto options : normalizers_) out = normalized(out, options);
  return out;
}

std::vector<int32_t> Tokenizer::Impl::encode(std::string_view text, bool add_special_tokens) const {
  std::vector<int32_t> out;
  if (add_special_tokens) out = prefix_;
  out.reserve(out.size() + text.size() / 3 + suffix_.size());
  if (is_valid_utf8(text)) {
    encode_text(text, out);
  } else {
    std::string repaired;
    append_lossy(text, repaired);
    encode_text(repaired, out);
  }
  if (add_special_tokens) out.insert(out.end(), suffix_.begin(), suffix_.end());
  return out;
}

void Tokenizer::Impl::encode_text(std::string_view text, std::vector<int32_t>& out) const {
  for (const auto& raw : raw_matcher_.split(text)) {
    if (raw.token) {
      out.push_back(*raw.token);
      continue;
    }
    std::string changed;
    if (!normalizers_.empty()) changed = normalize(raw.text);
    const std::string_view piece = normalizers_.empty() ? raw.text : std::string_view(changed);
    for (const auto& part : normalized_matcher_.split(piece)) {
      if (part.token) {
        out.push_back(*part.token);
      } else {
        encode_piece(part.text, out);
      }
    }
  }
}

void Tokenizer::Impl::encode_piece(std::string_view text, std::vector<int32_t>& out) const {
  pre_tokenizer_->split(text, [&](std::string_view word) {
    if (const auto token = bpe_->whole_word(word)) {
      out.push_back(*token);
      return;
    }
    if (cache_.append(word, out)) return;
    const size_t begin = out.size();
    bpe_->encode(word, out);
    cache_.remember(word, out.data() + begin, out.data() + out.size());
  });
}

std::string Tokenizer::Impl::decode(std::span<const int32_t> token_ids,
                                    bool skip_special_tokens) const {
  std::string bytes;
  for (const int32_t id : token_ids) {
    if (id < 0 || static_cast<size_t>(id) >= tokens.size()) continue;
    const Token& token = tokens[static_cast<size_t>(id)];
    if (skip_special_tokens && token.special) continue;
    bytes += token.bytes;
  }
  std::string text;
  append_lossy(bytes, text);
  return text;
}

Result<std::unique_ptr<Tokenizer>> Tokenizer::load(const std::string& folder) {
  const std::string path = folder + "/tokenizer.json";
  auto text = read_file(path);
  if (!text) return std::move(text).error();
  auto tokenizer = parse(*text);
  if (!tokenizer) return std::move(tokenizer).error().with_context(path);
  const std::string config_path = folder + "/tokenizer_config.json";
  auto config = read_file(config_path);
  if (config) {
    const json tree = json::parse(*config, nullptr, false);
    if (!tree.is_object()) return malformed(config_path + ": expected a JSON object");
    (*tokenizer)->impl_->mark_special(tree);
  } else if (config.error().code != ErrorCode::kNotFound) {
    return std::move(config).error();
  }
  return tokenizer;
}

Result<std::unique_ptr<Tokenizer>> Tokenizer::parse(std::string_view tokenizer_json) {
  const json tree = json::parse(tokenizer_json, nullptr, false);
  if (tree.is_discarded()) {
    auto problem = Document::parse_json("tokenizer.json", tokenizer_json);  // says where
    return problem ? malformed("not JSON") : std::move(problem).error();
  }
  auto impl = std::make_unique<Impl>();
  if (Status loaded = impl->load(tree); !loaded) return std::move(loaded).error();
  return std::unique_ptr<Tokenizer>(new Tokenizer(std::move(impl)));
}

Tokenizer::Tokenizer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Tokenizer::~Tokenizer() = default;

std::vector<int32_t> Tokenizer::encode(std::string_view text, bool add_special_tokens) const {
  return impl_->encode(text, add_special_tokens);
}

std::string Tokenizer::decode(std::span<const int32_t> ids, bool skip_special_tokens) const {
  return impl_->decode(ids, skip_special_tokens);
}

int32_t Tokenizer::vocab_size() const { return static_cast<int32_t>(impl_->tokens.size()); }

std::string_view Tokenizer::token_string(int32_t id) const {
  if (id < 0 || id >= vocab_size()) return {};
  return impl_->tokens[static_cast<size_t>(id)].spelling;
}

std::string_view Tokenizer::token_bytes(int32_t id) const {
  if (id < 0 || id >= vocab_size()) return {};
  return impl_->tokens[static_cast<size_t>(id)].bytes;
}

bool Tokenizer::is_special(int32_t id) const {
  return id >= 0 && id < vocab_size() && impl_->tokens[static_cast<size_t>(id)].special;
}

std::optional<int32_t> Tokenizer::token_id(std::string_view token) const {
  const auto found = impl_->ids.find(token);
  if (found == impl_->ids.end()) return std::nullopt;
  return found->second;
}

}  // namespace touchstone::tokenizer
