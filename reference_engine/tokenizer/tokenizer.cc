#include "reference_engine/tokenizer/tokenizer.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "base/document.h"
#include "base/files.h"
#include "base/text.h"
#include "base/utf8.h"
#include "reference_engine/tokenizer/added_tokens.h"
#include "reference_engine/tokenizer/bpe.h"
#include "reference_engine/tokenizer/byte_level.h"
#include "reference_engine/tokenizer/normalizer.h"
#include "reference_engine/tokenizer/part.h"
#include "reference_engine/tokenizer/post_processor.h"
#include "reference_engine/tokenizer/pre_tokenizer.h"
#include "reference_engine/tokenizer/vocabulary_files.h"
#include "reference_engine/tokenizer/word_cache.h"

namespace touchstone::tokenizer {
namespace {

using nlohmann::json;

// Ids beyond this are a damaged file, not a vocabulary.
constexpr int64_t kTokenIdMax = 1 << 24;

// Keeps what a part says, or tells what is wrong with it.
template <typename T>
Status take(Result<T> parsed, std::optional<T>& into) {
  if (!parsed) return std::move(parsed).error();
  into.emplace(std::move(*parsed));
  return {};
}

}  // namespace

class Tokenizer::Impl {
 public:
  Status load(const json& tree);
  void mark_special(const json& config);

  std::vector<int32_t> encode(std::string_view text, bool add_special_tokens) const;
  std::string decode(std::span<const int32_t> ids, bool skip_special_tokens) const;

  struct Token {
    std::string spelling;
    TokenText text;
    bool special = false;
  };
  std::vector<Token> tokens;
  StringMap<int32_t> ids;
  std::optional<Decoder> decoder;

 private:
  Status load_model(const Part& model);
  Status load_merges(const Part& merges);
  Status load_vocabulary(const Part& vocabulary);
  Status load_added_tokens(const Part& added);
  Status define(int64_t id, const std::string& spelling);
  bool in_byte_alphabet() const { return pre_tokenizer_->has_byte_level(); }
  void encode_piece(std::string_view text, PreTokenizer::Place place,
                    std::vector<int32_t>& out) const;
  void encode_word(std::string_view word, std::vector<int32_t>& out) const;
  void encode_text(std::string_view text, std::vector<int32_t>& out) const;

  std::optional<Bpe> bpe_;
  std::optional<Normalizer> normalizer_;
  std::optional<PreTokenizer> pre_tokenizer_;
  std::optional<PostProcessor> post_processor_;
  AddedTokenMatcher raw_matcher_;
  AddedTokenMatcher normalized_matcher_;
  mutable WordCache cache_;
};

Status Tokenizer::Impl::load(const json& tree) {
  if (!tree.is_object()) return malformed("expected an object");
  const Part root(tree, "");
  RETURN_IF_ERROR(take(Normalizer::parse(root["normalizer"]), normalizer_));
  RETURN_IF_ERROR(take(PreTokenizer::parse(root["pre_tokenizer"]), pre_tokenizer_));
  RETURN_IF_ERROR(take(Decoder::parse(root["decoder"]), decoder));
  if (pre_tokenizer_->looks_at_place() && normalizer_->may_cut_the_beginning()) {
    return root["pre_tokenizer"].unsupported(
        "Metaspace with prepend_scheme \"first\" after a normalizer that may cut the beginning");
  }
  RETURN_IF_ERROR(load_model(root["model"]));
  RETURN_IF_ERROR(load_added_tokens(root["added_tokens"]));
  const auto vocab_size = static_cast<int64_t>(tokens.size());
  return take(PostProcessor::parse(root["post_processor"], vocab_size), post_processor_);
}

Status Tokenizer::Impl::load_model(const Part& model) {
  if (!model.value().is_object()) return model.malformed("expected an object");
  const json& type = model["type"].value();
  if (type != "BPE" && !(type.is_null() && model.value().contains("merges"))) {
    return model.unsupported("got type " + type.dump() + ", expected \"BPE\"");
  }
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    const Part part = model[key];
    if (!part.is_null() && part.value() != "") return part.unsupported("a text that is not empty");
  }
  if (const Part dropout = model["dropout"]; !dropout.is_null() && dropout.value() != 0.0) {
    return dropout.unsupported("merges left out by chance");
  }
  BpeOptions options;
  if (model.flag("ignore_merges", false)) {
    options.whole_words = BpeOptions::WholeWords::kLookUpFirst;
  }
  if (!in_byte_alphabet()) {
    options.units = BpeOptions::Units::kCharacters;
    options.byte_fallback = model.flag("byte_fallback", false);
    options.fuse_unknown = model.flag("fuse_unk", false);
    if (const Part unknown = model["unk_token"]; !unknown.is_null()) {
      auto text = unknown.text();
      if (!text) return std::move(text).error();
      options.unknown = std::move(*text);
    }
  }
  bpe_.emplace(std::move(options));
  RETURN_IF_ERROR(load_vocabulary(model["vocab"]));
  RETURN_IF_ERROR(load_merges(model["merges"]));
  if (Status sealed = bpe_->seal(); !sealed) return std::move(sealed).error().with_context("model");
  const json& unknown = model["unk_token"].value();
  const bool replaces = model.flag("byte_fallback", false) || (!unknown.is_null() && unknown != "");
  if (in_byte_alphabet() && replaces && !bpe_->covers_all_bytes()) {
    return model.unsupported("unk_token or byte_fallback with a vocabulary that lacks some bytes");
  }
  return {};
}

