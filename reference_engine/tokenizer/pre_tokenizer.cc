#include "reference_engine/tokenizer/pre_tokenizer.h"

#include <deque>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "reference_engine/tokenizer/byte_level.h"

namespace touchstone::tokenizer {
namespace {

Error unsupported(const std::string& what) {
  return {ErrorCode::kUnsupported, "pre_tokenizer: " + what,
          "supported: Sequence of Split and ByteLevel, as GPT-2, Llama 3 and Qwen have it"};
}

std::string escape_for_regex(std::string_view literal) {
  std::string out;
  for (const char c : literal) {
    if (std::string_view("\\^$.|?*+()[]{}").find(c) != std::string_view::npos) out.push_back('\\');
    out.push_back(c);
  }
  return out;
}

}  // namespace

Result<PreTokenizer> PreTokenizer::parse(const nlohmann::json& part) {
  PreTokenizer result;
  if (Status added = result.add(part); !added) return std::move(added).error();
  if (!result.has_byte_level_) return unsupported("got no ByteLevel");
  return result;
}

Status PreTokenizer::add(const nlohmann::json& part) {
  if (!part.is_object() || !part.contains("type") || !part["type"].is_string()) {
    return malformed("pre_tokenizer: expected an object with a type");
  }
  const auto type = part["type"].get<std::string>();
  if (has_byte_level_) return unsupported(type + " after ByteLevel");
  if (type == "Sequence") {
    if (!part.contains("pretokenizers") || !part["pretokenizers"].is_array()) {
      return malformed("pre_tokenizer: Sequence without pretokenizers");
    }
    for (const auto& member : part["pretokenizers"]) {
      RETURN_IF_ERROR(add(member));
    }
    return {};
  }
  if (type == "Split") return add_split(part);
  if (type == "ByteLevel") return add_byte_level(part);
  return unsupported("type " + quote(type));
}

Status PreTokenizer::add_split(const nlohmann::json& part) {
  const auto pattern = part.value("pattern", nlohmann::json());
  std::string source;
  if (pattern.is_object() && pattern.contains("Regex") && pattern["Regex"].is_string()) {
    source = pattern["Regex"].get<std::string>();
  } else if (pattern.is_object() && pattern.contains("String") && pattern["String"].is_string()) {
    source = escape_for_regex(pattern["String"].get<std::string>());
  } else {
    return malformed("pre_tokenizer: Split without a Regex or String pattern");
  }
  const auto behavior = part.value("behavior", nlohmann::json("Isolated"));
  const bool invert = part.value("invert", nlohmann::json(false)) == true;
  Keep keep = Keep::kMatchesAndGaps;
  if (behavior == "Removed") {
    keep = invert ? Keep::kMatches : Keep::kGaps;
  } else if (behavior != "Isolated") {
    return unsupported("Split with behavior " + behavior.dump());
  }
  auto regex = Regex::compile(source);
  if (!regex) return std::move(regex).error().with_context("pre_tokenizer: Split");
  steps_.push_back({std::move(*regex), keep});
  return {};
}

Status PreTokenizer::add_byte_level(const nlohmann::json& part) {
  has_byte_level_ = true;
  add_prefix_space_ = part.value("add_prefix_space", nlohmann::json(true)) == true;
  prefix_space_step_ = steps_.size();
  if (part.value("use_regex", nlohmann::json(true)) == true) {
    auto regex = Regex::compile(kByteLevelPattern);
    if (!regex) return std::move(regex).error();
    steps_.push_back({std::move(*regex), Keep::kMatchesAndGaps});
  }
  return {};
}

void PreTokenizer::split(std::string_view text,
                         const std::function<void(std::string_view)>& visit) const {
  std::deque<Regex::Scanner> scanners;
  std::vector<Regex::Scanner*> pointers;
  for (const Step& step : steps_) {
    pointers.push_back(&scanners.emplace_back(step.regex));
  }
  run(0, text, true, pointers, visit);
}

void PreTokenizer::run(size_t step, std::string_view text, bool may_add_space,
                       std::vector<Regex::Scanner*>& scanners,
                       const std::function<void(std::string_view)>& visit) const {
  if (add_prefix_space_ && may_add_space && step == prefix_space_step_ && text[0] != ' ') {
    run(step, " " + std::string(text), false, scanners, visit);
    return;
  }
  if (step == steps_.size()) {
    visit(text);
    return;
  }
  const Keep keep = steps_[step].keep;
  const auto emit = [&](size_t begin, size_t end, Keep dropped) {
    if (begin < end && keep != dropped) {
      run(step + 1, text.substr(begin, end - begin), true, scanners, visit);
    }
  };
  size_t done = 0;
  while (const auto match = scanners[step]->find(text, done)) {
    emit(done, match->first, Keep::kMatches);
    emit(match->first, match->second, Keep::kGaps);
    done = match->second;
  }
  emit(done, text.size(), Keep::kMatches);
}

}  // namespace touchstone::tokenizer
