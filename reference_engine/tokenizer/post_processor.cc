#include "reference_engine/tokenizer/post_processor.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "base/text.h"

namespace touchstone::tokenizer {
namespace {

using nlohmann::json;

class Reader {
 public:
  explicit Reader(int64_t vocab_size) : vocab_size_(vocab_size) {}

  Status add(const Part& part) {
    const std::string type = part.type();
    if (type == "Sequence") {
      for (const Part& member : part["processors"].elements()) RETURN_IF_ERROR(add(member));
      return {};
    }
    if (type == "ByteLevel") return {};  // moves offsets only
    if (!result.prefix.empty() || !result.suffix.empty()) {
      return part.unsupported("more than one part that adds tokens");
    }
    if (type == "TemplateProcessing") return add_template(part);
    if (type == "RobertaProcessing" || type == "BertProcessing") {
      RETURN_IF_ERROR(add_id(part["cls"].value(), part["cls"], result.prefix));
      return add_id(part["sep"].value(), part["sep"], result.suffix);
    }
    return part.unsupported("type " + quote(type));
  }

  PostProcessor result;

 private:
  // ["</s>", 2]
  Status add_id(const json& pair, const Part& part, std::vector<int32_t>& ids) const {
    if (!pair.is_array() || pair.size() != 2) return part.malformed("expected a token and its id");
    return append(pair[1], part, ids);
  }

  Status append(const json& id, const Part& part, std::vector<int32_t>& ids) const {
    if (!id.is_number_integer() || id.get<int64_t>() < 0 || id.get<int64_t>() >= vocab_size_) {
      return part.malformed("got id " + id.dump() + ", expected a token of the vocabulary");
    }
    ids.push_back(id.get<int32_t>());
    return {};
  }

  Status add_template(const Part& part) {
    bool after_text = false;
    for (const Part& piece : part["single"].elements()) {
      if (!piece["Sequence"].is_null()) {
        if (after_text) return piece.unsupported("a template that repeats the text");
        after_text = true;
        continue;
      }
      auto name = piece["SpecialToken"]["id"].text();
      if (!name) return std::move(name).error();
      const Part token = part["special_tokens"][name->c_str()];
      const Part ids = token["ids"];
      if (!ids.value().is_array()) return ids.malformed("expected a list of ids");
      for (const json& id : ids.value()) {
        RETURN_IF_ERROR(append(id, ids, after_text ? result.suffix : result.prefix));
      }
    }
    return {};
  }

  int64_t vocab_size_;
};

}  // namespace

Result<PostProcessor> PostProcessor::parse(const Part& part, int64_t vocab_size) {
  Reader reader(vocab_size);
  if (part.is_null()) return std::move(reader.result);
  if (Status added = reader.add(part); !added) return std::move(added).error();
  return std::move(reader.result);
}

}  // namespace touchstone::tokenizer