Status Tokenizer::Impl::load_vocabulary(const Part& vocabulary) {
  if (!vocabulary.value().is_object()) return vocabulary.malformed("expected an object");
  for (const auto& [spelling, id] : vocabulary.value().items()) {
    if (!id.is_number_integer()) {
      return vocabulary.malformed(quote(spelling) + ": expected an id, got " + id.dump());
    }
    RETURN_IF_ERROR(define(id.get<int64_t>(), spelling));
    auto bytes = in_byte_alphabet() ? spelled_bytes(spelling) : spelling;
    if (bytes) bpe_->add_token(std::move(*bytes), static_cast<int32_t>(id.get<int64_t>()));
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
  tokens[index].text = decoder->text_of(spelling);
  ids.insert_or_assign(spelling, static_cast<int32_t>(id));
  return {};
}

Status Tokenizer::Impl::load_merges(const Part& merges) {
  if (!merges.value().is_array()) return merges.malformed("expected a list");
  for (const json& merge : merges.value()) {
    std::string left;
    std::string right;
    if (merge.is_string()) {
      const auto& text = merge.get_ref<const std::string&>();
      const size_t space = text.find(' ');
      if (space == std::string::npos || text.find(' ', space + 1) != std::string::npos) {
        return merges.malformed("got " + quote(text) + ", expected two parts");
      }
      left = text.substr(0, space);
      right = text.substr(space + 1);
    } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() &&
               merge[1].is_string()) {
      left = merge[0].get<std::string>();
      right = merge[1].get<std::string>();
    } else {
      return merges.malformed("got " + quote(merge.dump()) + ", expected two parts");
    }
    if (in_byte_alphabet()) {
      auto left_bytes = spelled_bytes(left);
      auto right_bytes = spelled_bytes(right);
      if (!left_bytes || !right_bytes) {
        return merges.unsupported(quote(left + " " + right) +
                                  ": not in the byte alphabet, which ByteLevel asks for");
      }
      left = std::move(*left_bytes);
      right = std::move(*right_bytes);
    }
    if (Status added = bpe_->add_merge(left, right); !added) {
      return std::move(added).error().with_context(merges.where());
    }
  }
  return {};
}

Status Tokenizer::Impl::load_added_tokens(const Part& added) {
  if (added.is_null()) return {};
  if (!added.value().is_array()) return added.malformed("expected a list");
  for (const Part& entry : added.elements()) {
    const json& id = entry["id"].value();
    const json& content = entry["content"].value();
    if (!id.is_number_integer() || !content.is_string()) {
      return entry.malformed("expected id and content, got " + quote(entry.value().dump()));
    }
    AddedToken token;
    token.content = content.get<std::string>();
    RETURN_IF_ERROR(define(id.get<int64_t>(), token.content));
    token.id = static_cast<int32_t>(id.get<int64_t>());
    token.single_word = entry.flag("single_word", false);
    token.lstrip = entry.flag("lstrip", false);
    token.rstrip = entry.flag("rstrip", false);
    token.special = entry.flag("special", false);
    token.normalized = entry.flag("normalized", false);
    tokens[static_cast<size_t>(token.id)].special = token.special;
    if (token.normalized) {
      token.content = normalizer_->normalize(token.content);
      normalized_matcher_.add(token);
    } else {
      raw_matcher_.add(token);
    }
  }
  return {};
}

void Tokenizer::Impl::mark_special(const json& config) {
  const auto mark = [&](const Part& part) {
    const json& text = part.value().is_object() ? part["content"].value() : part.value();
    if (!text.is_string()) return;
    const auto found = ids.find(text.get_ref<const std::string&>());
    if (found != ids.end()) tokens[static_cast<size_t>(found->second)].special = true;
  };
  const Part root(config, "");
  for (const char* key : {"bos_token", "eos_token", "unk_token", "pad_token"}) mark(root[key]);
  for (const Part& token : root["additional_special_tokens"].elements()) mark(token);
}

std::vector<int32_t> Tokenizer::Impl::encode(std::string_view text, bool add_special_tokens) const {
  const PostProcessor& added = *post_processor_;
  std::vector<int32_t> out;
  if (add_special_tokens) out = added.prefix;
  out.reserve(out.size() + text.size() / 3 + added.suffix.size());
  if (is_valid_utf8(text)) {
    encode_text(text, out);
  } else {
    std::string repaired;
    append_lossy(text, repaired);
    encode_text(repaired, out);
  }
  if (add_special_tokens) out.insert(out.end(), added.suffix.begin(), added.suffix.end());
  return out;
}

void Tokenizer::Impl::encode_text(std::string_view text, std::vector<int32_t>& out) const {
  using Place = PreTokenizer::Place;
  for (const auto& raw : raw_matcher_.split(text)) {
    if (raw.token) {
      out.push_back(*raw.token);
      continue;
    }
    std::string changed;
    if (!normalizer_->changes_nothing()) changed = normalizer_->normalize(raw.text);
    const std::string_view piece =
        normalizer_->changes_nothing() ? raw.text : std::string_view(changed);
    for (const auto& part : normalized_matcher_.split(piece)) {
      if (part.token) {
        out.push_back(*part.token);
        continue;
      }
      const bool begins = raw.text.data() == text.data() && part.text.data() == piece.data();
      encode_piece(part.text, begins ? Place::kBeginning : Place::kLater, out);
    }
  }
}

void Tokenizer::Impl::encode_piece(std::string_view text, PreTokenizer::Place place,
                                   std::vector<int32_t>& out) const {
  pre_tokenizer_->split(text, place, [&](std::string_view word) {
    while (!word.empty()) encode_word(bpe_->take_part(word), out);
  });
}

void Tokenizer::Impl::encode_word(std::string_view word, std::vector<int32_t>& out) const {
  if (const auto token = bpe_->whole_word(word)) {
    out.push_back(*token);
    return;
  }
  if (cache_.append(word, out)) return;
  const size_t begin = out.size();
  bpe_->encode(word, out);
  cache_.remember(word, out.data() + begin, out.data() + out.size());
}

std::string Tokenizer::Impl::decode(std::span<const int32_t> token_ids,
                                    bool skip_special_tokens) const {
  TextJoiner joiner(decoder->rules());
  for (const int32_t id : token_ids) {
    if (id < 0 || static_cast<size_t>(id) >= tokens.size()) continue;
    const Token& token = tokens[static_cast<size_t>(id)];
    if (skip_special_tokens && token.special) continue;
    joiner.add(token.spelling, token.text);
  }
  return joiner.finish();
}

namespace {

// tokenizer_config.json; null when the folder has none.
Result<json> read_config(const std::string& path) {
  auto text = read_file(path);
  if (!text && text.error().code == ErrorCode::kNotFound) return json();
  if (!text) return std::move(text).error();
  json tree = json::parse(*text, nullptr, false);
  if (!tree.is_object()) return malformed(path + ": expected a JSON object");
  return tree;
}

Error no_tokenizer(const std::string& folder) {
  return not_found(folder + ": got neither tokenizer.json nor vocab.json with merges.txt",
                   "where there is only tokenizer.model: AutoTokenizer.from_pretrained(…)."
                   "save_pretrained(…) of transformers writes tokenizer.json");
}

}  // namespace

Result<std::unique_ptr<Tokenizer>> Tokenizer::load(const std::string& folder) {
  auto config = read_config(folder + "/tokenizer_config.json");
  if (!config) return std::move(config).error();
  const std::string path = folder + "/tokenizer.json";
  auto text = read_file(path);
  if (!text && text.error().code != ErrorCode::kNotFound) return std::move(text).error();
  auto tokenizer = text ? parse(*text) : load_files(folder, *config);
  if (!tokenizer) {
    if (!text && tokenizer.error().code == ErrorCode::kNotFound) return no_tokenizer(folder);
    return std::move(tokenizer).error().with_context(text ? path : folder);
  }
  (*tokenizer)->impl_->mark_special(*config);
  return tokenizer;
}

Result<std::unique_ptr<Tokenizer>> Tokenizer::load_files(const std::string& folder,
                                                         const json& config) {
  auto tree = tokenizer_json_of_files(folder, config);
  if (!tree) return std::move(tree).error();
  return of_tree(*tree);
}

Result<std::unique_ptr<Tokenizer>> Tokenizer::parse(std::string_view tokenizer_json) {
  const json tree = json::parse(tokenizer_json, nullptr, false);
  if (tree.is_discarded()) {
    auto problem = Document::parse_json("tokenizer.json", tokenizer_json);  // says where
    return problem ? malformed("not JSON") : std::move(problem).error();
  }
  return of_tree(tree);
}

Result<std::unique_ptr<Tokenizer>> Tokenizer::of_tree(const json& tree) {
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
  return impl_->tokens[static_cast<size_t>(id)].text.bytes;
}

bool Tokenizer::is_byte_token(int32_t id) const {
  return id >= 0 && id < vocab_size() && impl_->tokens[static_cast<size_t>(id)].text.is_byte;
}

std::string Tokenizer::first_bytes(int32_t id) const {
  if (id < 0 || id >= vocab_size()) return {};
  const Impl::Token& token = impl_->tokens[static_cast<size_t>(id)];
  return first_text(impl_->decoder->rules(), token.spelling, token.text);
}

const TextRules& Tokenizer::rules() const { return impl_->decoder->rules(); }

bool Tokenizer::is_special(int32_t id) const {
  return id >= 0 && id < vocab_size() && impl_->tokens[static_cast<size_t>(id)].special;
}

std::optional<int32_t> Tokenizer::token_id(std::string_view token) const {
  const auto found = impl_->ids.find(token);
  if (found == impl_->ids.end()) return std::nullopt;
  return found->second;
}

}  // namespace touchstone::tokenizer
